//! Stacks as far as they are known.
//!
//! What is there and could not be read is neither what the file says nor the default, and what a builder
//! refuses will be something else. Nothing is said against a stack by what it does not have.

use crate::problem::Reporter;
use crate::settings::{
    CircuitBreakerSettings, Queue, RetrySettings, ServerPolicies, Settings, SharedPolicies, Switch,
    TimeoutSettings, UpstreamSettings, on,
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
    let deadline = on(known.deadline.as_ref());
    if report.is_unread(stack, "deadline")
        || has_unread(known.deadline.as_ref(), "at_most", report)
        || deadline.is_some_and(|deadline| report.is_refused(deadline.at_most.span()))
    {
        known.deadline = None;
    }
    if report.is_unread(stack, "timeout") || !timeout_is(known.timeout.as_ref(), report) {
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
    if unread("timeout") || !timeout_is(known.timeout.as_ref(), report) {
        known.timeout = None;
    }
    let retry = known.retry.as_ref();
    let retry_is_known =
        !unread("retry") && !unread("hedge") && retry.is_none_or(|retry| retry_is(retry, report));
    if !retry_is_known {
        known.retry = None;
    }
    let written = upstream.attempt_timeout.as_ref();
    // One that is not written follows from the others.
    let follows =
        known.timeout.is_some() && retry_is_known && queues_are(settings, upstream, report);
    if unread("attempt_timeout") || !timeout_is(written, report) || (written.is_none() && !follows)
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
pub(super) fn queues<'a>(mut all: Vec<Queue<'a>>, report: &Reporter) -> Vec<Queue<'a>> {
    all.retain(|queue| queue_is(queue, report));
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
        && upstream
            .queues(settings)
            .iter()
            .all(|queue| queue_is(queue, report))
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
fn queue_is(queue: &Queue<'_>, report: &Reporter) -> bool {
    queue.span.end() > 0 && !report.is_refused(queue.span)
}

fn timeout_is(timeout: Option<&At<Switch<TimeoutSettings>>>, report: &Reporter) -> bool {
    let refused = |timeout: &TimeoutSettings| report.is_refused(timeout.headers.span());
    !has_unread(timeout, "headers", report) && !on(timeout).is_some_and(refused)
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
        && !retry.on().is_some_and(|retry| is_refused(retry, report))
}

/// Whether something is refused by which attempts take as long as they do.
fn is_refused(retry: &RetrySettings, report: &Reporter) -> bool {
    let mut times = vec![
        retry.attempts.as_ref().map(At::span),
        retry.backoff.as_ref().map(At::span),
        retry.longest_wait.as_ref().map(At::span),
    ];
    if let Some(backoff) = &retry.backoff {
        times.extend([
            backoff.base.as_ref().map(At::span),
            backoff.cap.as_ref().map(At::span),
            backoff.factor.as_ref().map(At::span),
            backoff.base_if_overloaded.as_ref().map(At::span),
            backoff.constant.as_ref().map(At::span),
        ]);
    }
    times
        .into_iter()
        .flatten()
        .any(|time| report.is_refused(time))
}

fn breaker_is(breaker: &At<Switch<CircuitBreakerSettings>>, report: &Reporter) -> bool {
    let mut fields = ["time_window", "failure_rate", "slow_calls"].iter();
    let breaker_is_refused = breaker.on().is_some_and(|breaker| {
        let window = breaker.time_window.as_ref().map(At::span);
        let slow = breaker.slow_calls.as_ref();
        let slow = slow.map(|slow| slow.duration.span());
        [window, slow]
            .into_iter()
            .flatten()
            .any(|time| report.is_refused(time))
    });
    !breaker_is_refused && !fields.any(|field| report.is_unread(breaker.span(), field))
}
