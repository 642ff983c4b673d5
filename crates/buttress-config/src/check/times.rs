//! Times that don't fit into each other.

use super::attempts::{self, Queues};
use super::{known, waiting};
use crate::problem::Reporter;
use crate::settings::{
    ServerPolicies, Settings, Time, TimeoutSettings, UpstreamSettings, in_turn, on,
};
use crate::source::Span;

pub(super) fn check(settings: &Settings, report: &mut Reporter) {
    let mut defaults = ServerPolicies::standard();
    report.field("server", |report| {
        if let Some(server) = &settings.server
            && let Some(own) = &server.defaults
        {
            defaults = known::server(own, own.span(), &defaults, report);
            report.field("defaults", |report| {
                waiting::of_server(settings, &defaults, own.span(), report);
                deadline_fits(own, &defaults, own.span(), report);
            });
        }
        for (index, route) in settings.routes().iter().enumerate() {
            let index = report.number(route.span(), index);
            let policies = known::server(&route.policies, route.span(), &defaults, report);
            report.field("route", |report| {
                report.item(index, |report| {
                    waiting::of_server(settings, &policies, route.span(), report);
                    deadline_fits(&route.policies, &policies, route.span(), report);
                });
            });
        }
    });
    for (name, upstream) in settings
        .upstream
        .iter()
        .flat_map(|upstreams| upstreams.iter())
    {
        let policies = known::upstream(settings, upstream, report);
        report.field("upstream", |report| {
            report.field(name, |report| {
                let span = upstream.span();
                let queues_fit = waiting::of_upstream(settings, &policies, span, report);
                let queues = Queues {
                    fit: queues_fit,
                    are_known: known::queues_are(settings, upstream, report),
                };
                if attempts::check(settings, &policies, queues, span, report) {
                    window_fits(&policies, span, report);
                    if queues.are_known {
                        slow_calls_come(settings, &policies, span, report);
                    }
                }
                hedge_comes(&policies, span, report);
            });
        });
    }
}

/// A timeout that the deadline is always before says nothing. It is said where the timeout stands: a
/// route that only shortens the deadline of the defaults means what it says.
fn deadline_fits(
    own: &ServerPolicies,
    policies: &ServerPolicies,
    stack: Span,
    report: &mut Reporter,
) {
    if own.timeout.is_none() {
        return;
    }
    let (Some(deadline), Some(timeout)) = (
        on(policies.deadline.as_ref()),
        on(policies.timeout.as_ref()),
    ) else {
        return;
    };
    let (deadline, timeout) = (&deadline.at_most, &timeout.headers);
    if **deadline >= **timeout {
        return;
    }
    let (path, span) = place([("timeout", timeout.span())], stack);
    report.below(path, |report| {
        let default = if deadline.is_written() {
            ""
        } else {
            " by default"
        };
        let (deadline, timeout) = (Time(**deadline), Time(**timeout));
        let what = format!(
            "lets the work take {timeout}, but the deadline ends every call after {deadline}{default}"
        );
        report.warning(span, what);
    });
}

/// A copy that would be sent when the first call is over is never sent, unless a failure sends it.
fn hedge_comes(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let hedge = on(policies.hedge.as_ref()).filter(|hedge| hedge.non_fatal.is_none());
    let after = hedge.and_then(|hedge| hedge.after.as_ref());
    let Some(after) = after.filter(|after| !report.is_refused(after.span())) else {
        return;
    };
    let each = on(policies.attempt_timeout.as_ref()).map(|each| ("attempt", each));
    let call = on(policies.timeout.as_ref()).map(|call| ("call", call));
    let shortest = [each, call].into_iter().flatten();
    let Some((which, time)) = shortest.min_by_key(|(_, timeout)| *timeout.headers) else {
        return;
    };
    if **after < *time.headers {
        return;
    }
    let (path, span) = place([("hedge.after", after.span())], stack);
    report.below(path, |report| {
        let (after, time) = (Time(**after), Time(*time.headers));
        let what = format!(
            "sends a copy of a call that has been out for {after}, and each {which} is over after {time}"
        );
        report.warning(span, what);
    });
}

/// A window in which a call that hangs is seen once at most says nothing about a rate.
fn window_fits(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let Some(breaker) = on(policies.circuit_breaker.as_ref()) else {
        return;
    };
    let Some(attempt) = &policies.attempt_timeout else {
        return;
    };
    let each = attempt.on().map(|each| ("attempt_timeout", each));
    let timeout = each.or_else(|| on(policies.timeout.as_ref()).map(|call| ("timeout", call)));
    let Some((name, timeout)) = timeout else {
        return;
    };
    let Some((window, window_span)) = breaker.window_of_rates() else {
        return;
    };
    let two = timeout.headers.saturating_mul(2);
    if window >= two {
        return;
    }
    let (path, span) = place(
        [
            ("circuit_breaker.time_window", window_span),
            (name, timeout.headers.span()),
        ],
        stack,
    );
    report.below(path, |report| {
        let unsaid = each.map_or("", |(_, each)| unsaid(each));
        let what = format!(
            "makes the breaker's window of {} shorter than two timeouts of {}{unsaid}",
            Time(window),
            Time(*timeout.headers)
        );
        let problem = report.error(span, what);
        if !unsaid.is_empty() {
            let (two, half) = (Time(two), Time(window / 2));
            problem.must_be(format!(
                "{two} at least, unless an `attempt_timeout` of {half} at most is written"
            ));
        }
    });
}

/// Where an attempt's time is from that is not written.
fn unsaid(each: &TimeoutSettings) -> &'static str {
    if each.headers.is_written() {
        ""
    } else if each.is_derived() {
        ", which is what the call's time leaves each attempt"
    } else {
        ", which is the default of `attempt_timeout`"
    }
}

/// A slow call that is over before it is slow is none. Its body may take longer, so this may be meant.
fn slow_calls_come(
    settings: &Settings,
    policies: &UpstreamSettings,
    stack: Span,
    report: &mut Reporter,
) {
    let breaker = on(policies.circuit_breaker.as_ref());
    let slow = breaker.and_then(|breaker| breaker.slow_calls.as_ref());
    let (Some(slow), Some(each)) = (slow, on(policies.attempt_timeout.as_ref())) else {
        return;
    };
    let queues = in_turn(&policies.queues(settings));
    let time = each.headers.saturating_add(queues);
    if *slow.duration < time {
        return;
    }
    let places = [("circuit_breaker.slow_calls.duration", slow.duration.span())];
    let (path, span) = place(places, stack);
    report.below(path, |report| {
        let (duration, unsaid) = (Time(*slow.duration), unsaid(each));
        let each = Time(*each.headers);
        let what = format!(
            "is {duration}, and an attempt without an answer is over after {each}{unsaid}: none can be that slow unless its body takes long"
        );
        report.warning(span, what);
    });
}

/// The first of the places that are written in this stack.
pub(super) fn place<const N: usize>(
    places: [(&'static str, Span); N],
    stack: Span,
) -> (&'static str, Span) {
    let written = places.into_iter().find(|(_, span)| span.end() > 0);
    written.unwrap_or(("", stack))
}
