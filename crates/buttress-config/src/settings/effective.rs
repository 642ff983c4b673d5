use super::root::{RouteSettings, ServerPolicies, Settings, UpstreamSettings};
use super::scalar::{Switch, on};
use super::{
    CircuitBreakerSettings, RetrySettings, SharedPolicies, TimeoutSettings, waits_between_attempts,
};
use crate::routes::Match;
use crate::source::{At, Span};
use std::time::Duration;

impl Settings {
    /// The routes, in the file's order.
    pub fn routes(&self) -> &[At<RouteSettings>] {
        let routes = self
            .server
            .as_ref()
            .and_then(|server| server.route.as_ref());
        routes.map_or(&[], |routes| routes)
    }

    /// What the routes are for, in the file's order: for [`Routes`](crate::routes::Routes).
    pub fn matches(&self) -> Vec<Match> {
        let routes = self.routes().iter();
        routes.map(|route| Match::from(&*route.matching)).collect()
    }

    /// The policies of requests that no route matches: the file's defaults, and what they don't
    /// say by [the standard](ServerPolicies::standard).
    pub fn defaults(&self) -> ServerPolicies {
        let standard = ServerPolicies::standard();
        let defaults = self
            .server
            .as_ref()
            .and_then(|server| server.defaults.as_ref());
        defaults.map_or(standard.clone(), |defaults| defaults.or(&standard))
    }

    /// The policies of a route as they apply: its own, and what it does not say by the
    /// [defaults](Self::defaults).
    pub fn effective_route(&self, route: &RouteSettings) -> ServerPolicies {
        route.policies.or(&self.defaults())
    }

    /// The policies of an upstream [as they apply](UpstreamSettings::effective).
    pub fn effective_upstream(&self, name: &str) -> Option<UpstreamSettings> {
        let upstream = self.upstream.as_ref()?.get(name)?;
        Some(upstream.effective())
    }

    /// The shared policies that are used by these names, with the names.
    pub(crate) fn used<'a>(
        &'a self,
        names: Option<&'a At<Vec<At<String>>>>,
    ) -> impl Iterator<Item = (&'a str, &'a At<SharedPolicies>)> {
        let names = names.into_iter().flat_map(|names| names.iter());
        names.filter_map(|name| {
            let shared = self.policy.as_ref()?.get(name)?;
            Some((name.as_str(), shared))
        })
    }
}

impl UpstreamSettings {
    /// These policies, and what they don't say by [the standard](Self::standard). Where they don't
    /// say `attempt_timeout`, the standard makes room for what they do say:
    ///
    /// - A call that may take less than a second is made once, unless they say `retry`.
    /// - An attempt takes at most what the call's timeout leaves each of them, if that is less than
    ///   2.5 s: the timeout, less the waits between the attempts, through their number. Nor does it
    ///   take longer than half of the circuit breaker's time window.
    pub fn effective(&self) -> Self {
        let mut both = self.or(&Self::standard());
        if self.attempt_timeout.is_some() {
            return both;
        }
        let call = on(both.timeout.as_ref());
        let call = call.map(|call| *call.headers);
        if self.retry.is_none() && call.is_some_and(|call| call < SHORTEST_RETRIED) {
            both.retry = None;
        }
        let share = call.map(|call| both.share_of(call));
        let breaker = on(both.circuit_breaker.as_ref());
        let window = breaker.and_then(CircuitBreakerSettings::window_of_rates);
        let half = window.map(|(window, _)| window / 2);
        let each = [share, half].into_iter().flatten().min();
        if let Some(each) = each.filter(|each| *each < Self::STANDARD_ATTEMPT) {
            both.attempt_timeout = Some(At::new(Switch::On(TimeoutSettings::new(each))));
        }
        both
    }

    /// What each attempt has of a call's time. If the waits between them leave nothing, it is what it
    /// would be without those; such a file is refused for the waits.
    fn share_of(&self, call: Duration) -> Duration {
        let retry = on(self.retry.as_ref());
        let attempts = retry.map_or(1, RetrySettings::attempts);
        if attempts <= 1 {
            return call;
        }
        let waits = retry.map_or(Duration::ZERO, waits_between_attempts);
        let in_milliseconds = |time: Duration| {
            let whole = (time / attempts).as_millis();
            Duration::from_millis(u64::try_from(whole).unwrap_or(u64::MAX))
        };
        let share = in_milliseconds(call.saturating_sub(waits));
        if share.is_zero() {
            call / attempts
        } else {
            share
        }
    }
}

/// The standard retry would give each attempt less than a third of such a call.
const SHORTEST_RETRIED: Duration = Duration::from_secs(1);

impl CircuitBreakerSettings {
    /// The time window over which it looks at rates, and where that stands, unless it does not.
    pub(crate) fn window_of_rates(&self) -> Option<(Duration, Span)> {
        let rate = self.failure_rate.as_deref();
        if rate.is_some_and(|rate| rate.on().is_none()) && self.slow_calls.is_none() {
            return None;
        }
        match &self.time_window {
            Some(window) => Some((*window.on()?, window.span())),
            None => Some((DEFAULT_WINDOW, Span::default())),
        }
    }
}

/// The circuit breaker's own default.
const DEFAULT_WINDOW: Duration = Duration::from_secs(30);
