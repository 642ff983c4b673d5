//! `cargo run --release --example fleet [-- --json]`
//!
//! Four instances of an axum app with one rate limit, and twice as much load as it allows; then
//! its Redis is killed, and started again.
#![allow(clippy::print_stdout, reason = "it tells what it sees")]

mod instance;
mod load;
mod redis;

use load::{Instance, Seen};
use redis::Redis;
use std::env;
use std::time::Duration;
use tokio::time::sleep;
use tower::BoxError;

const INSTANCES: usize = 4;
const LIMIT: u32 = 1_000;
const PHASE: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    if let Ok(mode) = env::var(instance::MODE) {
        return instance::serve(&mode).await;
    }
    let json = env::args().any(|argument| argument == "--json");
    if !Redis::is_installed() {
        println!("this needs `redis-server`: on Debian, apt-get install redis-server");
        return Ok(());
    }
    if !json {
        println!("{INSTANCES} instances, one limit of {LIMIT} a second, twice the load\n");
        println!("mode          phase  admitted/s  of the limit  added latency, p99");
    }
    for mode in ["exact", "leased", "synchronised"] {
        run(mode, json).await?;
    }
    Ok(())
}

/// One way to share the limit, through all phases.
async fn run(mode: &str, json: bool) -> Result<(), BoxError> {
    let mut redis = Redis::start().await?;
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        instances.push(Instance::start(mode, &redis.url()).await?);
    }
    for instance in &mut instances {
        instance.until(&format!("instances {INSTANCES}")).await?;
    }
    for phase in ["up", "down", "back"] {
        match phase {
            "down" => redis.kill().await?,
            "back" => redis.start_again().await?,
            _ => {}
        }
        let degraded = format!("degraded {}", phase == "down");
        for instance in &mut instances {
            instance.until(&degraded).await?;
        }
        // The burst is used up first, so that what follows is the rate.
        load::offer(&mut instances, 2 * LIMIT, Duration::from_secs(1)).await?;
        let seen = load::offer(&mut instances, 2 * LIMIT, PHASE).await?;
        tell(mode, phase, &seen, json);
    }
    sleep(Duration::from_millis(100)).await;
    Ok(())
}

fn tell(mode: &str, phase: &str, seen: &Seen, json: bool) {
    let (admitted, added) = (seen.admitted_per_second, seen.added_p99_us);
    if json {
        println!(
            "{{\"mode\":\"{mode}\",\"phase\":\"{phase}\",\"limit\":{LIMIT},\"offered_per_s\":{:.0},\"admitted_per_s\":{admitted:.0},\"added_p99_us\":{added}}}",
            seen.offered_per_second
        );
        return;
    }
    let share = 100.0 * admitted / f64::from(LIMIT);
    println!("{mode:<13} {phase:<6} {admitted:>10.0}  {share:>10.1} %  {added:>13} µs");
}
