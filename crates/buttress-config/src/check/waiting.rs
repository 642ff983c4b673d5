//! Waits in queues that leave no time for the work.

use super::known;
use crate::problem::Reporter;
use crate::settings::{Queue, ServerPolicies, Settings, Time, UpstreamSettings, in_turn, on};
use crate::source::{At, Span};
use std::time::Duration;

/// A request must have time left when it has waited in all queues in turn.
pub(super) fn of_server(
    settings: &Settings,
    policies: &ServerPolicies,
    stack: Span,
    report: &mut Reporter,
) {
    if let Some(deadline) = on(policies.deadline.as_ref()) {
        let queues = known::queues(policies.queues(settings), report);
        let uses = policies.uses.as_ref();
        let bound = Bound {
            name: "the deadline",
            time: &deadline.at_most,
        };
        bound.check(&queues, Place { uses, stack }, report);
    }
}

/// And so must the first attempt of a call. Returns whether it has.
pub(super) fn of_upstream(
    settings: &Settings,
    policies: &UpstreamSettings,
    stack: Span,
    report: &mut Reporter,
) -> bool {
    let Some(timeout) = on(policies.timeout.as_ref()) else {
        return true;
    };
    let queues = known::queues(policies.queues(settings), report);
    let uses = policies.uses.as_ref();
    let bound = Bound {
        name: "the call's timeout",
        time: &timeout.headers,
    };
    bound.check(&queues, Place { uses, stack }, report)
}

/// Where a stack stands, and names its shared policies.
#[derive(Clone, Copy)]
struct Place<'a> {
    uses: Option<&'a At<Vec<At<String>>>>,
    stack: Span,
}

struct Bound<'a> {
    name: &'static str,
    time: &'a At<Duration>,
}

impl Bound<'_> {
    /// Whether there is time left after the queues.
    fn check(&self, queues: &[Queue<'_>], place: Place<'_>, report: &mut Reporter) -> bool {
        let time = **self.time;
        let enforced = queues.iter().filter(|queue| !queue.shadow);
        let (too_long, others): (Vec<Queue<'_>>, Vec<_>) =
            enforced.partition(|queue| queue.longest >= time);
        for queue in &too_long {
            self.too_long(queue, place, report);
        }
        // Those that are too long by themselves don't make the others so.
        if in_turn(&others) < time {
            return too_long.is_empty();
        }
        if let Some(longest) = others.iter().max_by_key(|queue| queue.longest) {
            self.too_long_together(longest, in_turn(queues), place, report);
        }
        false
    }

    fn too_long(&self, queue: &Queue<'_>, place: Place<'_>, report: &mut Reporter) {
        let (path, span) = self.place_of(queue, place);
        self.report(path, span, is(queue), report);
    }

    /// `longest` is the longest of the queues that are not too long by themselves, and `together` the
    /// waits in all.
    fn too_long_together(
        &self,
        longest: &Queue<'_>,
        together: Duration,
        place: Place<'_>,
        report: &mut Reporter,
    ) {
        let (path, span) = self.place_of(longest, place);
        let (is, together) = (is(longest), Time(together));
        let what =
            format!("{is}, with which calls wait in all the queues in turn for up to {together}");
        self.report(path, span, what, report);
    }

    fn report(&self, path: &str, span: Span, what: String, report: &mut Reporter) {
        report.below(path, |report| {
            let allowed = format!("less than {}, which is {}", self.name, Time(**self.time));
            report.error(span, what).must_be(allowed);
        });
    }

    /// Of what could be changed, that which is this stack's own.
    fn place_of(&self, queue: &Queue<'_>, place: Place<'_>) -> (&'static str, Span) {
        let Place { uses, stack } = place;
        let own = |span: &Span| within(*span, stack);
        if queue.shared.is_some() {
            let uses = uses.map(At::span).filter(own);
            return ("use", uses.unwrap_or(stack));
        }
        let spans = [queue.span, self.time.span()];
        let span = spans.into_iter().find(own);
        (queue.path, span.unwrap_or(stack))
    }
}

/// How long calls wait in a queue at most, as it is said where it is used.
fn is(queue: &Queue<'_>) -> String {
    let longest = Time(queue.longest);
    match queue.shared {
        Some(name) => format!("names {name:?}, in which calls wait for up to {longest}"),
        None => format!("is {longest}"),
    }
}

/// TOML's spans of tables end with their header, so what stands in one is found behind its start.
fn within(span: Span, stack: Span) -> bool {
    span.end() > 0 && span.start() >= stack.start()
}
