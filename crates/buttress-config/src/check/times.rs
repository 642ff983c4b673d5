//! Times that don't fit into each other.

use super::used;
use super::worst::{attempts_of, worst_case};
use crate::problem::Reporter;
use crate::settings::{ServerPolicies, Settings, SharedPolicies, Switch, Time, UpstreamSettings};
use crate::source::{At, Span};
use std::time::Duration;

pub(super) fn check(settings: &Settings, report: &mut Reporter) {
    report.field("server", |report| {
        if let Some(server) = &settings.server
            && let Some(defaults) = &server.defaults
        {
            let policies = settings.defaults();
            report.field("defaults", |report| {
                server_waits(settings, &policies, defaults.span(), report);
            });
        }
        for (index, route) in settings.routes().iter().enumerate() {
            let index = report.number(route.span(), index);
            let policies = settings.effective_route(route);
            report.field("route", |report| {
                report.item(index, |report| {
                    server_waits(settings, &policies, route.span(), report);
                });
            });
        }
    });
    for (name, upstream) in settings
        .upstream
        .iter()
        .flat_map(|upstreams| upstreams.iter())
    {
        let policies = upstream.or(&UpstreamSettings::standard());
        report.field("upstream", |report| {
            report.field(name, |report| {
                let span = upstream.span();
                client_waits(settings, &policies, span, report);
                attempt_fits(&policies, span, report);
                attempts_fit(&policies, span, report);
                window_fits(&policies, span, report);
                attempts_end(&policies, span, report);
            });
        });
    }
}

/// A wait in front of something, and where it is set.
struct Wait {
    path: &'static str,
    longest: Duration,
    span: Span,
}

macro_rules! waits_of {
    ($policies:expr, $get:path) => {{
        let mut waits = Vec::new();
        if let Some(wait) =
            $get($policies.rate_limit.as_ref()).and_then(|limit| limit.wait_at_most.as_ref())
        {
            waits.push(Wait {
                path: "rate_limit.wait_at_most",
                longest: **wait,
                span: wait.span(),
            });
        }
        let rooms = [
            (
                "bulkhead.waiting_room.longest_wait",
                $get($policies.bulkhead.as_ref()).and_then(|policy| policy.waiting_room.as_ref()),
            ),
            (
                "adaptive_limit.waiting_room.longest_wait",
                $get($policies.adaptive_limit.as_ref())
                    .and_then(|policy| policy.waiting_room.as_ref()),
            ),
            (
                "pace.waiting_room.longest_wait",
                $get($policies.pace.as_ref()).and_then(|policy| policy.waiting_room.as_ref()),
            ),
        ];
        for (path, room) in rooms {
            if let Some(room) = room {
                let (longest, span) = (*room.longest_wait, room.longest_wait.span());
                waits.push(Wait {
                    path,
                    longest,
                    span,
                });
            }
        }
        waits
    }};
}

/// A wait in a queue that is as long as the call may be leaves no time for the work.
fn server_waits(
    settings: &Settings,
    policies: &ServerPolicies,
    stack: Span,
    report: &mut Reporter,
) {
    let Some(deadline) = on(policies.deadline.as_ref()) else {
        return;
    };
    let bound = Bound {
        name: "the deadline",
        time: &deadline.at_most,
    };
    for wait in waits_of!(policies, on) {
        bound.check(&wait, stack, report);
    }
    for (name, shared) in used(settings, policies.uses.as_ref()) {
        bound.check_shared(name, shared, policies.uses.as_ref(), stack, report);
    }
}

fn client_waits(
    settings: &Settings,
    policies: &UpstreamSettings,
    stack: Span,
    report: &mut Reporter,
) {
    let Some(timeout) = on(policies.timeout.as_ref()) else {
        return;
    };
    let bound = Bound {
        name: "the call's timeout",
        time: &timeout.headers,
    };
    for wait in waits_of!(policies, on) {
        bound.check(&wait, stack, report);
    }
    for (name, shared) in used(settings, policies.uses.as_ref()) {
        bound.check_shared(name, shared, policies.uses.as_ref(), stack, report);
    }
}

struct Bound<'a> {
    name: &'static str,
    time: &'a At<Duration>,
}

