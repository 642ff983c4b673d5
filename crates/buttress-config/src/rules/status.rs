use super::registry::{Handle, Made, Registry};
use crate::policy::{AnyOf, AnyPolicy};
use crate::settings::{
    AdaptiveLimitSettings, BulkheadSettings, CircuitBreakerSettings, CoalesceSettings,
    DeadlineShedderSettings, FairShareSettings, HedgeSettings, PaceSettings, PressureSettings,
    QueueDelaySettings, RateLimitSettings, RetrySettings, Setting, StaleIfErrorSettings,
    ThrottleSettings,
};
use buttress::circuit_breaker::{Snapshot, Tally};
use buttress::{CircuitState, RateLimitSnapshot};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How a policy is doing.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PolicyStatus {
    /// Where it stands: `policy.NAME/KIND`, `route MATCH/KIND`, `upstream.NAME/KIND`.
    pub policy: String,
    /// What the file calls it: `bulkhead`, `circuit_breaker`.
    pub kind: &'static str,
    /// Whether it is obeyed. Those that never refuse anything always are.
    pub enforced: bool,
    /// How many calls it would have refused, had it been obeyed.
    pub would_have_refused: u64,
    /// How many it would have made wait.
    pub would_have_waited: u64,
    /// What else there is to know, as JSON: limits, calls in flight, the state of a breaker, and as
    /// `settings` what the file says. Of a policy with a key, how many keys it knows (`keys`), and
    /// how many it can (`max_keys`). Times are in milliseconds. Fields may be added at any time.
    pub details: Map<String, Value>,
}

impl PolicyStatus {
    /// All of them, in the order of their names.
    pub(super) fn all(registry: &Registry) -> Vec<Self> {
        let policies = registry.with_settings();
        policies
            .map(|(id, handle, settings)| Self::of(id, handle, settings))
            .collect()
    }

