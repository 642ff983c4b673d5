use crate::clock;
use crate::repeat::excuses_leaving;
use buttress_core::{Now, Outcome, Permit, Reason, Rejection};

/// The permit of a call that is under way. Dropping it cancels the call.
///
/// A policy that listens is told, with the time: how long a call ran before its caller gave up says
/// much about the callee.
#[derive(Debug)]
pub(crate) struct Held<P: Permit> {
    permit: Option<P>,
    /// What it means if the call goes no further; `None` if nothing.
    if_dropped: Option<Outcome>,
    /// Whether its request may still be on its way.
    has_upload: bool,
}

impl<P: Permit> Held<P> {
    #[inline]
    pub(crate) const fn new(permit: P) -> Self {
        Self::of_request(permit, false)
    }

    /// The same of a call whose request may still be on its way: who drops it then need not have
    /// lost patience.
    #[inline]
    pub(crate) const fn of_request(permit: P, has_upload: bool) -> Self {
        Self {
            permit: Some(permit),
            if_dropped: Some(Outcome::Cancelled),
            has_upload,
        }
    }

    /// Holds nothing.
    #[cfg(feature = "http")]
    pub(crate) const fn nothing() -> Self {
        Self {
            permit: None,
            if_dropped: Some(Outcome::Cancelled),
            has_upload: false,
        }
    }

    /// The answer has begun, and looks like this. If it does not do well, the caller may need no
    /// more of it, and still that is no cancelled call.
    #[inline]
    #[cfg(feature = "http")]
    pub(crate) fn begins(&mut self, outcome: Option<Outcome>) {
        match outcome {
            Some(Outcome::Cancelled) => self.if_dropped = None,
            Some(failed @ (Outcome::Failure | Outcome::Overload)) => {
                self.if_dropped = Some(failed);
            }
            _ => {
                if P::WANTS_OUTCOME
                    && let Some(permit) = &mut self.permit
                {
                    permit.answered();
                }
            }
        }
    }

    #[cfg(feature = "http")]
    #[inline]
    pub(crate) const fn is_over(&self) -> bool {
        self.permit.is_none()
    }

    #[inline]
    pub(crate) fn take(&mut self) -> Option<P> {
        self.permit.take()
    }

    /// Until it is [done](FailOnPanic::done), a panic is the call's failure.
    #[inline]
    pub(crate) fn watch(&mut self) -> FailOnPanic<'_, P> {
        FailOnPanic(&mut self.permit)
    }
}

impl<P: Permit> Drop for Held<P> {
    #[inline]
    fn drop(&mut self) {
        if P::WANTS_OUTCOME
            && let Some(outcome) = self.if_dropped
            && let Some(permit) = self.permit.take()
            && !(self.has_upload && outcome == Outcome::Cancelled && excuses_leaving())
        {
            permit.complete(outcome, &Now::lazy(clock::now));
        }
    }
}

/// A call has ended, and this is how. One that never reached the callee is not told, so that the
/// policy does not take it for one whose caller lost patience.
#[inline]
pub(crate) fn settle<P: Permit>(permit: P, outcome: Outcome) {
    if !(P::WANTS_OUTCOME && outcome == Outcome::Cancelled) {
        permit.complete(outcome, &Now::lazy(clock::now));
    }
}

/// Whether a call failed since the time that its caller gave it was up.
#[inline]
pub(crate) fn has_expired(outcome: Outcome, refusal: Option<&Rejection>) -> bool {
    let reason = refusal.map(Rejection::reason);
    outcome == Outcome::Failure && reason == Some(Reason::DeadlinePassed)
}

/// The same of a call that has ended with an error, or with this refusal of a layer further in.
#[inline]
pub(crate) fn settle_refused<P: Permit>(permit: P, outcome: Outcome, refusal: Option<&Rejection>) {
    if has_expired(outcome, refusal) {
        expire(permit);
    } else {
        settle(permit, outcome);
    }
}

/// Out of the way of the calls that end otherwise: it is rare, and the compiler would keep apart for it
/// what it makes one piece of without.
#[cold]
pub(crate) fn expire<P: Permit>(permit: P) {
    permit.expired(&Now::lazy(clock::now));
}

/// Watches over a permit while foreign code runs: if that panics, the call failed.
///
/// Without it the permit would merely be dropped as the panic unwinds, and the call would count as
/// cancelled.
#[must_use]
pub(crate) struct FailOnPanic<'a, P: Permit>(&'a mut Option<P>);

impl<P: Permit> FailOnPanic<'_, P> {
    /// Nothing panicked.
    #[inline]
    pub(crate) fn done(self) {
        std::mem::forget(self);
    }
}

impl<P: Permit> Drop for FailOnPanic<'_, P> {
    fn drop(&mut self) {
        // Only a panic gets here.
        if let Some(permit) = self.0.take() {
            permit.complete(Outcome::Failure, &Now::lazy(clock::now));
        }
    }
}
