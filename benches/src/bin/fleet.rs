//! What a limit that a fleet shares costs: `cargo run --release -p buttress-benches --bin fleet`.
//!
//! One line of JSON for each question, each against what it must reach. Where there are two
//! processors and `taskset`, the server has the one, and who loads it the other: us and
//! `redis-benchmark` alike.
#![allow(clippy::print_stdout, reason = "it prints what it measures")]

use buttress::{Admission, Guard, Now, Plain, Policy, RateLimit, by_fn};
use buttress_redis::{BuildOn, Fleet, FleetLimit};
use std::env;
use std::future::{Ready, ready};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tower::{BoxError, Layer, Service, ServiceExt};

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if env::var_os(PINNED).is_none() && pin_to("1").status().is_ok_and(|status| status.success()) {
        // It has run in a process of its own.
        return Ok(());
    }
    leased().await?;
    let Some(mut server) = Server::start().await? else {
        println!("there is no `redis-server`: Debian's package has that name");
        return Ok(());
    };
    // As many callers as connections, which is what `redis-benchmark` has; and more than that.
    for (connections, callers) in [(1, 1), (1, 16), (8, 8), (8, 128), (50, 50), (50, 800)] {
        exact(&server, connections, callers).await?;
    }
    down(&mut server).await
}

/// This program on that processor only.
fn pin_to(processor: &str) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", processor]);
    command.arg(env::current_exe().unwrap_or_default());
    command.env(PINNED, processor);
    command
}

const PINNED: &str = "FLEET_PINNED";

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
async fn exact(server: &Server, connections: u32, callers: u32) -> Result<(), BoxError> {
    let fleet = Fleet::redis(server.url())
        .connections(connections)
        .deadline(Duration::from_secs(5))
        .connect()
        .await?;
    let limit = RateLimit::per_second(100_000_000).build_on(&fleet)?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    // In turns, since the machine may have other things to do.
    for _ in 0..ROUNDS {
        theirs.push(server.benchmark(connections)?);
        let start = Instant::now();
        let tasks: Vec<_> = (0..callers)
            .map(|_| {
                let limit = service(&limit);
                tokio::spawn(async move {
                    let mut calls = 0_u64;
                    while start.elapsed() < Duration::from_millis(400) {
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
    let ratio = median(
        ours.iter()
            .zip(&theirs)
            .map(|(ours, theirs)| ours / theirs)
            .collect(),
    );
    let (ours, theirs) = (median(ours), median(theirs));
    let pinned = env::var_os(PINNED).is_some();
    println!(
        "{{\"what\":\"exact\",\"connections\":{connections},\"callers\":{callers},\"pinned\":{pinned},\"decisions_per_s\":{ours:.0},\"empty_script_per_s\":{theirs:.0},\"ratio\":{ratio:.2},\"target\":0.8}}"
    );
    Ok(())
}

/// Short ones, and many: whatever else the machine does comes and goes, and meets both.
const ROUNDS: u32 = 15;

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
    let start = server.start_again().await?;
    while fleet.is_degraded() {
        sleep(Duration::from_millis(1)).await;
    }
    println!(
        "{{\"what\":\"back\",\"after_ms\":{},\"target\":1000}}",
        start.elapsed().as_millis()
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
        let Ok(child) = Self::spawn(port) else {
            return Ok(None);
        };
        let server = Self { child, port };
        server.answers().await?;
        Ok(Some(server))
    }

    /// Returns when it first answered.
    async fn start_again(&mut self) -> Result<Instant, BoxError> {
        self.child = Self::spawn(self.port)?;
        self.answers().await
    }

    fn spawn(port: u16) -> std::io::Result<Child> {
        let mut command = Command::new("redis-server");
        if env::var_os(PINNED).is_some() {
            command = Command::new("taskset");
            command.args(["-c", "0", "redis-server"]);
        }
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", ""])
            .stdout(Stdio::null())
            .spawn()
    }

    async fn answers(&self) -> Result<Instant, BoxError> {
        for _ in 0..1_000 {
            if TcpStream::connect(("127.0.0.1", self.port)).await.is_ok() {
                return Ok(Instant::now());
            }
            sleep(Duration::from_millis(5)).await;
        }
        Err("`redis-server` does not come up".into())
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
                "10000",
                "-P",
                "1",
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
