//! What a key costs in memory, and what a flood of fresh ones costs in time.

use buttress::{Now, Policy, RateLimit, by_fn};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::fmt::Write;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;

/// Keys that are remembered when their memory is measured.
pub const KEYS: u64 = 1_000_000;

/// Resident and counted bytes for each of so many keys of ours.
pub fn bytes_per_key(keys: u64) -> (u64, u64) {
    measured(keys, || {
        let limit = RateLimit::per_second(1)
            .burst(10)
            .by(by_fn(|call: &u64| Ok(*call)));
        let limit = limit.max_keys(keys as u32).build().unwrap();
        let now = Now::at(Instant::now());
        for key in 0..keys {
            black_box(limit.admit(&key, &now));
        }
        limit
    })
}

/// The same for governor's.
pub fn bytes_per_key_of_governor(keys: u64) -> (u64, u64) {
    measured(keys, || {
        let quota = Quota::per_second(NonZeroU32::MIN);
        let limit: DefaultKeyedRateLimiter<u64> = RateLimiter::keyed(quota);
        for key in 0..keys {
            let _ = black_box(limit.check_key(&key));
        }
        limit
    })
}

/// Floods a limit with ten times as many distinct keys as it may remember. One line for each tenth:
/// how many keys it remembers, and nanoseconds for each call.
pub fn flood(max_keys: u64) -> String {
    let limit = RateLimit::per_second(1)
        .burst(10)
        .by(by_fn(|call: &u64| Ok(*call)));
    let limit = limit.max_keys(max_keys as u32).build().unwrap();
    let mut lines = String::new();
    for tenth in 0..10 {
        let start = Instant::now();
        for key in 0..max_keys {
            let now = Now::lazy(Instant::now);
            black_box(limit.admit(&(tenth * max_keys + key), &now));
        }
        let each = start.elapsed().as_nanos() as f64 / max_keys as f64;
        let keys = limit.keys();
        assert!(keys as u64 <= max_keys, "the bound is broken");
        let _ = writeln!(lines, "flood {tenth}: {keys} keys, {each:.0} ns a call");
    }
    lines
}

fn measured<T>(keys: u64, fill: impl FnOnce() -> T) -> (u64, u64) {
    let before = resident();
    let mut held = None;
    let counted = allocation_counter::measure(|| held = Some(fill()));
    let resident = resident().saturating_sub(before);
    drop(held);
    (resident / keys, counted.bytes_current as u64 / keys)
}

/// Bytes of this process that are in memory.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split(' ').nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * 4096
}
