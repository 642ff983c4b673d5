//! How bad it can get.
//!
//! All times are upper bounds of what the runtime does: from the call on (a client that is not ready
//! is not called yet) to the headers of the response, but for the few milliseconds that timers are
//! late.

use crate::settings::{
    After, HedgeSettings, ServerPolicies, Settings, UpstreamSettings, in_turn, longest_wait, on,
    waits,
};
use std::time::Duration;

/// The worst case of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Worst {
    /// How often it is sent.
    pub(crate) attempts: u32,
    /// To the response's headers.
    pub(crate) headers: Bound,
    /// The same if the callee never asks for a longer wait than the backoff has, where that is less.
    pub(crate) unasked: Option<Duration>,
    /// To the end of the body, if that is bounded.
    pub(crate) whole: Option<Duration>,
}

/// What bounds a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// It is never longer than this.
    AtMost(Duration),
    /// Nothing does: neither this policy nor that one.
    Neither(&'static str, &'static str),
    /// The call may wait for one of another caller, and for the next one if that fails. A call that
    /// waits for none takes so long, if that is bounded, of which the last part is for those that
    /// wait for it.
    Others(Option<(Duration, Duration)>),
}

/// The worst case of a request to a server.
pub(crate) fn of_server(settings: &Settings, policies: &ServerPolicies) -> Worst {
    let deadline = on(policies.deadline.as_ref()).map(|deadline| *deadline.at_most);
    let timeout = on(policies.timeout.as_ref());
    let waits = in_turn(&policies.queues(settings));
    let work = timeout.map(|timeout| timeout.headers.saturating_add(waits));
    // The deadline ends the call in the queues as well. The body, it does not.
    let waits = deadline.map_or(waits, |deadline| deadline.min(waits));
    let whole = timeout.and_then(|timeout| timeout.whole_body.as_ref());
    Worst {
        attempts: 1,
        headers: match least(deadline, work) {
            Some(time) => Bound::AtMost(time),
            None => Bound::Neither("deadline", "timeout"),
        },
        unasked: None,
        whole: whole.map(|whole| whole.saturating_add(waits)),
    }
}

/// The worst case of a call to an upstream.
pub(crate) fn of_upstream(settings: &Settings, policies: &UpstreamSettings) -> Worst {
    let timeout = on(policies.timeout.as_ref());
    let call = timeout.map(|timeout| *timeout.headers);
    let Repeated {
        attempts,
        time,
        unasked,
    } = repeated(settings, policies, After::Anything);
    let headers = least(call, time);
    let unasked = least(call, unasked).filter(|unasked| Some(*unasked) < headers);
    let whole = timeout.and_then(|timeout| timeout.whole_body.as_deref());
    if let Some(coalesce) = on(policies.coalesce.as_ref()) {
        let wait = coalesce.body_wait();
        return Worst {
            attempts,
            headers: Bound::Others(headers.map(|time| (time.saturating_add(wait), wait))),
            unasked: None,
            whole: None,
        };
    }
    Worst {
        attempts,
        headers: match headers {
            Some(time) => Bound::AtMost(time),
            None => Bound::Neither("timeout", "attempt_timeout"),
        },
        unasked,
        whole: whole.copied(),
    }
}

/// What attempts take that nothing bounds together.
pub(super) struct Repeated {
    pub(super) attempts: u32,
    pub(super) time: Option<Duration>,
    /// Unless the callee asks for waits.
    pub(super) unasked: Option<Duration>,
}

pub(super) fn repeated(settings: &Settings, policies: &UpstreamSettings, after: After) -> Repeated {
    let queues = in_turn(&policies.queues(settings));
    let each = on(policies.attempt_timeout.as_ref());
    let each = each.map(|each| each.headers.saturating_add(queues));
    if let Some(hedge) = on(policies.hedge.as_ref()) {
        return hedged(hedge, each);
    }
    let Some(retry) = on(policies.retry.as_ref()) else {
        return Repeated {
            attempts: 1,
            time: each,
            unasked: each,
        };
    };
    let attempts = retry.attempts();
    let retries = attempts.saturating_sub(1);
    let work = each.map(|each| each.saturating_mul(attempts));
    // What a callee asks for is kept to if it is no longer than the longest wait.
    let asked = longest_wait(retry).saturating_mul(retries);
    Repeated {
        attempts,
        time: work.map(|work| work.saturating_add(asked)),
        unasked: work.map(|work| work.saturating_add(waits(retry, retries, after))),
    }
}

/// A copy is sent while one before it is out, whose body may take long to be sent, or whose callee
/// may ask for a wait: so it is sent at the latest when that one ends.
///
/// Where failures send the next copy at once, it is waited for also if nobody is out, as long as the
/// callee asks or as copies are apart.
fn hedged(hedge: &HedgeSettings, each: Option<Duration>) -> Repeated {
    let attempts = hedge.copies();
    let apart = hedge.after.as_ref().map_or(Duration::ZERO, |after| **after);
    let time = each.map(|each| {
        let next = if hedge.non_fatal.is_some() {
            each.saturating_add(LONGEST_PUSHBACK).max(apart)
        } else {
            each
        };
        let later = next.saturating_mul(attempts.saturating_sub(1));
        each.saturating_add(later)
    });
    Repeated {
        attempts,
        time,
        unasked: time,
    }
}

/// What `Hedge` keeps to, if a callee asks for it.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(60);

fn least(one: Option<Duration>, other: Option<Duration>) -> Option<Duration> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
