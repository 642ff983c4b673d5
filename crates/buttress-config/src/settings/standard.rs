use super::request::{AttemptSettings, CriticalitySettings, DeadlineSettings, TimeoutSettings};
use super::retry::RetrySettings;
use super::root::{ServerPolicies, UpstreamSettings};
use super::scalar::Switch;
use super::{CircuitBreakerSettings, PressureSettings};
use crate::source::At;
use std::time::Duration;

impl ServerPolicies {
    /// What a route has of which nothing is said.
    ///
    /// - `deadline`: callers' deadlines are kept, and nobody waits for longer than 30 s.
    /// - `attempt`: failures of attempts that were given up further down are marked.
    /// - `criticality`: nobody's header is believed.
    /// - `pressure`: while processors or memory are nearly used up, a part of the calls is refused,
    ///   the least critical first.
    ///
    /// There is no limit on calls, because nobody knows yet how many are well: add a `bulkhead` or
    /// an `adaptive_limit`.
    pub fn standard() -> Self {
        Self {
            deadline: Some(on(DeadlineSettings {
                at_most: At::new(Duration::from_secs(30)),
                header: None,
                name: None,
            })),
            attempt: Some(on(AttemptSettings::default())),
            criticality: Some(on(CriticalitySettings::default())),
            pressure: Some(on(PressureSettings {
                priority: Some(At::new(Switch::On(super::PrioritySettings::default()))),
                ..PressureSettings::default()
            })),
            ..Self::default()
        }
    }

    /// These, and what they don't say by `others`. Each policy is taken as a whole.
    pub fn or(&self, others: &Self) -> Self {
        macro_rules! or {
            ($($field:ident),+) => {
                Self { $( $field: self.$field.clone().or_else(|| others.$field.clone()), )+ }
            };
        }
        or!(
            uses,
            deadline,
            attempt,
            criticality,
            pressure,
            deadline_shedder,
            rate_limit,
            fair_share,
            bulkhead,
            adaptive_limit,
            queue_delay,
            pace,
            timeout
        )
    }
}

impl UpstreamSettings {
    /// What an upstream has of which nothing is said.
    ///
    /// - `timeout`: a call takes 10 s at most.
    /// - `retry`: three attempts with full jitter, by a budget of 20 %, and of safe requests only.
    /// - `circuit_breaker`: with its defaults.
    /// - `attempt_timeout`: an attempt takes 2.5 s at most, so that three of them and the waits
    ///   between them fit into the call's time. It is [less](super::Settings::effective_upstream) in a shorter
    ///   call.
    ///
    /// An upstream with a `hedge` has no `retry` unless it says so itself.
    pub fn standard() -> Self {
        Self {
            timeout: Some(on(TimeoutSettings::new(Duration::from_secs(10)))),
            retry: Some(on(RetrySettings::default())),
            circuit_breaker: Some(on(CircuitBreakerSettings::default())),
            attempt_timeout: Some(on(TimeoutSettings::new(Self::STANDARD_ATTEMPT))),
            ..Self::default()
        }
    }

    pub(crate) const STANDARD_ATTEMPT: Duration = Duration::from_millis(2_500);

    /// These, and what they don't say by `others`. Each policy is taken as a whole.
    pub fn or(&self, others: &Self) -> Self {
        macro_rules! or {
            ($($field:ident),+) => {
                Self { $( $field: self.$field.clone().or_else(|| others.$field.clone()), )+ }
            };
        }
        let mut both = or!(
            uses,
            coalesce,
            stale_if_error,
            timeout,
            retry,
            hedge,
            throttle,
            circuit_breaker,
            rate_limit,
            bulkhead,
            adaptive_limit,
            pace,
            attempt_timeout,
            deadline_header,
            criticality_header
        );
        let hedges = self
            .hedge
            .as_ref()
            .is_some_and(|hedge| hedge.on().is_some());
        if hedges && self.retry.is_none() {
            both.retry = None;
        }
        both
    }
}

impl TimeoutSettings {
    /// So long to the response's headers.
    pub fn new(headers: Duration) -> Self {
        Self {
            headers: At::new(headers),
            idle_body: None,
            whole_body: None,
            sets_deadline: None,
            name: None,
        }
    }
}

fn on<T>(settings: T) -> At<Switch<T>> {
    At::new(Switch::On(settings))
}
