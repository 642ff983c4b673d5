//! Stacks as far as they are known.
//!
//! What is there and could not be read is neither what the file says nor the default. Nothing is said
//! against a stack by what it does not have.

use crate::problem::Reporter;
use crate::settings::{
    CircuitBreakerSettings, Queue, RetrySettings, ServerPolicies, Settings, SharedPolicies, Switch,
    UpstreamSettings,
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
    let retry = known.retry.as_ref();
    if unread("retry") || unread("hedge") || retry.is_some_and(|retry| !retry_is(retry, report)) {
        known.retry = None;
    }
    let written = upstream.attempt_timeout.as_ref();
    // One that is not written follows from the others.
    let follows = known.timeout.is_some()
        && (known.retry.is_some() || known.hedge.is_some())
        && queues_are(settings, upstream, report);
    if unread("attempt_timeout")
        || has_unread(written, "headers", report)
        || (written.is_none() && !follows)
    {
        known.attempt_timeout = None;
    }
    let breaker = known.circuit_breaker.as_ref();
    if unread("circuit_breaker") || breaker.is_some_and(|breaker| !breaker_is(breaker, report)) {
        known.circuit_breaker = None;
    }
    known
}

/// Queues without those for which something else stands in.
pub(super) fn queues(all: Vec<Queue<'_>>) -> Vec<Queue<'_>> {
    let mut all = all;
    all.retain(queue_is);
    all
}

/// Whether all the queues before an upstream's attempts are known.
pub(super) fn queues_are(
    settings: &Settings,
    upstream: &At<UpstreamSettings>,
    report: &Reporter,
) -> bool {
    let limit = upstream.rate_limit.as_ref().map(At::span);
    let rooms = [
        upstream.bulkhead.as_ref().map(At::span),
        upstream.adaptive_limit.as_ref().map(At::span),
        upstream.pace.as_ref().map(At::span),
    ];
    let names = upstream.uses.as_ref();
    !report.is_unread(upstream.span(), "use")
        && !names.is_some_and(|names| report.is_unread(names.span(), ""))
        && parts_are(upstream.span(), limit, rooms, report)
        && settings
            .used(names)
            .all(|(_, shared)| shared_are(shared, report))
        && upstream.queues(settings).iter().all(queue_is)
}

fn shared_are(shared: &At<SharedPolicies>, report: &Reporter) -> bool {
    let limit = shared.rate_limit.as_ref().map(At::span);
    let rooms = [
        shared.bulkhead.as_ref().map(At::span),
        shared.adaptive_limit.as_ref().map(At::span),
        shared.pace.as_ref().map(At::span),
    ];
    parts_are(shared.span(), limit, rooms, report)
}

fn parts_are(
    table: Span,
    limit: Option<Span>,
    rooms: [Option<Span>; 3],
    report: &Reporter,
) -> bool {
    let mut policies = ["rate_limit", "bulkhead", "adaptive_limit", "pace"].iter();
    let unread = |part: Option<Span>, field| part.is_some_and(|at| report.is_unread(at, field));
    !policies.any(|policy| report.is_unread(table, policy))
        && !unread(limit, "wait_at_most")
        && !rooms.iter().any(|room| unread(*room, "waiting_room"))
}

/// How long calls wait at most is required, so that one that is written nowhere is a stand-in.
fn queue_is(queue: &Queue<'_>) -> bool {
    queue.span.end() > 0
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
