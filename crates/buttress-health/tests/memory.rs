//! Nothing grows: an hour of virtual time with checks that pass, fail, hang and panic, under probes.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use allocation_counter::AllocationInfo;
use buttress_health::{Blocking, Check, Drain, Fault, Health, Load, Saturation};
use common::probe_at_once;
use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn nothing_grows_in_an_hour() {
    // Nothing is printed, since captured output grows.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let health = runtime.block_on(async { health() });
    let drain = runtime.block_on(async { Drain::builder(&health).build().unwrap() });
    let first = minutes(&runtime, &health, &drain, 1);
    let hour = minutes(&runtime, &health, &drain, 59);
    assert!(first.count_total > 0 && hour.count_total > first.count_total);
    // What a timer wheel or a map keeps for later does not add up.
    assert!(hour.count_current <= 8, "{hour:?}");
    assert!(hour.bytes_current <= 4096, "{hour:?}");
}

fn health() -> Health {
    static ASKED: AtomicU64 = AtomicU64::new(0);
    let numbered = || async {
        let number = ASKED.fetch_add(1, Ordering::Relaxed);
        // A reason that is another one each time.
        if number.is_multiple_of(2) {
            Ok(())
        } else {
            Err(format!("failed as number {number}"))
        }
    };
    let panics = || async { panic!() as Result<(), Infallible> };
    let health = Health::builder()
        .check(Check::liveness("good", || async {
            Ok::<_, Infallible>(())
        }))
        .check(Check::readiness("hangs", pending::<Result<(), Infallible>>).hard())
        .check(Check::readiness("panics", panics))
        .check(Check::readiness("numbered", numbered).every(Duration::from_secs(1)))
        .check(Check::readiness(
            "blocking",
            Blocking::new(|| Ok::<_, Infallible>(())),
        ))
        .check(Check::readiness(
            "full",
            Saturation::of(|| Load {
                used: 1,
                capacity: 1,
            }),
        ))
        .check(Check::startup("never", || async {
            Err::<(), _>(Fault::new("no"))
        }));
    health.build().unwrap()
}

/// Live allocations made in so many minutes, and all of them.
fn minutes(runtime: &Runtime, health: &Health, drain: &Drain, count: u32) -> AllocationInfo {
    allocation_counter::measure(|| {
        runtime.block_on(async {
            let mut endpoints = health.endpoints();
            for _ in 0..count {
                for _ in 0..100 {
                    assert_eq!(probe_at_once(&mut endpoints, "/livez"), 200);
                    assert_eq!(probe_at_once(&mut endpoints, "/readyz?exclude=none"), 503);
                    drop(drain.closing());
                    drop(drain.hold("work"));
                }
                tokio::time::sleep(MINUTE).await;
            }
        });
    })
}
