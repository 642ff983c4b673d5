//! What a call holds: its slot, or its place in the line for one.

use super::line::{Place, Standing};
use super::shelf::Shelf;
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::Permit;
use crate::rejection::{Reason, Rejection};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// A slot that a call holds. Completing it and dropping it both give it back.
#[must_use = "dropping it gives the slot back"]
pub struct Slot {
    shelf: Arc<Shelf>,
}

impl Slot {
    #[inline]
    pub(super) fn on(shelf: &Arc<Shelf>) -> Self {
        Self {
            shelf: Arc::clone(shelf),
        }
    }
}

impl Permit for Slot {
    const WANTS_OUTCOME: bool = false;

    #[inline]
    fn complete(self, _: Outcome, _: &Now) {}
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        self.shelf.put();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// A call's place in the waiting line. Dropping it leaves the line, and passes on a slot that had
/// come its way already.
#[must_use = "dropping it leaves the line"]
pub struct Turn {
    shelf: Arc<Shelf>,
    /// `None` once the answer has been given.
    place: Option<Place>,
    until: Option<Instant>,
    /// When its caller goes away.
    deadline: Option<Instant>,
}

impl Turn {
    pub(super) fn new(
        shelf: &Arc<Shelf>,
        place: Place,
        patience: Option<Instant>,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            shelf: Arc::clone(shelf),
            place: Some(place),
            until: [patience, deadline].into_iter().flatten().min(),
            deadline,
        }
    }

    /// When it must be polled even if nothing wakes it.
    pub(crate) const fn until(&self) -> Option<Instant> {
        self.until
    }

    pub(crate) fn poll(
        &mut self,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Slot, Rejection>> {
        let Some(place) = self.place else {
            return Poll::Pending;
        };
        let shared = self.shelf.shared();
        let standing = shared.poll_grant(place, now, context.waker());
        let passed = |instant: Option<Instant>| instant.is_some_and(|at| now.instant() >= at);
        if standing == Standing::Waits {
            if !passed(self.until) {
                return Poll::Pending;
            }
            self.leave();
            let reason = Self::reason(passed(self.deadline));
            return Poll::Ready(Err(self.shelf.shared().rejection(reason)));
        }
        self.place = None;
        if standing == Standing::Displaced {
            return Poll::Ready(Err(shared.rejection(Reason::BulkheadFull)));
        }
        let late = passed(self.deadline);
        if late || standing == Standing::ServedTooLate {
            // Nobody needs it any more: the next one does.
            shared.give_back(1);
            return Poll::Ready(Err(shared.rejection(Self::reason(late))));
        }
        Poll::Ready(Ok(Slot::on(&self.shelf)))
    }

    const fn reason(deadline_passed: bool) -> Reason {
        if deadline_passed {
            Reason::DeadlinePassed
        } else {
            Reason::WaitedTooLong
        }
    }

    fn leave(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        let shared = self.shelf.shared();
        if shared.leave(place) {
            shared.give_back(1);
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}