    fn of(id: &str, handle: &Handle, settings: &Made) -> Self {
        let (enforced, refused, waited) = match handle {
            Handle::Policy(_, policy) => (
                policy.is_enforced(),
                policy.would_have_refused_in_all(),
                policy.would_have_waited(),
            ),
            _ => (true, 0, 0),
        };
        let kind = match handle {
            Handle::Policy(kind, _) => kind,
            Handle::Retry(_) => "retry",
            Handle::Hedge(_) => "hedge",
            Handle::Coalesce(_) => "coalesce",
            Handle::Stale(_) => "stale_if_error",
        };
        let mut details = match details(handle) {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        details.insert("settings".into(), shown(settings));
        Self {
            policy: id.to_owned(),
            kind,
            enforced,
            would_have_refused: refused,
            would_have_waited: waited,
            details,
        }
    }

    /// The same as JSON.
    pub fn json(&self) -> Value {
        let mut all = Map::new();
        all.insert("policy".into(), self.policy.as_str().into());
        all.insert("kind".into(), self.kind.into());
        all.insert("enforced".into(), self.enforced.into());
        all.insert("would_have_refused".into(), self.would_have_refused.into());
        all.insert("would_have_waited".into(), self.would_have_waited.into());
        all.extend(self.details.clone());
        all.into()
    }
}

fn details(handle: &Handle) -> Value {
    match handle {
        Handle::Policy(_, policy) => {
            let mut details = policy_details(policy.policy().policy());
            if let Value::Object(details) = &mut details {
                if let Some(height) = policy.policy().height() {
                    details.insert("priority_bar".into(), height.into());
                }
                if let Some(most) = most_keys(policy.policy().policy()) {
                    details.insert("max_keys".into(), most.into());
                }
            }
            details
        }
        Handle::Retry(retry) => {
            json!({ "name": retry.name(), "budget_left": retry.budget_left() })
        }
        Handle::Hedge(hedge) => {
            let snapshot = hedge.snapshot();
            let delay = snapshot.delay.map(milliseconds);
            json!({ "sent": snapshot.sent, "won": snapshot.won, "delay_ms": delay })
        }
        Handle::Coalesce(coalesce) => json!({ "in_flight": coalesce.in_flight() }),
        Handle::Stale(stale) => json!({ "answers": stale.len(), "bytes": stale.bytes() }),
    }
}

fn policy_details(policy: &AnyPolicy) -> Value {
    match policy {
        AnyOf::Pressure(pressure) => {
            let reading = pressure.reading();
            json!({
                "refused_share": pressure.refused_share(),
                "cpu": reading.cpu,
                "memory": reading.memory,
            })
        }
        AnyOf::DeadlineShedder(shedder) => {
            json!({ "expected_ms": shedder.expected().map(milliseconds) })
        }
        AnyOf::QueueDelay(delay) => json!({ "overloaded": delay.is_overloaded() }),
        AnyOf::RateLimit(limit) => rate_details("gcra", "burst", &limit.snapshot()),
        AnyOf::WindowLimit(limit) => rate_details("sliding_window", "limit", &limit.snapshot()),
        AnyOf::Pace(pace) => json!({ "waiting": pace.waiting() }),
        AnyOf::RateLimitBy(keyed) => json!({ "keys": keyed.keys() }),
        AnyOf::WindowLimitBy(keyed) => json!({ "keys": keyed.keys() }),
        AnyOf::BulkheadBy(keyed) => json!({ "keys": keyed.keys() }),
        AnyOf::AdaptiveBy(keyed) => json!({ "keys": keyed.keys() }),
        AnyOf::PaceBy(keyed) => json!({ "keys": keyed.keys() }),
        AnyOf::BreakerBy(keyed) => {
            let states: Map<String, Value> = keyed
                .states()
                .into_iter()
                .map(|(state, keys)| (state.name().to_owned(), keys.into()))
                .collect();
            json!({
                "keys": keyed.keys(),
                "states": states,
                "by_hand": keyed.mode().map(CircuitState::name),
            })
        }
        AnyOf::ThrottleBy(keyed) => json!({ "keys": keyed.keys() }),
        AnyOf::FairShare(shares) => {
            json!({ "limit": shares.limit(), "in_flight": shares.in_flight() })
        }
        AnyOf::Bulkhead(slots) => json!({
            "limit": slots.limit(),
            "in_flight": slots.in_flight(),
            "waiting": slots.waiting(),
        }),
        AnyOf::Sharded(sharded) => json!({
            "compartments": sharded.compartments().len(),
            "limit_of_each": sharded.compartments().first().map(buttress::Slots::limit),
            "in_flight": sharded.in_flight(),
            "waiting": sharded.waiting(),
        }),
        AnyOf::Adaptive(limit) => json!({
            "limit": limit.limit(),
            "in_flight": limit.in_flight(),
            "waiting": limit.waiting(),
        }),
        AnyOf::Breaker(breaker) => breaker_details(&breaker.snapshot()),
        AnyOf::Throttle(throttle) => {
            let snapshot = throttle.snapshot();
            json!({
                "requests": snapshot.requests,
                "accepts": snapshot.accepts,
                "refusal_probability": snapshot.refusal_probability,
            })
        }
    }
}

/// What is left is what a call could have now; and it takes nothing to know it.
fn rate_details(algorithm: &str, limit: &str, snapshot: &RateLimitSnapshot) -> Value {
    json!({
        "algorithm": algorithm,
        limit: snapshot.limit,
        "window_ms": milliseconds(snapshot.window),
        "left": snapshot.left,
        "whole_in_ms": milliseconds(snapshot.whole_in),
    })
}

/// The bound on keys, of a policy that has one.
fn most_keys(policy: &AnyPolicy) -> Option<usize> {
    Some(match policy {
        AnyOf::RateLimitBy(keyed) => keyed.most_keys(),
        AnyOf::WindowLimitBy(keyed) => keyed.most_keys(),
        AnyOf::BulkheadBy(keyed) => keyed.most_keys(),
        AnyOf::AdaptiveBy(keyed) => keyed.most_keys(),
        AnyOf::PaceBy(keyed) => keyed.most_keys(),
        AnyOf::BreakerBy(keyed) => keyed.most_keys(),
        AnyOf::ThrottleBy(keyed) => keyed.most_keys(),
        _ => return None,
    })
}

/// Settings of whatever kind as the file says them. Whether a policy is in shadow is not among them,
/// because that may have been changed by hand.
fn shown(settings: &Made) -> Value {
    fn of<T: Setting + 'static>(settings: &Made) -> Option<Value> {
        settings.downcast_ref::<T>().map(Setting::show)
    }
    let kinds = [
        of::<PressureSettings>,
        of::<DeadlineShedderSettings>,
        of::<RateLimitSettings>,
        of::<FairShareSettings>,
        of::<BulkheadSettings>,
        of::<AdaptiveLimitSettings>,
        of::<PaceSettings>,
        of::<QueueDelaySettings>,
        of::<CircuitBreakerSettings>,
        of::<ThrottleSettings>,
        of::<RetrySettings>,
        of::<HedgeSettings>,
        of::<CoalesceSettings>,
        of::<StaleIfErrorSettings>,
    ];
    let shown = kinds.iter().find_map(|of| of(settings));
    shown.unwrap_or_default()
}

fn breaker_details(snapshot: &Snapshot) -> Value {
    let tally = |tally: Option<Tally>| {
        tally.map(|tally| {
            json!({
                "calls": tally.calls,
                "failed": tally.failed,
                "failure_rate": tally.failure_rate(),
                "slow": tally.slow,
                "slow_rate": tally.slow_rate(),
            })
        })
    };
    json!({
        "state": snapshot.state.name(),
        "retry_after_ms": snapshot.retry_after.map(milliseconds),
        "consecutive_failures": snapshot.consecutive_failures,
        "time_window": tally(snapshot.time_window),
        "count_window": tally(snapshot.count_window),
        "probes": snapshot.probes,
        "openings": snapshot.openings,
        "would_have_refused_in_metrics_only": snapshot.would_have_refused,
    })
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
