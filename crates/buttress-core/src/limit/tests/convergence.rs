//! A callee with 20 slots and 10 ms of work is found out within ten seconds.

use super::simulation::Simulation;
use crate::limit::{Aimd, Gradient2, LatencyQuantile, Limit, Vegas};
use std::time::Duration;

const TEN_SECONDS: Duration = Duration::from_secs(10);

fn check<L: Limit + Clone>(name: &str, from: impl Fn(u32) -> L) {
    for start in [5, 200] {
        // More than the callee can do, from half as much again to ten times as much.
        for rate in [3_000.0, 20_000.0] {
            let mut callee = Simulation::new(from(start), rate);
            callee.run(TEN_SECONDS);
            let found = callee.limit();
            assert!(
                (16..=24).contains(&found),
                "{name} from {start} at {rate}: {found}"
            );
            callee.slots = 10;
            callee.run(TEN_SECONDS);
            let found = callee.limit();
            assert!(
                (8..=12).contains(&found),
                "{name} from {start} at {rate}, halved: {found}"
            );
            callee.slots = 20;
            callee.run(TEN_SECONDS);
            let found = callee.limit();
            assert!(
                (16..=24).contains(&found),
                "{name} from {start} at {rate}, restored: {found}"
            );
        }
    }
}

#[test]
fn latency_quantile_finds_the_callee_as_it_comes() {
    check("LatencyQuantile", |start| {
        LatencyQuantile::new().start(start)
    });
}

#[test]
fn vegas_finds_it_with_a_call_or_two_in_the_queue() {
    check("Vegas", |start| {
        Vegas::new().start(start).alpha(1).beta(1).seed(1)
    });
}

#[test]
fn gradient2_finds_it_without_tolerance() {
    check("Gradient2", |start| {
        Gradient2::new().start(start).min(1).tolerance(1.0).queue(1)
    });
}

#[test]
fn aimd_finds_it_if_told_what_is_too_slow() {
    check("Aimd", |start| {
        Aimd::new()
            .start(start)
            .min(1)
            .too_slow(Duration::from_millis(11))
    });
}
