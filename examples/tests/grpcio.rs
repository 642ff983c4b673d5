//! Another language's gRPC client judges our refusals: Python's grpcio, which is the C core, retries
//! by a service config, and does what our pushback says.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]
#![allow(
    clippy::disallowed_types,
    reason = "the test's own records are not in a hot path"
)]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

mod common;

use buttress::key::header;
use buttress::{Bulkhead, RateLimit};
use buttress_examples::grpc::Hello;
use buttress_examples::grpc::greeter::greeter_server::GreeterServer;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tower::util::MapRequestLayer;

/// Attempts as the server sees them: what each says of those before it.
#[derive(Clone, Default)]
struct Attempts(Arc<Mutex<Vec<Option<String>>>>);

impl Attempts {
    fn see<B>(&self, request: &http::Request<B>) {
        let previous = request.headers().get("grpc-previous-rpc-attempts");
        let previous = previous.map(|value| value.to_str().unwrap().to_owned());
        self.0.lock().unwrap().push(previous);
    }

    fn take(&self) -> Vec<Option<String>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Serves behind a layer on a port of its own, and returns the address and the attempts to be.
macro_rules! serve {
    ($layer:expr) => {{
        let (listener, url) = common::listen().await;
        let attempts = Attempts::default();
        let seen = attempts.clone();
        let count = MapRequestLayer::new(move |request: http::Request<_>| {
            seen.see(&request);
            request
        });
        let server = Server::builder()
            .layer((count, $layer))
            .add_service(GreeterServer::new(Hello))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        let address = url.trim_start_matches("http://").to_owned();
        (address, attempts)
    }};
}

/// What grpcio says of its calls, or nothing if it is not there.
async fn grpcio(address: &str, calls: u32) -> Option<Vec<String>> {
    // A backoff that is much shorter than our pushback. (With one of a millisecond, grpcio now and
    // then never makes the next attempt, whatever server it talks to.)
    const CONFIG: &str = r#"{"methodConfig": [{
        "name": [{"service": "greeter.v1.Greeter"}],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.05s",
            "maxBackoff": "0.05s",
            "backoffMultiplier": 1,
            "retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE"]
        }
    }]}"#;
    let python = |arguments: &[&str]| {
        let mut command = Command::new("python3");
        command.args(arguments).stdin(Stdio::null());
        command.output()
    };
    if !python(&["-c", "import grpc"]).is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: python3 with grpcio is not installed (pip install grpcio)");
        return None;
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/grpcio_client.py");
    let (address, calls) = (address.to_owned(), calls.to_string());
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new("python3");
        command.args([script, &address, "SayHello", &calls, CONFIG]);
        command.stdin(Stdio::null()).output().unwrap()
    });
    let output = output.await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let statuses = String::from_utf8(output.stdout).unwrap();
    Some(statuses.lines().map(str::to_owned).collect())
}

fn previous(attempts: &[&str]) -> Vec<Option<String>> {
    let previous = |attempt: &&str| (!attempt.is_empty()).then(|| (*attempt).to_owned());
    attempts.iter().map(previous).collect()
}

/// By its own backoff grpcio would use up its attempts long before the quota is back. Since the
/// refusal says when the next call passes, one more attempt is enough.
#[tokio::test]
async fn a_rate_limit_tells_grpcio_when_to_come_back() {
    let limit = RateLimit::per_minute(20).burst(1).build().unwrap();
    let (address, attempts) = serve!(limit);
    let Some(statuses) = grpcio(&address, 2).await else {
        return;
    };
    assert_eq!(statuses, ["OK", "OK"]);
    assert_eq!(attempts.take(), previous(&["", "", "1"]));
}

/// A full bulkhead does not know when a slot will be free: grpcio's own backoff decides.
#[tokio::test]
async fn a_full_bulkhead_is_unavailable_and_retried_by_grpcios_own_backoff() {
    use buttress::{Admission, Now, Policy};
    let slots = Bulkhead::new(1).unwrap();
    let now = Now::at(tokio::time::Instant::now().into_std());
    let Admission::Admitted(_slot) = slots.admit(&(), &now) else {
        panic!("the bulkhead is new");
    };
    let (address, attempts) = serve!(slots.clone());
    let Some(statuses) = grpcio(&address, 1).await else {
        return;
    };
    assert_eq!(statuses, ["UNAVAILABLE"]);
    assert_eq!(attempts.take(), previous(&["", "1", "2", "3"]));
}

/// A call that lacks its key is the caller's mistake, and says so.
#[tokio::test]
async fn a_missing_key_is_the_callers_mistake_for_grpcio_too() {
    let key = header("x-api-key").unwrap();
    let limit = RateLimit::per_second(2).by(key).build().unwrap();
    let (address, attempts) = serve!(limit);
    let Some(statuses) = grpcio(&address, 1).await else {
        return;
    };
    assert_eq!(statuses, ["INVALID_ARGUMENT"]);
    assert_eq!(attempts.take(), previous(&[""]));
}
