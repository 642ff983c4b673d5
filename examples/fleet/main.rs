//! `cargo run --release --example fleet [-- --json]`
//!
//! Four instances of an axum app with one rate limit, and twice as much load as it allows; in the
//! middle of it their Redis is killed, and then started again. `SECONDS` (3 by default) is how long
//! each phase is measured.
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
/// The burst is used up first, so that what is measured is the rate.
const WARM_UP: Duration = Duration::from_millis(600);

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
        // In the middle of the load, since that is when servers die.
        let event = async {
            sleep(WARM_UP / 3).await;
            match phase {
                "down" => redis.kill().await,
                "back" => redis.start_again().await,
                _ => Ok(()),
            }
        };
        tokio::try_join!(load::offer(&mut instances, 2 * LIMIT, WARM_UP), event)?;
        let degraded = format!("degraded {}", phase == "down");
        for instance in &mut instances {
            instance.until(&degraded).await?;
        }
        load::offer(&mut instances, 2 * LIMIT, WARM_UP).await?;
        let seen = load::offer(&mut instances, 2 * LIMIT, measured()?).await?;
        tell(mode, phase, &seen, json);
    }
    Ok(())
}

fn measured() -> Result<Duration, BoxError> {
    let seconds = env::var("SECONDS").map_or(Ok(3.0), |seconds| seconds.parse())?;
    Ok(Duration::try_from_secs_f64(seconds)?)
}

fn tell(mode: &str, phase: &str, seen: &Seen, json: bool) {
    let (admitted, added) = (seen.admitted_per_second, seen.added_p99_us);
    if json {
        println!(
            "{{\"mode\":\"{mode}\",\"phase\":\"{phase}\",\"limit\":{LIMIT},\"offered_per_s\":{:.0},\"admitted_per_s\":{admitted:.0},\"added_p99_us\":{added},\"seconds\":{:.3},\"degraded\":{}}}",
            seen.offered_per_second, seen.seconds, seen.degraded
        );
        return;
    }
    let share = 100.0 * admitted / f64::from(LIMIT);
    println!("{mode:<13} {phase:<6} {admitted:>10.0}  {share:>10.1} %  {added:>13} µs");
}
