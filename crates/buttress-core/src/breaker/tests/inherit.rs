//! In another one's place.

use super::*;
use CircuitState::{Closed, HalfOpen, Open};
use Outcome::{Failure, Success};
use parking_lot::Mutex;
use std::sync::Arc;

#[test]
fn a_breaker_with_other_settings_goes_on_where_one_is() {
    let mut stage = Stage::set(|_| {});
    let others = || {
        let settings = BreakerSettings {
            consecutive_failures: Some(1),
            ..BreakerSettings::default()
        };
        Breaker::new("others", &settings).unwrap()
    };
    let next = others();
    next.take_over(&stage.breaker, &stage.now());
    assert_eq!(next.state(&stage.now()), Closed);

    // Open, and for no longer than it would have been.
    stage.trip();
    let left = stage.refused_for();
    let next = others();
    next.take_over(&stage.breaker, &stage.now());
    let refused_for = next.snapshot(&stage.now()).retry_after;
    assert_eq!((next.state(&stage.now()), refused_for), (Open, Some(left)));
    stage.wait(left);
    assert_eq!(next.state(&stage.now()), HalfOpen);

    // Half-open: the probes are the other's.
    assert!(stage.admit().is_ok());
    let next = others();
    next.take_over(&stage.breaker, &stage.now());
    assert_eq!(next.state(&stage.now()), HalfOpen);
    let Admission::Admitted(probe) = next.admit("a call", &stage.now()) else {
        panic!("a probe is let in");
    };
    probe.complete(Success, &stage.now());
    assert_eq!(next.state(&stage.now()), Closed);

    // By hand.
    stage.breaker.force_open(&stage.now());
    let next = others();
    next.take_over(&stage.breaker, &stage.now());
    assert_eq!(next.state(&stage.now()), CircuitState::ForcedOpen);
    next.force_close(&stage.now());
    assert_eq!(next.state(&stage.now()), Closed);
}

#[test]
fn one_that_goes_on_where_another_is_stays_open_for_longer_each_time_and_says_why() {
    let settings = BreakerSettings {
        consecutive_failures: Some(1),
        ..exact()
    };
    let (first, longest) = (settings.open_time, settings.longest_open_time);
    let told = Arc::new(Mutex::new(Vec::new()));
    let others = || {
        let told = Arc::clone(&told);
        let listener = move |news: &Transition| told.lock().push((news.to, news.cause));
        Breaker::with_listener("others", &settings, listener).unwrap()
    };
    let mut stage = Stage::with(others());
    stage.calls(&[Failure]);
    let mut open_for = first;
    // Whether it takes over while it is open, half-open, or closed for a moment.
    for round in 0..6 {
        assert_eq!(stage.refused_for(), open_for, "round {round}");
        let exchange = |stage: &mut Stage| {
            let next = others();
            next.take_over(&stage.breaker, &stage.now());
            assert_eq!(next.snapshot(&stage.now()).openings, round + 1);
            stage.breaker = next;
        };
        if round % 3 == 0 {
            exchange(&mut stage);
            assert_eq!(stage.refused_for(), open_for);
        }
        stage.wait(open_for);
        if round % 3 == 1 {
            exchange(&mut stage);
        }
        if round % 3 == 2 {
            stage.calls(&[Success]);
            exchange(&mut stage);
            stage.wait(open_for / 2);
        }
        stage.calls(&[Failure]);
        open_for = (open_for * 2).min(longest);
    }
    let told = told.lock();
    assert!(told.contains(&(Open, Cause::TakenOver)));
    assert!(!told.iter().any(|(_, cause)| *cause == Cause::ByHand));
}

#[test]
fn what_a_callee_asked_for_is_heeded_by_the_one_that_takes_over() {
    let mut stage = Stage::set(|settings| settings.jitter = 0.0);
    let Ok(mut permit) = stage.admit() else {
        panic!("it is closed");
    };
    permit.pushback(40 * SECOND);
    permit.complete(Failure, &stage.now());
    stage.wait(10 * SECOND);
    let settings = BreakerSettings {
        consecutive_failures: Some(1),
        ..BreakerSettings::default()
    };
    let next = Breaker::new("next", &settings).unwrap();
    assert!(stage.breaker.remembers(&stage.now()));
    next.take_over(&stage.breaker, &stage.now());
    let stage = Stage {
        breaker: next,
        ..stage
    };
    stage.calls(&[Failure]);
    assert_eq!(stage.refused_for(), 30 * SECOND);
}
