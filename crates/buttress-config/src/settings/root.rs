//! The file as a whole.

use super::admission::{
    AdaptiveLimitSettings, BulkheadSettings, FairShareSettings, PaceSettings, RateLimitSettings,
};
use super::breaker::{CircuitBreakerSettings, ThrottleSettings};
use super::client::{
    CoalesceSettings, CriticalityHeaderSettings, DeadlineHeaderSettings, StaleIfErrorSettings,
};
use super::matching::MatchSettings;
use super::named::Named;
use super::request::{AttemptSettings, CriticalitySettings, DeadlineSettings, TimeoutSettings};
use super::retry::{HedgeSettings, RetrySettings};
use super::scalar::Switch;
use super::shed::{DeadlineShedderSettings, PressureSettings, QueueDelaySettings};
use crate::source::At;

settings! {
    /// Resilience per route and per upstream.
    #[derive(Default)]
    pub struct Settings {
        /// What is done about incoming requests.
        optional server: ServerSettings,
        /// Policies that several routes or upstreams share, by name.
        optional policy: Named<SharedPolicies>,
        /// What is done about outgoing requests, by the upstream's name.
        optional upstream: Named<UpstreamSettings>,
    }

    /// What is done about incoming requests.
    #[derive(Default)]
    pub struct ServerSettings {
        /// What every route has that does not say otherwise.
        optional defaults: ServerPolicies,
        /// The routes. The most specific one that matches applies.
        optional route: Vec<At<RouteSettings>>,
    }

    /// A route, and its policies.
    pub struct RouteSettings {
        /// Which requests it is about.
        expected matching ("match"): MatchSettings,
        /// Its policies.
        flatten policies: ServerPolicies,
    }

    /// The policies of a route, in the order in which a request meets them. Each belongs to one
    /// route, unless it is shared by name.
    #[derive(Default)]
    pub struct ServerPolicies {
        /// Shared policies that apply as well, by name, each in front of the route's own of its
        /// kind.
        optional uses ("use"): Vec<At<String>>,
        /// Says how critical requests are.
        optional criticality: Switch<CriticalitySettings>,
        /// Reads the caller's deadline, and enforces it.
        optional deadline: Switch<DeadlineSettings>,
        /// Reads how many attempts there were before the request.
        optional attempt: Switch<AttemptSettings>,
        /// Refuses a share of the calls while processors or memory are nearly used up.
        optional pressure: Switch<PressureSettings>,
        /// Refuses calls that cannot be answered before their deadline.
        optional deadline_shedder: Switch<DeadlineShedderSettings>,
        /// So many calls in so much time.
        optional rate_limit: Switch<RateLimitSettings>,
        /// At most so many calls at once, of which no key gets more than its share.
        optional fair_share: Switch<FairShareSettings>,
        /// At most so many calls at once.
        optional bulkhead: Switch<BulkheadSettings>,
        /// As many calls at once as are handled well.
        optional adaptive_limit: Switch<AdaptiveLimitSettings>,
        /// Calls one by one, at a steady pace.
        optional pace: Switch<PaceSettings>,
        /// Refuses calls that have waited for too long.
        optional queue_delay: Switch<QueueDelaySettings>,
        /// Bounds how long a call may take once it was let in.
        optional timeout: Switch<TimeoutSettings>,
    }

    /// Policies that several routes or upstreams share: one limit for all of them together.
    #[derive(Default)]
    pub struct SharedPolicies {
        /// So many calls in so much time.
        optional rate_limit: RateLimitSettings,
        /// At most so many calls at once, of which no key gets more than its share.
        optional fair_share: FairShareSettings,
        /// At most so many calls at once.
        optional bulkhead: BulkheadSettings,
        /// As many calls at once as are handled well.
        optional adaptive_limit: AdaptiveLimitSettings,
        /// Calls one by one, at a steady pace.
        optional pace: PaceSettings,
    }

    /// What is done about the requests to an upstream, in the order in which a request meets it.
    #[derive(Default)]
    pub struct UpstreamSettings {
        /// Shared policies that apply as well, by name, each in front of the upstream's own of its
        /// kind.
        optional uses ("use"): Vec<At<String>>,
        /// Lets identical calls that are under way share one.
        optional coalesce: Switch<CoalesceSettings>,
        /// Answers with what the callee said when it was last well, if it is not well now.
        optional stale_if_error: Switch<StaleIfErrorSettings>,
        /// Bounds how long the whole call may take, with all of its attempts.
        optional timeout: Switch<TimeoutSettings>,
        /// Tries again. Not together with `hedge`. It is there by default, but not in a call of less
        /// than a second of which no `attempt_timeout` is said.
        optional retry: Switch<RetrySettings>,
        /// Sends slow calls a second time. Not together with `retry`.
        optional hedge: Switch<HedgeSettings>,
        /// Leaves the callee alone while it fails.
        optional circuit_breaker: Switch<CircuitBreakerSettings>,
        /// Doesn't send what the callee would turn away.
        optional throttle: Switch<ThrottleSettings>,
        /// So many attempts in so much time.
        optional rate_limit: Switch<RateLimitSettings>,
        /// At most so many attempts at once.
        optional bulkhead: Switch<BulkheadSettings>,
        /// As many attempts at once as the callee handles well.
        optional adaptive_limit: Switch<AdaptiveLimitSettings>,
        /// Attempts one by one, at a steady pace.
        optional pace: Switch<PaceSettings>,
        /// Bounds how long each attempt may take: 2.5 s by default, or what a shorter `timeout` leaves
        /// each attempt after the waits between them and in queues, which must be 100 ms at least.
        optional attempt_timeout: Switch<TimeoutSettings>,
        /// Tells the callee how much time is left.
        optional deadline_header: Switch<DeadlineHeaderSettings>,
        /// Tells the callee how critical the request is.
        optional criticality_header: Switch<CriticalityHeaderSettings>,
    }
}
