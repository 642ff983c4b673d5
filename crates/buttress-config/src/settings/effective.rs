use super::root::{RouteSettings, ServerPolicies, Settings, UpstreamSettings};
use super::{CircuitBreakerSettings, SharedPolicies};
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

    /// The policies of an upstream as they apply: its own, and what it does not say by [the
    /// standard](UpstreamSettings::standard). Where it does not say `attempt_timeout`, the standard makes
    /// room for what it does say:
    ///
    /// - A call that may take less than a second is made once, unless it says `retry`.
    /// - Each of several attempts takes at most what the call's timeout leaves it, if that is less than
    ///   2.5 s: the timeout, less the waits between the attempts and those in queues before each, through
    ///   their number. A file that leaves them less than 100 ms is refused. One alone has the call's time.
    ///
    /// The waits after an overload are counted if the file speaks of them (`base_if_overloaded`).
    pub fn effective_upstream(&self, name: &str) -> Option<UpstreamSettings> {
        let upstream = self.upstream.as_ref()?.get(name)?;
        Some(upstream.effective(self))
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
pub(super) const DEFAULT_WINDOW: Duration = Duration::from_secs(30);
