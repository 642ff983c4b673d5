//! Attempts for which a call has no time.

use super::times::place;
use super::worst::repeated;
use crate::problem::Reporter;
use crate::settings::{
    After, Left, RetrySettings, SHORTEST_ATTEMPT, Settings, Time, TimeoutSettings,
    UpstreamSettings, in_turn, on, waits_between_attempts,
};
use crate::source::{At, Span};

/// What is known of the queues before the attempts.
#[derive(Clone, Copy)]
pub(super) struct Queues {
    /// Whether they leave a call some time.
    pub(super) fit: bool,
    pub(super) are_known: bool,
}

/// Returns whether an attempt's time can be held against others: one that is not written, and for which
/// there is none, cannot.
pub(super) fn check(
    settings: &Settings,
    policies: &UpstreamSettings,
    queues: Queues,
    stack: Span,
    report: &mut Reporter,
) -> bool {
    attempt_fits(policies, stack, report);
    attempts_end(policies, stack, report);
    let each = on(policies.attempt_timeout.as_ref());
    if each.is_some_and(|each| !each.headers.is_written()) {
        return queues.fit && attempts_have_time(settings, policies, stack, report);
    }
    // What is too long by itself is so with all waits as well.
    if attempts_fit(policies, stack, report) && queues.fit && queues.are_known {
        waits_fit(settings, policies, stack, report);
    }
    true
}

fn attempt_fits(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let (Some(call), Some(each)) = (
        on(policies.timeout.as_ref()),
        on(policies.attempt_timeout.as_ref()),
    ) else {
        return;
    };
    if *each.headers <= *call.headers {
        return;
    }
    let (path, span) = place(
        [
            ("attempt_timeout", each.headers.span()),
            ("timeout", call.headers.span()),
        ],
        stack,
    );
    report.below(path, |report| {
        let (each, call) = (Time(*each.headers), Time(*call.headers));
        let what = format!("lets an attempt take {each}, which is longer than the whole call");
        report.error(span, what).must_be(format!("{call} at most"));
    });
}

/// Attempts for which there is never time.
fn attempts_fit(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) -> bool {
    let Some((call, each, retry)) = retried(policies) else {
        return true;
    };
    let (attempts, work) = (retry.attempts(), *each.headers);
    let waits = waits_between_attempts(retry);
    let time = work.saturating_mul(attempts).saturating_add(waits);
    if time <= *call.headers {
        return true;
    }
    let (path, span) = where_attempts_are(retry, each, call, stack);
    report.below(path, |report| {
        let (work, time) = (Time(work), Time(time));
        let call = Time(*call.headers);
        let unsaid = if retry.attempts.is_none() {
            format!(" ({attempts} attempts are the default, and `retry` says another number)")
        } else {
            String::new()
        };
        let what = format!(
            "lets {attempts} attempts of {work} and the waits between them take {time}, which is longer than the whole call: it may take {call}{unsaid}"
        );
        report.error(span, what);
    });
    false
}

/// Attempts that nothing is said of take no longer than there is time for them. But they must have some.
fn attempts_have_time(
    settings: &Settings,
    policies: &UpstreamSettings,
    stack: Span,
    report: &mut Reporter,
) -> bool {
    let Some((call, each, retry)) = retried(policies) else {
        return true;
    };
    let Some(left) = policies.left_for_attempts(settings) else {
        return true;
    };
    if left.each >= SHORTEST_ATTEMPT {
        return true;
    }
    let (path, span) = where_attempts_are(retry, each, call, stack);
    report.below(path, |report| {
        let Left { attempts, .. } = left;
        let (each, waits, call) = (Time(left.each), Time(left.waits), Time(*call.headers));
        let (queues, shorter) = if left.queues.is_zero() {
            (String::new(), "")
        } else {
            let queues = format!(" and up to {} in queues before each", Time(left.queues));
            (queues, "shorter queues, ")
        };
        let what = format!(
            "leaves each of {attempts} attempts {each} of the call's {call}, after waits between them of up to {waits}{queues}"
        );
        let least = Time(SHORTEST_ATTEMPT);
        report.error(span, what).must_be(format!(
            "{least} at least: by fewer attempts, a shorter `backoff`, {shorter}a longer `timeout`, or an `attempt_timeout` that is written"
        ));
    });
    false
}

/// Attempts for which there is no time after waits that the file asks for, in queues or after an
/// overload. That is a warning: a short call may be worth more than its last attempt. The waits after
/// an overload that are a default are a part of the worst case that is shown.
fn waits_fit(settings: &Settings, policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let Some((call, each, retry)) = retried(policies) else {
        return;
    };
    let after = After::spoken_of(retry);
    let time = repeated(settings, policies, after).unasked;
    let Some(time) = time.filter(|time| *time > *call.headers) else {
        return;
    };
    let queues = in_turn(&policies.queues(settings));
    let mut with = Vec::new();
    if after == After::Anything {
        with.push("the waits after an overload".to_owned());
    }
    if !queues.is_zero() {
        with.push(format!("up to {} in queues before each", Time(queues)));
    }
    let (path, span) = where_attempts_are(retry, each, call, stack);
    report.below(path, |report| {
        let (with, attempts) = (with.join(" and "), retry.attempts());
        let (time, call) = (Time(time), Time(*call.headers));
        let what = format!(
            "lets {attempts} attempts, with {with}, take {time}, which is longer than the whole call: it may take {call}, and then ends the last of them"
        );
        report.warning(span, what);
    });
}

/// The times of calls that are tried again.
fn retried(
    policies: &UpstreamSettings,
) -> Option<(&TimeoutSettings, &TimeoutSettings, &RetrySettings)> {
    let call = on(policies.timeout.as_ref())?;
    let each = on(policies.attempt_timeout.as_ref())?;
    let retry = on(policies.retry.as_ref())?;
    (retry.attempts() > 1).then_some((call, each, retry))
}

/// The settings by which attempts take as long as they do.
fn where_attempts_are(
    retry: &RetrySettings,
    each: &TimeoutSettings,
    call: &TimeoutSettings,
    stack: Span,
) -> (&'static str, Span) {
    let attempts = retry.attempts.as_ref();
    let backoff = retry.backoff.as_ref();
    let places = [
        ("retry.attempts", attempts.map(At::span).unwrap_or_default()),
        ("attempt_timeout", each.headers.span()),
        ("timeout", call.headers.span()),
        ("retry", backoff.map(At::span).unwrap_or_default()),
    ];
    place(places, stack)
}

/// Without a bound on each, the first attempt that hangs is the last.
fn attempts_end(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let Some(retry) = on(policies.retry.as_ref()) else {
        return;
    };
    let each = policies.attempt_timeout.as_ref();
    let Some(each) = each.filter(|each| each.on().is_none()) else {
        return;
    };
    if retry.attempts() > 1 {
        let (path, span) = place([("attempt_timeout", each.span())], stack);
        report.below(path, |report| {
            let what = "leaves an attempt that hangs all the time that the call has, so that it is never retried";
            report.warning(span, what);
        });
    }
}
