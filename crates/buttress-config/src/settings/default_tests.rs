//! What is reckoned with where a file says nothing is what builders do then: to write it changes nothing.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use super::effective::DEFAULT_WINDOW;
use super::waits::{BASE_IF_OVERLOADED, FACTOR, LONGEST_WAIT};
use super::{
    BackoffSettings, CircuitBreakerSettings, CoalesceSettings, HedgeSettings, JitterSettings,
    RetrySettings, Switch,
};
use crate::source::At;
use std::fmt::Debug;

fn same(written: &impl Debug, unwritten: &impl Debug) {
    assert_eq!(format!("{written:?}"), format!("{unwritten:?}"));
}

#[test]
fn attempts_and_the_longest_wait_are_those_of_retries() {
    let written = RetrySettings {
        attempts: Some(At::new(RetrySettings::ATTEMPTS)),
        longest_wait: Some(At::new(LONGEST_WAIT)),
        ..RetrySettings::default()
    };
    let unwritten = RetrySettings::default().builder().unwrap();
    same(&written.builder().unwrap(), &unwritten);
    same(&buttress::Retry::builder(), &unwritten);
}

#[test]
fn waits_are_those_of_backoffs() {
    let written = BackoffSettings {
        base: Some(At::new(BackoffSettings::BASE)),
        cap: Some(At::new(BackoffSettings::CAP)),
        factor: Some(At::new(FACTOR)),
        jitter: Some(At::new(JitterSettings::Full)),
        base_if_overloaded: Some(At::new(BASE_IF_OVERLOADED)),
        constant: None,
    };
    let unwritten = BackoffSettings::default().backoff().unwrap();
    same(&written.backoff().unwrap(), &unwritten);
    same(&buttress::Backoff::new(), &unwritten);
}

#[test]
fn copies_are_those_of_hedges() {
    let written = HedgeSettings {
        attempts: Some(At::new(HedgeSettings::COPIES)),
        ..HedgeSettings::default()
    };
    let unwritten = HedgeSettings::default().builder().unwrap();
    same(&written.builder().unwrap(), &unwritten);
}

#[test]
fn the_window_is_that_of_breakers() {
    let written = CircuitBreakerSettings {
        time_window: Some(At::new(Switch::On(DEFAULT_WINDOW))),
        ..CircuitBreakerSettings::default()
    };
    let unwritten = CircuitBreakerSettings::default().builder("u");
    same(&written.builder("u"), &unwritten);
}

#[test]
fn the_wait_for_a_body_is_that_of_coalescing() {
    let written = CoalesceSettings {
        body_wait: Some(At::new(CoalesceSettings::BODY_WAIT)),
        ..CoalesceSettings::default()
    };
    let unwritten = CoalesceSettings::default().builder();
    same(&written.builder(), &unwritten);
}
