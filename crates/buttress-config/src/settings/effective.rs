use super::root::{RouteSettings, ServerPolicies, Settings, UpstreamSettings};
use crate::routes::Match;
use crate::source::At;

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
    /// standard](UpstreamSettings::standard).
    pub fn effective_upstream(&self, name: &str) -> Option<UpstreamSettings> {
        let upstream = self.upstream.as_ref()?.get(name)?;
        Some(upstream.or(&UpstreamSettings::standard()))
    }
}