impl Bound<'_> {
    fn check(&self, wait: &Wait, stack: Span, report: &mut Reporter) {
        if wait.longest < **self.time {
            return;
        }
        // Whichever of the two is this stack's own.
        let own = [wait.span, self.time.span()];
        let own = own
            .into_iter()
            .find(|span| within(*span, stack))
            .unwrap_or(stack);
        report.below(wait.path, |report| {
            let what = format!("is {}", Time(wait.longest));
            let allowed = format!("less than {}, which is {}", self.name, Time(**self.time));
            report.error(own, what).must_be(allowed);
        });
    }

    fn check_shared(
        &self,
        name: &str,
        shared: &SharedPolicies,
        uses: Option<&At<Vec<At<String>>>>,
        stack: Span,
        report: &mut Reporter,
    ) {
        for wait in waits_of!(shared, shared_one) {
            if wait.longest >= **self.time {
                let span = uses
                    .filter(|uses| within(uses.span(), stack))
                    .map_or(stack, At::span);
                let longest = Time(wait.longest);
                let what = format!("names {name:?}, in which calls wait for up to {longest}");
                let bound = Time(**self.time);
                report.field("use", |report| {
                    let allowed = format!("less than {}, which is {bound}", self.name);
                    report.error(span, what).must_be(allowed);
                });
            }
        }
    }
}

fn attempt_fits(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let (Some(call), Some(each)) = (
        on(policies.timeout.as_ref()),
        on(policies.attempt_timeout.as_ref()),
    ) else {
        return;
    };
    if *each.headers > *call.headers {
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
}

fn attempts_fit(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let (Some(call), Some(each), Some(retry)) = (
        on(policies.timeout.as_ref()),
        on(policies.attempt_timeout.as_ref()),
        on(policies.retry.as_ref()),
    ) else {
        return;
    };
    let worst = worst_case(policies);
    // One attempt that is too long is a problem of its own.
    if *each.headers > *call.headers || worst.time.is_none_or(|time| time <= *call.headers) {
        return;
    }
    let attempts = retry.attempts.as_ref();
    let (path, span) = place(
        [
            ("retry.attempts", attempts.map(At::span).unwrap_or_default()),
            ("attempt_timeout", each.headers.span()),
            ("timeout", call.headers.span()),
            (
                "retry",
                retry.backoff.as_ref().map(At::span).unwrap_or_default(),
            ),
        ],
        stack,
    );
    report.below(path, |report| {
        let time = Time(worst.time.unwrap_or_default());
        let (count, each, call) = (worst.attempts, Time(*each.headers), Time(*call.headers));
        let what = format!(
            "lets {count} attempts of {each} and the waits between them take {time}, which is longer than the whole call: it may take {call}"
        );
        report.error(span, what);
    });
}

/// Without a bound on each, the first attempt that hangs is the last.
fn attempts_end(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let Some(retry) = on(policies.retry.as_ref()) else {
        return;
    };
    if on(policies.attempt_timeout.as_ref()).is_none() && attempts_of(retry) > 1 {
        let written = policies.attempt_timeout.as_ref().map(At::span);
        let (path, span) = place([("attempt_timeout", written.unwrap_or_default())], stack);
        report.below(path, |report| {
            let what = "leaves an attempt that hangs all the time that the call has, so that it is never retried";
            report.warning(span, what);
        });
    }
}

/// A window in which a call that hangs is seen once at most says nothing about a rate.
fn window_fits(policies: &UpstreamSettings, stack: Span, report: &mut Reporter) {
    let Some(breaker) = on(policies.circuit_breaker.as_ref()) else {
        return;
    };
    let timeout = on(policies.attempt_timeout.as_ref()).map(|each| ("attempt_timeout", each));
    let timeout = timeout.or_else(|| on(policies.timeout.as_ref()).map(|call| ("timeout", call)));
    let Some((name, timeout)) = timeout else {
        return;
    };
    let (window, window_span) = match &breaker.time_window {
        Some(window) => match &**window {
            Switch::On(time) => (*time, window.span()),
            Switch::Off => return,
        },
        None => (DEFAULT_WINDOW, Span::default()),
    };
    let two = timeout.headers.saturating_mul(2);
    if window < two {
        let (path, span) = place(
            [
                ("circuit_breaker.time_window", window_span),
                (name, timeout.headers.span()),
            ],
            stack,
        );
        report.below(path, |report| {
            let what = format!(
                "makes the breaker's window of {} shorter than two timeouts of {}",
                Time(window),
                Time(*timeout.headers)
            );
            report.error(span, what);
        });
    }
}

/// The circuit breaker's own default.
const DEFAULT_WINDOW: Duration = Duration::from_secs(30);

/// The first of the places that are written in this stack.
fn place<const N: usize>(places: [(&'static str, Span); N], stack: Span) -> (&'static str, Span) {
    let written = places.into_iter().find(|(_, span)| span.end() > 0);
    written.unwrap_or(("", stack))
}

/// TOML's spans of tables end with their header, so what stands in one is found behind its start.
fn within(span: Span, stack: Span) -> bool {
    span.end() > 0 && span.start() >= stack.start()
}

fn on<T>(policy: Option<&At<Switch<T>>>) -> Option<&T> {
    policy?.on()
}

fn shared_one<T>(policy: Option<&At<T>>) -> Option<&T> {
    policy.map(|policy| &**policy)
}
