//! Stacks as far as they are known.
//!
//! What is there and could not be read is neither what the file says nor the default. Nothing is said
//! against a stack by what it does not have.

use crate::problem::Reporter;
use crate::settings::{
    CircuitBreakerSettings, RetrySettings, ServerPolicies, Settings, Switch, UpstreamSettings,
};
use crate::source::{At, Span};

/// The policies of a route or of the defaults, which stand there, with what they don't say.
pub(super) fn server(
    policies: &ServerPolicies,
    stack: Span,
    others: &ServerPolicies,
    report: &Reporter,
) -> ServerPolicies {
    let mut known = policies.or(others);
    if report.is_unread(stack, "deadline") || has_unread(known.deadline.as_ref(), "at_most", report)
    {
        known.deadline = None;
    }
    if report.is_unread(stack, "timeout") || has_unread(known.timeout.as_ref(), "headers", report) {
        known.timeout = None;
    }
    known
}

/// Those of an upstream.
pub(super) fn upstream(
    settings: &Settings,
    upstream: &At<UpstreamSettings>,
    report: &Reporter,
) -> UpstreamSettings {
    let mut known = upstream.effective(settings);
    let unread = |name| report.is_unread(upstream.span(), name);
    if unread("timeout") || has_unread(known.timeout.as_ref(), "headers", report) {
        known.timeout = None;
    }
    if unread("attempt_timeout") || has_unread(known.attempt_timeout.as_ref(), "headers", report) {
        known.attempt_timeout = None;
    }
    let retry = known.retry.as_ref();
    if unread("retry") || unread("hedge") || retry.is_some_and(|retry| !retry_is(retry, report)) {
        known.retry = None;
    }
    let breaker = known.circuit_breaker.as_ref();
    if unread("circuit_breaker") || breaker.is_some_and(|breaker| !breaker_is(breaker, report)) {
        known.circuit_breaker = None;
    }
    known
}

/// Whether something else stands in for this field of a policy.
fn has_unread<T>(policy: Option<&At<T>>, field: &'static str, report: &Reporter) -> bool {
    policy.is_some_and(|policy| report.is_unread(policy.span(), field))
}

fn retry_is(retry: &At<Switch<RetrySettings>>, report: &Reporter) -> bool {
    let fields = ["attempts", "backoff", "longest_wait"];
    let backoff = retry.on().and_then(|retry| retry.backoff.as_ref());
    let parts = [
        "base",
        "cap",
        "factor",
        "jitter",
        "base_if_overloaded",
        "constant",
    ];
    let unread_in = |span, fields: &[&'static str]| {
        let mut fields = fields.iter();
        fields.any(|field| report.is_unread(span, field))
    };
    !unread_in(retry.span(), &fields)
        && !backoff.is_some_and(|backoff| unread_in(backoff.span(), &parts))
}

fn breaker_is(breaker: &At<Switch<CircuitBreakerSettings>>, report: &Reporter) -> bool {
    let mut fields = ["time_window", "failure_rate", "slow_calls"].iter();
    !fields.any(|field| report.is_unread(breaker.span(), field))
}
