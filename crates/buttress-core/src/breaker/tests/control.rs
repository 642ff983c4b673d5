//! By hand, and what is told.

use super::*;
use CircuitState::{Closed, Disabled, HalfOpen, Open};
use Outcome::{Failure, Success};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::OnceLock;

#[test]
fn it_does_what_it_is_told() {
    let mut stage = Stage::set(|_| {});
    stage.breaker.force_open(&stage.now());
    assert_eq!(stage.state(), CircuitState::ForcedOpen);
    stage.wait(24 * 60 * 60 * SECOND);
    assert_eq!(stage.admit().unwrap_err().wait(), None);
    stage.breaker.force_close(&stage.now());
    assert_eq!(stage.state(), CircuitState::Closed);
    stage.trip();
    stage.breaker.disable(&stage.now());
    for _ in 0..100 {
        assert!(stage.call(Failure));
    }
    assert_eq!(stage.state(), CircuitState::Disabled);
    assert_eq!(stage.snapshot().time_window.unwrap().calls, 0);
    stage.breaker.reset(&stage.now());
    assert_eq!(stage.state(), CircuitState::Closed);
    assert_eq!(stage.snapshot().openings, 0);
}

#[test]
fn calls_from_before_a_change_by_hand_do_not_count() {
    let stage = Stage::set(|settings| settings.consecutive_failures = Some(1));
    let before = stage.admit().unwrap();
    stage.breaker.force_close(&stage.now());
    before.complete(Failure, &stage.now());
    assert_eq!(stage.state(), CircuitState::Closed);
}

#[test]
fn closed_by_hand_it_remembers_how_often_it_opened_and_reset_it_does_not() {
    let mut stage = Stage::set(|_| {});
    stage.trip();
    stage.wait(5 * SECOND);
    stage.call(Failure);
    stage.breaker.force_close(&stage.now());
    stage.trip();
    assert_eq!(stage.refused_for(), 20 * SECOND);
    stage.breaker.reset(&stage.now());
    stage.trip();
    assert_eq!(stage.refused_for(), 5 * SECOND);
}

#[test]
fn metrics_only_decides_and_refuses_nothing() {
    let mut stage = Stage::set(|_| {});
    stage.breaker.metrics_only(&stage.now());
    stage.calls(&[Failure; 5]);
    let snapshot = stage.snapshot();
    assert_eq!(snapshot.state, CircuitState::MetricsOnly);
    assert_eq!(snapshot.decision, CircuitState::Open);
    stage.calls(&[Success; 10]);
    assert_eq!(stage.snapshot().would_have_refused, 10);
    assert_eq!(stage.snapshot().decision, CircuitState::Open);
    stage.wait(5 * SECOND);
    let probe = stage.admit().unwrap();
    stage.calls(&[Failure; 3]);
    assert_eq!(stage.snapshot().decision, CircuitState::HalfOpen);
    assert_eq!(stage.snapshot().would_have_refused, 13);
    probe.complete(Success, &stage.now());
    assert_eq!(stage.snapshot().decision, CircuitState::Closed);
    assert_eq!(stage.snapshot().state, CircuitState::MetricsOnly);
}

#[test]
fn listeners_hear_of_each_change_in_order_and_may_ask_back() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let itself: Arc<OnceLock<Breaker>> = Arc::default();
    let (hears, asks) = (Arc::clone(&heard), Arc::clone(&itself));
    let breaker = Breaker::with_listener("told", &exact(), move |transition| {
        hears.lock().push(*transition);
        // Whoever is told may look, and even meddle.
        if let Some(breaker) = asks.get() {
            let now = Now::at(transition.at);
            breaker.snapshot(&now);
            if transition.to == CircuitState::Closed {
                breaker.disable(&now);
            }
        }
    });
    let mut stage = Stage::with(breaker.unwrap());
    itself.set(stage.breaker.clone()).unwrap();
    stage.trip();
    stage.wait(5 * SECOND);
    stage.call(Success);
    let told: Vec<_> = heard
        .lock()
        .iter()
        .map(|t| (t.from, t.to, t.cause))
        .collect();
    assert_eq!(
        told,
        [
            (Closed, Open, Cause::ConsecutiveFailures),
            (Open, HalfOpen, Cause::OpenTimePassed),
            (HalfOpen, Closed, Cause::ProbesSucceeded),
            (Closed, Disabled, Cause::ByHand),
        ]
    );
    assert_eq!(heard.lock()[0].open_for, Some(5 * SECOND));
    assert_eq!(heard.lock()[1].open_for, None);
}

#[test]
fn a_listener_that_panics_does_not_silence_the_next_change() {
    let heard = Arc::new(Mutex::new(0));
    let hears = Arc::clone(&heard);
    let breaker = Breaker::with_listener("told", &BreakerSettings::default(), move |_| {
        *hears.lock() += 1;
        assert!(*hears.lock() > 1, "the first time");
    });
    let stage = Stage::with(breaker.unwrap());
    let told = || stage.breaker.force_open(&stage.now());
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(told)).is_err());
    stage.breaker.force_close(&stage.now());
    assert_eq!(*heard.lock(), 2);
}

#[test]
fn a_key_whose_breaker_is_as_new_may_be_forgotten() {
    let retention = |stage: &Stage| PerKey::<()>::retention(&stage.breaker, &stage.now());
    let mut stage = Stage::set(|_| {});
    assert_eq!(retention(&stage), Retention::Idle);
    stage.call(Success);
    assert_eq!(retention(&stage), Retention::Active);
    stage.wait(30 * SECOND);
    assert_eq!(retention(&stage), Retention::Idle);
    stage.trip();
    assert_eq!(retention(&stage), Retention::Active);
    stage.wait(5 * SECOND);
    stage.call(Success);
    // It would open for longer than a new one.
    assert_eq!(retention(&stage), Retention::Active);
    stage.wait(5 * SECOND);
    assert_eq!(retention(&stage), Retention::Idle);
}

#[test]
fn fresh_ones_share_nothing_but_their_settings() {
    let stage = Stage::set(|settings| settings.consecutive_failures = Some(2));
    let other = Stage::with(stage.breaker.fresh());
    stage.trip();
    assert_eq!(other.state(), CircuitState::Closed);
    other.calls(&[Failure, Failure]);
    assert_eq!(other.state(), CircuitState::Open);
}

#[test]
fn fresh_ones_begin_in_the_mode_by_hand() {
    let stage = Stage::set(|_| {});
    stage.breaker.force_open(&stage.now());
    let other = Stage::with(stage.breaker.fresh());
    assert_eq!(other.state(), CircuitState::ForcedOpen);
    assert!(other.admit().is_err());
    stage.breaker.metrics_only(&stage.now());
    assert_eq!(other.state(), CircuitState::ForcedOpen, "it is its own");
    let other = Stage::with(stage.breaker.fresh());
    assert_eq!(other.state(), CircuitState::MetricsOnly);
    stage.breaker.reset(&stage.now());
    stage.trip();
    // What it decided by itself is not the other's.
    let other = Stage::with(stage.breaker.fresh());
    assert_eq!(other.state(), Closed);
}
