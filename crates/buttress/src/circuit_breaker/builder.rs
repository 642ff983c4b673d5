use super::CircuitBreaker;
use super::transitions::Sender;
use crate::keyed::KeyedBuilder;
use buttress_core::SettingError;
use buttress_core::breaker::{
    Breaker, BreakerSettings, CancelledCounts, OverloadCounts, SlowCalls,
};
use std::time::Duration;

/// The settings of a [`CircuitBreaker`].
///
/// Each condition opens it by itself, and each has its default until it is changed or left out.
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct CircuitBreakerBuilder {
    name: &'static str,
    settings: BreakerSettings,
}

impl CircuitBreakerBuilder {
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            settings: BreakerSettings::default(),
        }
    }

    /// Opens after so many failures in a row, at least 1: 5 by default, as in Finagle and Envoy.
    /// It is what opens the breaker of a quiet service in time.
    pub fn consecutive_failures(mut self, failures: u32) -> Self {
        self.settings.consecutive_failures = Some(failures);
        self
    }

    /// Does not look at failures in a row.
    pub fn no_consecutive_failures(mut self) -> Self {
        self.settings.consecutive_failures = None;
        self
    }

    /// Opens when this part of the calls in a window failed, above 0 and at most 1: 0.5 by
    /// default, as in Hystrix and resilience4j.
    pub fn failure_rate(mut self, rate: f64) -> Self {
        self.settings.failure_rate = Some(rate);
        self
    }

    /// Does not look at the rate of failures.
    pub fn no_failure_rate(mut self) -> Self {
        self.settings.failure_rate = None;
        self
    }

    /// Opens when this part of the calls in a window (above 0 and at most 1) took `duration` (up
    /// to a year) or longer. Off by default, since only you know what is slow.
    pub fn slow_calls(mut self, duration: Duration, rate: f64) -> Self {
        self.settings.slow_calls = Some(SlowCalls { duration, rate });
        self
    }

    /// How many calls a window must hold before its rates mean anything, at least 1: 20 by
    /// default, as in Hystrix. The rates are looked at with each call that is counted.
    pub fn min_calls(mut self, calls: u32) -> Self {
        self.settings.min_calls = calls;
        self
    }

    /// Looks at the rates over the last while, 100 ms to a year: 30 s by default, as in Polly. It
    /// is kept in ten buckets, so it is at most a tenth shorter.
    pub fn time_window(mut self, window: Duration) -> Self {
        self.settings.time_window = Some(window);
        self
    }

    /// Does not look at the last while.
    pub fn no_time_window(mut self) -> Self {
        self.settings.time_window = None;
        self
    }

    /// Looks at the rates over the last so many calls as well, 1 to 1 000 000, however long ago
    /// they were. Off by default.
    pub fn count_window(mut self, calls: u32) -> Self {
        self.settings.count_window = Some(calls);
        self
    }

    /// How many calls pass as probes while it is half-open: 1 by default, as in Finagle, linkerd
    /// and Polly, and no more than the minimum of calls. If one is cancelled early, or refused
    /// further in, its slot is the next call's.
    pub fn probes(mut self, probes: u32) -> Self {
        self.settings.probes = probes;
        self
    }

    /// How many of the probes must succeed to close it, at least 1: all of them by default. It
    /// opens again as soon as so many cannot be reached any more. A slow probe has failed.
    pub fn probes_to_close(mut self, successes: u32) -> Self {
        self.settings.probes_to_close = Some(successes);
        self
    }

    /// When a probe that neither ends nor is dropped is given up for lost, up to a year: 10 s by
    /// default. If its answer has been coming in all the while, as in a stream without an end, it
    /// has succeeded; if there was none, its slot is the next call's.
    pub fn probe_patience(mut self, patience: Duration) -> Self {
        self.settings.probe_patience = patience;
        self
    }

    /// How long it stays open: `first` at first (5 s by default, as in Polly), then twice as long
    /// each time a probe fails, and `longest` at most (60 s by default, as in linkerd). Up to a
    /// year.
    ///
    /// It starts with `first` again once it was closed for longer than it had been open; if it
    /// opens before that, the probes were lucky. A callee that says when to come back (in
    /// `Retry-After` or `grpc-retry-pushback-ms`) is not probed earlier, within `longest`.
    pub fn open_time(mut self, first: Duration, longest: Duration) -> Self {
        self.settings.open_time = first;
        self.settings.longest_open_time = longest;
        self
    }

    /// The part of each open time that is left to chance, 0 to 0.9, so that not all instances
    /// probe at the same moment: 0.2 by default, which leaves 80 to 100 % of it.
    pub fn jitter(mut self, part: f64) -> Self {
        self.settings.jitter = part;
        self
    }

    /// Makes the jitter the same in each run.
    pub fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = Some(seed);
        self
    }

    /// What calls count as that the callee refused for being too much:
    /// [for the rate](OverloadCounts::ForTheRate) by default.
    pub fn overload(mut self, counts: OverloadCounts) -> Self {
        self.settings.overload = counts;
        self
    }

    /// What calls count as that their callers dropped before there was an answer:
    /// [a failure if they were slow](CancelledCounts::AsFailureIfSlow) by default.
    pub fn cancelled(mut self, counts: CancelledCounts) -> Self {
        self.settings.cancelled = counts;
        self
    }

    /// One breaker with these settings for each key: each upstream, each endpoint. What follows is
    /// set on the keyed builder.
    pub fn by<K>(self, key: K) -> KeyedBuilder<K, Breaker> {
        let template = Breaker::new(self.name, &self.settings);
        KeyedBuilder::from_template(key, self.name, template, Breaker::fresh)
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<CircuitBreaker, SettingError> {
        let transitions = Sender::new();
        let listener = transitions.clone();
        let tell = move |transition: &_| listener.send(*transition);
        Ok(CircuitBreaker {
            breaker: Breaker::with_listener(self.name, &self.settings, tell)?,
            transitions,
        })
    }
}
