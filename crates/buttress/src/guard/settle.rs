use crate::clock;
use buttress_core::{Now, Outcome, Permit};

/// Watches over a permit while foreign code runs: if that panics, the call failed.
///
/// Without it the permit would merely be dropped as the panic unwinds, and the call would count as
/// cancelled.
#[must_use]
pub(crate) struct FailOnPanic<'a, P: Permit>(&'a mut Option<P>);

impl<'a, P: Permit> FailOnPanic<'a, P> {
    /// Watches until it is [done](Self::done).
    #[inline]
    pub(crate) fn watch(permit: &'a mut Option<P>) -> Self {
        Self(permit)
    }

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
