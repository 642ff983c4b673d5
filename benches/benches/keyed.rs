//! What does a limit for each key cost: with a hot key, with 100 000 keys, in bytes per key, and
//! under a flood of fresh keys?
#![allow(missing_docs, reason = "criterion's macros make functions without any")]
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures, and prints what"
)]

use buttress::{Now, Policy, RateLimit, by_fn};
use buttress_benches::memory::{KEYS, bytes_per_key, bytes_per_key_of_governor, flood};
use buttress_benches::ours::scattered;
use criterion::{Criterion, criterion_group, criterion_main};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::hint::black_box;
use std::num::NonZeroU32;

type Key = fn(u64) -> u64;

fn now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

fn keyed(criterion: &mut Criterion) {
    let ours = RateLimit::per_second(1_000_000_000).by(by_fn(|call: &u64| Ok(*call)));
    let ours = ours.max_keys(200_000).build().unwrap();
    let quota = Quota::per_second(NonZeroU32::new(1_000_000_000).unwrap());
    let governors: DefaultKeyedRateLimiter<u64> = RateLimiter::keyed(quota);
    let hot: Key = |_| 7;
    for (name, key) in [("hot", hot), ("100000", scattered as Key)] {
        let mut group = criterion.benchmark_group(format!("keyed/{name}"));
        let mut number = 0;
        group.bench_function("ours", |bencher| {
            bencher.iter(|| {
                number += 1;
                black_box(ours.admit(&key(number), &Now::lazy(now)))
            });
        });
        group.bench_function("governor", |bencher| {
            bencher.iter(|| {
                number += 1;
                black_box(governors.check_key(&key(number)).is_ok())
            });
        });
        group.finish();
    }
}

fn memory(_: &mut Criterion) {
    // A test run wants to see that it works, and not what it comes to.
    let keys = if std::env::args().any(|argument| argument == "--test") {
        10_000
    } else {
        KEYS
    };
    let (resident, counted) = bytes_per_key(keys);
    println!("{keys} keys, ours: {resident} bytes a key resident, {counted} counted");
    let (resident, counted) = bytes_per_key_of_governor(keys);
    println!("{keys} keys, governor: {resident} bytes a key resident, {counted} counted");
    print!("{}", flood(keys));
}

criterion_group!(benches, keyed, memory);
criterion_main!(benches);
