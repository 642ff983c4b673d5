//! What an upstream has that says nothing of its attempts.
//!
//! The standard attempt of 2.5 s does not fit into every call. Where a file says how long a call may
//! take, and nothing of its attempts, the standard makes room: by less time for each, or by no retry.
//! It makes none where that would leave attempts that hardly anything is done in; then the file must
//! say what it wants.

use super::scalar::{Switch, on};
use super::{Settings, TimeoutSettings, UpstreamSettings, in_turn, waits_spoken_of};
use crate::source::At;
use std::time::Duration;

/// What a call's time leaves each of several attempts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    pub(crate) attempts: u32,
    /// The waits between all of them.
    pub(crate) waits: Duration,
    /// The waits in queues before each.
    pub(crate) queues: Duration,
    pub(crate) each: Duration,
}

/// An attempt that nothing is said of has so much, or the file is refused: what is left of a short call
/// by many attempts would otherwise be a timeout that nobody wrote and that every call runs into.
pub(crate) const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

/// The standard retry would give each attempt less than a third of such a call.
pub(crate) const SHORTEST_RETRIED: Duration = Duration::from_secs(1);

impl UpstreamSettings {
    /// These policies as they apply; see [`Settings::effective_upstream`].
    pub(crate) fn effective(&self, settings: &Settings) -> Self {
        let mut both = self.or(&Self::standard());
        if self.attempt_timeout.is_some() {
            return both;
        }
        let Some(call) = on(both.timeout.as_ref()).map(|call| *call.headers) else {
            return both;
        };
        if self.retry.is_none() && both.retry.is_some() && call < SHORTEST_RETRIED {
            // Not only left out: who writes down what is shown has no retry either.
            both.retry = Some(At::new(Switch::Off));
        }
        // Less is refused, and must not be a timeout that refuses everything until then.
        let left = both.left_for_attempts(settings);
        let each = left.map_or(call, |left| left.each.max(SHORTEST_ATTEMPT).min(call));
        if each < Self::STANDARD_ATTEMPT {
            both.attempt_timeout = Some(At::new(Switch::On(TimeoutSettings::new(each))));
        }
        both
    }

    /// What is left for each of a call's attempts, if there are several and the call's time is bounded:
    /// in whole milliseconds.
    pub(crate) fn left_for_attempts(&self, settings: &Settings) -> Option<Left> {
        let call = *on(self.timeout.as_ref())?.headers;
        let retry = on(self.retry.as_ref())?;
        let attempts = retry.attempts();
        if attempts <= 1 {
            return None;
        }
        let queues = in_turn(&self.queues(settings));
        let waits = waits_spoken_of(retry);
        let taken = queues.saturating_mul(attempts).saturating_add(waits);
        let each = (call.saturating_sub(taken) / attempts).as_millis();
        Some(Left {
            attempts,
            waits,
            queues,
            each: Duration::from_millis(u64::try_from(each).unwrap_or(u64::MAX)),
        })
    }
}

impl TimeoutSettings {
    /// Whether it is what a call's time leaves an attempt of which nothing is said.
    pub(crate) fn is_derived(&self) -> bool {
        !self.headers.is_written() && *self.headers < UpstreamSettings::STANDARD_ATTEMPT
    }
}
