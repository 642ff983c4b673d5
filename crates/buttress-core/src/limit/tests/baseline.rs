//! What the baseline learns: what calls take, and neither an outage nor a queue.

use super::simulation::Simulation;
use crate::limit::{Gradient2, LatencyQuantile, Limit, Vegas};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MILLI: Duration = Duration::from_millis(1);

/// More calls than the callee can do.
const OVERLOAD: f64 = 3_000.0;

fn settled<L: Limit + Clone>(algorithm: L) -> Simulation<L> {
    let mut callee = Simulation::new(algorithm, OVERLOAD);
    callee.run(15 * SECOND);
    callee
}

fn forgets_an_outage<L: Limit + Clone>(algorithm: L, baseline: impl Fn(&L) -> Duration) {
    let mut callee = settled(algorithm);
    let before = callee.limit();
    let learnt = |callee: &Simulation<L>| baseline(&callee.policy.algorithm());
    let about_ten_millis = |baseline: Duration| baseline > 8 * MILLI && baseline < 13 * MILLI;
    assert!(about_ten_millis(learnt(&callee)), "{:?}", learnt(&callee));
    // Calls take a hundred times as long, however few they are.
    callee.work *= 100;
    callee.run(30 * SECOND);
    assert!(
        about_ten_millis(learnt(&callee)),
        "outage: {:?}",
        learnt(&callee)
    );
    callee.work /= 100;
    callee.run(10 * SECOND);
    let after = callee.limit();
    assert!(after.abs_diff(before) <= 5, "{before}, then {after}");
    // It has one slot left, so that all the others wait.
    callee.slots = 1;
    callee.run(30 * SECOND);
    assert!(
        about_ten_millis(learnt(&callee)),
        "queue: {:?}",
        learnt(&callee)
    );
    callee.slots = 20;
    callee.run(10 * SECOND);
    let after = callee.limit();
    assert!(after.abs_diff(before) <= 5, "{before}, then {after}");
}

#[test]
fn latency_quantile_does_not_learn_an_outage() {
    forgets_an_outage(LatencyQuantile::new(), |l| l.baseline().unwrap());
}

#[test]
fn vegas_does_not_learn_an_outage() {
    forgets_an_outage(Vegas::new().seed(1), |l| l.least_latency().unwrap());
}

#[test]
fn gradient2_does_not_learn_an_outage() {
    forgets_an_outage(Gradient2::new().min(1), |l| l.long_latency().unwrap());
}

#[test]
fn an_unhealthy_latency_is_never_learnt() {
    let algorithm = LatencyQuantile::new().unhealthy_above(100 * MILLI);
    let mut callee = settled(algorithm);
    callee.work *= 100;
    callee.run(300 * SECOND);
    assert!(callee.policy.algorithm().baseline().unwrap() < 13 * MILLI);
    assert_eq!(callee.limit(), 1);
}

fn accepts_what_stays<L: Limit + Clone>(algorithm: L) {
    let mut callee = settled(algorithm);
    callee.work *= 3;
    callee.run(30 * SECOND);
    let doubted = callee.limit();
    assert!(doubted >= 9, "it is not starved meanwhile: {doubted}");
    callee.run(120 * SECOND);
    let accepted = callee.limit();
    assert!(accepted >= 16, "{accepted}");
}

#[test]
fn a_callee_that_has_become_slower_is_not_starved() {
    accepts_what_stays(LatencyQuantile::new());
    accepts_what_stays(Vegas::new().seed(1));
    accepts_what_stays(Gradient2::new().min(1));
}

/// The callee has 20 slots. A limit below that would refuse calls that could be served.
fn never_dips<L: Limit + Clone>(name: &str, algorithm: L) {
    let mut callee = settled(algorithm);
    let seen = callee.run(60 * SECOND);
    assert!(seen.lowest >= 20, "{name}: {}", seen.lowest);
}

#[test]
fn a_limit_that_was_found_does_not_dip_to_look_again() {
    never_dips("LatencyQuantile", LatencyQuantile::new());
    never_dips("Vegas", Vegas::new().seed(1));
    never_dips("Gradient2", Gradient2::new().min(1));
}
