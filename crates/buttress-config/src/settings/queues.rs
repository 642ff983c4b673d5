//! Where calls wait for their turn.

use super::scalar::on;
use super::{
    AdaptiveLimitSettings, BulkheadSettings, PaceSettings, RateLimitSettings, ServerPolicies,
    Settings, SharedPolicies, UpstreamSettings,
};
use crate::source::{At, Span};
use std::time::Duration;

/// A policy in which calls may wait, and for how long at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Queue<'a> {
    /// The setting that says it, below the stack or the shared policies.
    pub(crate) path: &'static str,
    pub(crate) longest: Duration,
    pub(crate) span: Span,
    /// The name of the shared policies that it is one of.
    pub(crate) shared: Option<&'a str>,
    /// Whether it is in shadow, where nobody waits.
    pub(crate) shadow: bool,
}

/// A stack's own policies that may have a queue.
macro_rules! own {
    ($policies:expr) => {
        Queues {
            rate_limit: on($policies.rate_limit.as_ref()),
            bulkhead: on($policies.bulkhead.as_ref()),
            adaptive_limit: on($policies.adaptive_limit.as_ref()),
            pace: on($policies.pace.as_ref()),
        }
    };
}

impl ServerPolicies {
    /// The queues that a request goes through, one after the other.
    pub(crate) fn queues<'a>(&'a self, settings: &'a Settings) -> Vec<Queue<'a>> {
        with_shared(settings, self.uses.as_ref(), &own!(self))
    }
}

impl UpstreamSettings {
    /// The queues that each attempt of a call goes through, one after the other.
    pub(crate) fn queues<'a>(&'a self, settings: &'a Settings) -> Vec<Queue<'a>> {
        with_shared(settings, self.uses.as_ref(), &own!(self))
    }
}

/// How long a call waits at most that waits in all of them in turn.
pub(crate) fn in_turn(queues: &[Queue<'_>]) -> Duration {
    let enforced = queues.iter().filter(|queue| !queue.shadow);
    let longest = enforced.map(|queue| queue.longest);
    longest.fold(Duration::ZERO, Duration::saturating_add)
}

/// The policies that may have a queue.
struct Queues<'a> {
    rate_limit: Option<&'a RateLimitSettings>,
    bulkhead: Option<&'a BulkheadSettings>,
    adaptive_limit: Option<&'a AdaptiveLimitSettings>,
    pace: Option<&'a PaceSettings>,
}

fn with_shared<'a>(
    settings: &'a Settings,
    uses: Option<&'a At<Vec<At<String>>>>,
    own: &Queues<'a>,
) -> Vec<Queue<'a>> {
    let mut queues: Vec<_> = own.each(None).collect();
    for (name, shared) in settings.used(uses) {
        queues.extend(Queues::of(shared).each(Some(name)));
    }
    queues
}

impl<'a> Queues<'a> {
    fn of(shared: &'a SharedPolicies) -> Self {
        Self {
            rate_limit: shared.rate_limit.as_deref(),
            bulkhead: shared.bulkhead.as_deref(),
            adaptive_limit: shared.adaptive_limit.as_deref(),
            pace: shared.pace.as_deref(),
        }
    }

    fn each(&self, shared: Option<&'a str>) -> impl Iterator<Item = Queue<'a>> + use<'a> {
        let delay = self.rate_limit.and_then(|limit| {
            let wait = limit.wait_at_most.as_ref()?;
            Some(("rate_limit.wait_at_most", wait, limit.shadow.as_ref()))
        });
        let slots = self.bulkhead.and_then(|policy| {
            let wait = &policy.waiting_room.as_ref()?.longest_wait;
            let path = "bulkhead.waiting_room.longest_wait";
            Some((path, wait, policy.shadow.as_ref()))
        });
        let adaptive = self.adaptive_limit.and_then(|policy| {
            let wait = &policy.waiting_room.as_ref()?.longest_wait;
            let path = "adaptive_limit.waiting_room.longest_wait";
            Some((path, wait, policy.shadow.as_ref()))
        });
        let pace = self.pace.and_then(|policy| {
            let wait = &policy.waiting_room.as_ref()?.longest_wait;
            let path = "pace.waiting_room.longest_wait";
            Some((path, wait, policy.shadow.as_ref()))
        });
        let all = [delay, slots, adaptive, pace].into_iter().flatten();
        all.map(move |(path, wait, shadow)| Queue {
            path,
            longest: **wait,
            span: wait.span(),
            shared,
            shadow: shadow.is_some_and(|shadow| **shadow),
        })
    }
}
