use super::admission::name_of;
use super::limit::set_shares;
use super::{set, set_flags};
use crate::settings::{
    CancelledSettings, CircuitBreakerSettings, CoalesceSettings, OverloadSettings,
    StaleIfErrorSettings, Switch, ThrottleSettings,
};
use buttress::coalesce::SameRequest;
use buttress::fallback::StaleIfErrorBuilder;
use buttress::{
    CancelledCounts, CircuitBreaker, CircuitBreakerBuilder, Coalesce, CoalesceBuilder,
    OverloadCounts, StaleIfError, Throttle, ThrottleBuilder,
};
use std::time::Duration;

impl CircuitBreakerSettings {
    /// For all calls; whether it is for keys is for the caller to see. `name` is its name if the
    /// settings have none.
    pub(crate) fn builder(&self, name: &'static str) -> CircuitBreakerBuilder {
        let name = name_of(self.name.as_ref()).unwrap_or(name);
        let mut builder = CircuitBreaker::builder(name);
        match self.consecutive_failures.as_deref() {
            Some(Switch::On(failures)) => builder = builder.consecutive_failures(*failures),
            Some(Switch::Off) => builder = builder.no_consecutive_failures(),
            None => {}
        }
        match self.failure_rate.as_deref() {
            Some(Switch::On(rate)) => builder = builder.failure_rate(rate.0),
            Some(Switch::Off) => builder = builder.no_failure_rate(),
            None => {}
        }
        match self.time_window.as_deref() {
            Some(Switch::On(window)) => builder = builder.time_window(*window),
            Some(Switch::Off) => builder = builder.no_time_window(),
            None => {}
        }
        if let Some(slow) = &self.slow_calls {
            builder = builder.slow_calls(*slow.duration, slow.rate.0);
        }
        set!(builder;
            self.min_calls => min_calls,
            self.count_window => count_window,
            self.probes => probes,
            self.probes_to_close => probes_to_close,
            self.probe_patience => probe_patience,
            self.seed => seed,
        );
        set_shares!(builder; self.jitter => jitter);
        if self.open_time.is_some() {
            let (first, longest) = self.open_times();
            builder = builder.open_time(first, longest);
        }
        if let Some(overload) = &self.overload {
            builder = builder.overload(match **overload {
                OverloadSettings::AsFailure => OverloadCounts::AsFailure,
                OverloadSettings::ForTheRate => OverloadCounts::ForTheRate,
                OverloadSettings::AsNothing => OverloadCounts::AsNothing,
            });
        }
        if let Some(cancelled) = &self.cancelled {
            builder = builder.cancelled(match **cancelled {
                CancelledSettings::AsFailureIfSlow => CancelledCounts::AsFailureIfSlow,
                CancelledSettings::AsFailureAfter(time) => CancelledCounts::AsFailureAfter(time),
                CancelledSettings::AsNothing => CancelledCounts::AsNothing,
            });
        }
        builder
    }

    /// How long it stays open, at first and at most. A first one that is longer than the default
    /// of the longest raises that.
    fn open_times(&self) -> (Duration, Duration) {
        let settings = self.open_time.as_ref();
        let first = settings.and_then(|time| time.first.as_ref());
        let first = first.map_or(Duration::from_secs(5), |first| **first);
        let longest = settings.and_then(|time| time.longest.as_ref());
        let longest = longest.map_or(Duration::from_secs(60).max(first), |longest| **longest);
        (first, longest)
    }
}

impl ThrottleSettings {
    /// For all calls; whether it is for keys is for the caller to see.
    pub(crate) fn builder(&self) -> ThrottleBuilder {
        let mut builder = Throttle::builder();
        set!(builder;
            self.multiplier => multiplier,
            self.window => window,
            self.seed => seed,
        );
        set_shares!(builder; self.most_refused => most_refused);
        set_flags!(builder; self.failures_count => failures_count);
        match name_of(self.name.as_ref()) {
            Some(name) => builder.named(name),
            None => builder,
        }
    }
}

impl CoalesceSettings {
    pub(crate) fn builder(&self) -> CoalesceBuilder<SameRequest> {
        let mut builder = Coalesce::builder();
        set!(builder; self.max_keys => max_keys, self.body_wait => body_wait);
        if let Some(size) = &self.max_body {
            builder = builder.max_body(size.0);
        }
        if let Some(size) = &self.max_memory {
            builder = builder.max_memory(size.0);
        }
        builder
    }
}

impl StaleIfErrorSettings {
    pub(crate) fn builder(&self) -> StaleIfErrorBuilder {
        let mut builder = StaleIfError::builder();
        set!(builder;
            self.max_entries => max_entries,
            self.longest => longest,
            self.unless_told => unless_told,
        );
        if let Some(size) = &self.max_bytes {
            builder = builder.max_bytes(size.0);
        }
        if let Some(size) = &self.max_body {
            builder = builder.max_body(size.0);
        }
        builder
    }
}
