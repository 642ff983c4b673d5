//! Does a reload stall requests? One thread calls all the time, while another reloads a file of a
//! thousand routes, all of which change. How long calls take is compared with the same while the
//! other thread only reads and checks such files: what is left is the exchange.
//!
//! ```text
//! reload [--json]
//! ```
#![allow(clippy::print_stdout, reason = "it is what it is for")]
#![allow(clippy::disallowed_methods, reason = "it measures real time")]
#![allow(
    clippy::unwrap_used,
    reason = "it measures, and stops where it cannot go on"
)]

use buttress_benches::measure::call;
use buttress_benches::{inner, thousand};
use buttress_config::Rules;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tower::Layer;

/// Reloads in each round.
const RELOADS: u32 = 40;

/// Rounds of each kind, in turn.
const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let json = match std::env::args().nth(1).as_deref() {
        None => false,
        Some("--json") => true,
        Some(other) => return Err(format!("unknown argument {other}: use --json").into()),
    };
    let runtime = buttress_benches::runtime();
    let _inside = runtime.enter();
    let rules = Rules::new(thousand::document(0))?;
    let (mut quiet, mut reloading) = (Vec::new(), Vec::new());
    let mut longest = Vec::new();
    for _ in 0..ROUNDS {
        let reads = |edit| drop(thousand::document(edit));
        quiet.extend(calls_during(&rules, reads).0);
        let reloads = |edit| {
            rules.replace(thousand::document(edit)).unwrap();
        };
        let (calls, times) = calls_during(&rules, reloads);
        reloading.extend(calls);
        longest.extend(times);
    }
    longest.sort_unstable();
    let reload = longest[longest.len() / 2];
    let (quiet, reloading) = (Shares::of(quiet), Shares::of(reloading));
    if json {
        println!(
            r#"{{"routes":1000,"reload_ms":{:.1},"calls":{},"p99_us":{:.2},"p99_us_reading":{:.2},"p99_99_us":{:.2},"p99_99_us_reading":{:.2},"worst_us":{:.1},"worst_us_reading":{:.1}}}"#,
            milliseconds(reload),
            reloading.calls,
            reloading.p99,
            quiet.p99,
            reloading.p9999,
            quiet.p9999,
            reloading.worst,
            quiet.worst,
        );
        return Ok(());
    }
    println!(
        "a reload of 1000 routes takes {:.1} ms",
        milliseconds(reload)
    );
    println!("calls, in microseconds    p99    p99.99     worst");
    for (name, shares) in [
        ("while reloading", reloading),
        ("while reading only", quiet),
    ] {
        let Shares {
            p99, p9999, worst, ..
        } = shares;
        println!("{name:<20} {p99:>9.2} {p9999:>9.2} {worst:>9.1}");
    }
    Ok(())
}

/// How long calls of this thread take while another does the work again and again, and how long that
/// takes.
fn calls_during(rules: &Rules, work: impl Fn(u32) + Sync) -> (Vec<u32>, Vec<Duration>) {
    let mut service = rules.server().layer(inner::Http);
    let done = AtomicBool::new(false);
    let mut calls = Vec::with_capacity(4_000_000);
    let times = std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let times = (1..=RELOADS).map(|edit| {
                let start = Instant::now();
                work(edit);
                start.elapsed()
            });
            let times: Vec<_> = times.collect();
            done.store(true, Ordering::Release);
            times
        });
        let mut number = 0;
        while !done.load(Ordering::Acquire) {
            number += 1;
            let request = thousand::request(number);
            let start = Instant::now();
            assert!(call(&mut service, request), "a call failed");
            calls.push(u32::try_from(start.elapsed().as_nanos()).unwrap_or(u32::MAX));
        }
        worker.join().unwrap()
    });
    (calls, times)
}

/// How long calls took, in microseconds.
struct Shares {
    calls: usize,
    p99: f64,
    p9999: f64,
    worst: f64,
}

impl Shares {
    fn of(mut calls: Vec<u32>) -> Self {
        calls.sort_unstable();
        let microseconds = |share: f64| {
            let place = (calls.len() as f64 * share) as usize;
            f64::from(calls[place.min(calls.len() - 1)]) / 1e3
        };
        Self {
            calls: calls.len(),
            p99: microseconds(0.99),
            p9999: microseconds(0.9999),
            worst: microseconds(1.0),
        }
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
