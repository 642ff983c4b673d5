//! A callee with 20 slots and 10 ms of work is found out within ten seconds.

use super::simulation::Simulation;
use crate::limit::{Aimd, Gradient2, LatencyQuantile, Limit, Vegas};
use std::time::Duration;

/// The average limit in the tenth second: one that looks whether there is more to be had does so
/// for a moment.
fn after_ten_seconds<L: Limit + Clone>(callee: &mut Simulation<L>) -> f64 {
    callee.run(Duration::from_secs(9));
    callee.run(Duration::from_secs(1)).average
}

fn check<L: Limit + Clone>(name: &str, from: impl Fn(u32) -> L) {
    for start in [5, 200] {
        // More than the callee can do, from half as much again to ten times as much.
        for rate in [3_000.0, 20_000.0] {
            let mut callee = Simulation::new(from(start), rate);
            for slots in [20, 10, 20] {
                callee.slots = slots;
                let found = after_ten_seconds(&mut callee);
                let off = (found / slots as f64 - 1.0).abs();
                let case = format!("{name} from {start} at {rate}, {slots} slots: {found:.1}");
                assert!(off <= 0.2, "{case}");
                println!("{case}");
            }
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
fn vegas_with_the_published_queue_settles_three_to_six_calls_above() {
    for (slots, start) in [(20, 5), (20, 200), (10, 5)] {
        let mut callee = Simulation::new(Vegas::new().start(start).seed(1), 3_000.0);
        callee.slots = slots;
        let found = after_ten_seconds(&mut callee);
        assert!(
            (slots as f64 + 2.5..=slots as f64 + 7.0).contains(&found),
            "{found}"
        );
    }
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
        let too_slow = Duration::from_millis(11);
        Aimd::new().start(start).min(1).too_slow(too_slow)
    });
}
