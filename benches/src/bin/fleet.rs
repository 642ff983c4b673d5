//! What a limit that a fleet shares costs: `cargo run --release -p buttress-benches --bin fleet`.
//!
//! One line of JSON for each question, each against what it must reach.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use buttress::{Admission, Guard, Now, Plain, Policy, RateLimit, by_fn};
use buttress_redis::{BuildOn, Fleet, FleetLimit};
use std::future::{Ready, ready};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::{BoxError, Layer, Service, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    leased().await?;
    let Some(mut server) = Server::start().await? else {
        println!("there is no `redis-server`: Debian's package has that name");
        return Ok(());
    };
    for connections in [1, 8, 50] {
        exact(&server, connections).await?;
    }
    down(&mut server).await
}

/// Decisions a second on one core.
async fn leased() -> Result<(), BoxError> {
    let fleet = Fleet::in_memory()?;
    let limit = || RateLimit::per_second(1_000_000_000);
    let one = limit().build_on(fleet.leased())?;
    let key = by_fn(|call: &u64| Ok(call % 64));
    let keyed = limit().by(key).build_on(fleet.leased())?;
    for (name, limit) in [("leased", &one as &dyn Decide), ("leased_by_key", &keyed)] {
        let (mut decisions, mut admitted, mut deciding) = (0_u64, 0_u64, Duration::ZERO);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(2) {
            let round = Instant::now();
            for call in 0..1_000 {
                admitted += u64::from(limit.decide(call));
            }
            decisions += 1_000;
            deciding += round.elapsed();
            // So that the background gets its turn; it is not counted.
            tokio::task::yield_now().await;
        }
        let rate = decisions as f64 / deciding.as_secs_f64();
        println!(
            "{{\"what\":\"{name}\",\"decisions_per_s\":{rate:.0},\"admitted\":{:.3},\"target\":1000000}}",
            admitted as f64 / decisions as f64
        );
    }
    Ok(())
}

trait Decide {
    fn decide(&self, call: u64) -> bool;
}

impl<P: Policy<u64>> Decide for P {
    fn decide(&self, call: u64) -> bool {
        let now = Now::lazy(|| Instant::now().into_std());
        matches!(self.admit(&call, &now), Admission::Admitted(_))
    }
}

/// Exact decisions a second against an empty script's, on as many connections.
async fn exact(server: &Server, connections: u32) -> Result<(), BoxError> {
    let fleet = Fleet::redis(server.url())
        .connections(connections)
        .deadline(Duration::from_secs(5))
        .connect()
        .await?;
    let limit = RateLimit::per_second(100_000_000).build_on(&fleet)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, since the machine may have other things to do.
    for _ in 0..5 {
        theirs.push(server.benchmark(connections)?);
        let callers = connections * CALLERS;
        let start = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let limit = service(&limit);
                tokio::spawn(async move {
                    let mut calls = 0_u64;
                    while start.elapsed() < Duration::from_secs(2) {
                        if ask(&limit).await {
                            calls += 1;
                        }
                    }
                    calls
                })
            })
            .collect();
        let mut calls = 0;
        for task in tasks {
            calls += task.await?;
        }
        ours.push(calls as f64 / start.elapsed().as_secs_f64());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    println!(
        "{{\"what\":\"exact\",\"connections\":{connections},\"decisions_per_s\":{ours:.0},\"empty_script_per_s\":{theirs:.0},\"ratio\":{:.2},\"target\":0.8}}",
        ours / theirs
    );
    Ok(())
}

/// So many callers share a connection.
const CALLERS: u32 = 16;

type Limited = Guard<Nothing, FleetLimit, Plain>;

/// Around a service that does nothing.
fn service(limit: &FleetLimit) -> Limited {
    limit.protocol(Plain::new()).layer(Nothing)
}

async fn ask(service: &Limited) -> bool {
    service.clone().oneshot(()).await.is_ok()
}

#[derive(Clone)]
struct Nothing;

impl Service<()> for Nothing {
    type Response = ();
    type Error = BoxError;
    type Future = Ready<Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        ready(Ok(()))
    }
}

/// What a call costs while the server is gone, after the first failure.
async fn down(server: &mut Server) -> Result<(), BoxError> {
    let fleet = Fleet::redis(server.url()).connect().await?;
    let limit = service(&RateLimit::per_second(1_000_000).build_on(&fleet)?);
    ask(&limit).await;
    server.kill();
    while !fleet.is_degraded() {
        ask(&limit).await;
    }
    let mut took = Vec::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let start = Instant::now();
        ask(&limit).await;
        took.push(start.elapsed());
        sleep(Duration::from_micros(200)).await;
    }
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    println!(
        "{{\"what\":\"down\",\"calls\":{},\"added_p99_us\":{:.1},\"target\":1000}}",
        took.len(),
        p99.as_secs_f64() * 1e6
    );
    Ok(())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

struct Server {
    child: Child,
    port: u16,
}

impl Server {
    async fn start() -> Result<Option<Self>, BoxError> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args([
                "--port",
                &port.to_string(),
                "--save",
                "",
                "--bind",
                "127.0.0.1",
            ])
            .stdout(Stdio::null())
            .spawn();
        let Ok(child) = child else { return Ok(None) };
        let server = Self { child, port };
        while Fleet::redis(server.url()).connect().await.is_err() {
            sleep(Duration::from_millis(20)).await;
        }
        Ok(Some(server))
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// What `redis-benchmark` makes of an empty script.
    fn benchmark(&self, connections: u32) -> Result<f64, BoxError> {
        let port = self.port.to_string();
        let load = Command::new("redis-cli")
            .args(["-p", &port, "SCRIPT", "LOAD", ""])
            .output()?;
        let hash = String::from_utf8(load.stdout)?;
        let output = Command::new("redis-benchmark")
            .args([
                "-p",
                &port,
                "-c",
                &connections.to_string(),
                "-n",
                "40000",
                "--csv",
            ])
            .args(["EVALSHA", hash.trim(), "0"])
            .output()?;
        let text = String::from_utf8(output.stdout)?;
        let line = text.lines().last().unwrap_or_default();
        let rate = line.split("\",\"").nth(1).unwrap_or_default();
        Ok(rate
            .parse()
            .map_err(|_| format!("`redis-benchmark` says {text}"))?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
