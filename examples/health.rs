//! `cargo run --release --example health`
//!
//! Beside it: `health/kubernetes.yaml`, a Deployment that probes it, and `health/buttress.service`,
//! a systemd unit.
#![allow(clippy::print_stdout, reason = "it tells what to try")]

use buttress_examples::health::{Service, Settings};
use buttress_examples::listen;
use std::env;
use std::process::id;
use std::str::FromStr;
use std::time::Duration;
use tower::BoxError;

// One thread, so that one blocked call is enough to stop everything.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt()
        .with_target(false)
        .with_writer(std::io::stderr)
        .init();
    let defaults = Settings::default();
    let settings = Settings {
        notice: Duration::from_secs(read("NOTICE", 5, "a number of seconds")?),
        database: env::var("DATABASE").unwrap_or(defaults.database),
        probes: read("PROBES", defaults.probes, "an address like 127.0.0.1:8081")?,
        grpc: read("GRPC", defaults.grpc, "an address like 127.0.0.1:50051")?,
    };
    let listener = listen(3000).await?;
    let address = listener.local_addr()?;
    let service = Service::start(listener, &settings).await?;
    let (probes, grpc) = (service.probes(), service.grpc());
    println!(
        "listening on http://{address}
probes on http://{probes}
grpc on {grpc}

    curl -i http://{probes}/livez
    curl -i 'http://{probes}/readyz?verbose'
                                            200, though the database does not answer: it is soft
    curl -i 'http://{probes}/readyz?verbose&exclude=database'
    curl -i -H 'accept: application/health+json' http://{probes}/readyz
    grpc_health_probe -addr {grpc}

    curl -i http://{address}/slow & sleep 1; kill -TERM {id}; curl -i http://{probes}/readyz; wait
                                            not ready any more; the slow call is served to its end
    curl -i http://{address}/stuck
                                            the process's one thread is blocked for good. The probes
                                            say so after 3 s, and after 12 s the watchdog ends the
                                            process with code 81

Ctrl-C drains it for {notice:?} and stops it. Twice stops it at once.",
        notice = settings.notice,
        id = id()
    );
    let report = service.run().await;
    let (calls, clean) = (report.calls, report.is_clean());
    report.output.transpose()?;
    if !clean {
        println!("cut off {calls} calls");
    }
    println!("stopped");
    Ok(())
}

fn read<T: FromStr>(name: &str, default: T, must_be: &str) -> Result<T, String> {
    match env::var(name) {
        Ok(value) => value
            .parse()
            .map_err(|_| format!("{name} is {value:?}, but must be {must_be}")),
        Err(_) => Ok(default),
    }
}
