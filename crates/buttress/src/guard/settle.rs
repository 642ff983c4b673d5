use crate::clock;
use buttress_core::{Now, Outcome, Permit};

/// The permit of a call that is under way. Dropping it cancels the call.
///
/// A policy that listens is told, with the time: how long a call ran before its caller gave up says
/// much about the callee.
#[derive(Debug)]
pub(crate) struct Held<P: Permit> {
    permit: Option<P>,
    /// What it means if the call goes no further.
    if_dropped: Outcome,
}

impl<P: Permit> Held<P> {
    #[inline]
    pub(crate) const fn new(permit: P) -> Self {
        Self {
            permit: Some(permit),
            if_dropped: Outcome::Cancelled,
        }
    }

    /// Holds nothing.
    #[cfg(feature = "http")]
    pub(crate) const fn nothing() -> Self {
        Self {
            permit: None,
            if_dropped: Outcome::Cancelled,
        }
    }

    /// The caller knows already that the call did not do well. It may need no more of it, and
    /// still that is no cancelled call.
    #[inline]
    #[cfg(feature = "http")]
    pub(crate) fn failed_already(&mut self, outcome: Outcome) {
        self.if_dropped = outcome;
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
            && let Some(permit) = self.permit.take()
        {
            permit.complete(self.if_dropped, &Now::lazy(clock::now));
        }
    }
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
