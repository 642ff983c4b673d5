use super::Drain;
use crate::shared::Shared;
use buttress::{Admission, Never, Now, Outcome, Permit, Policy, Rejection};
use std::sync::Arc;
use std::task::{Context, Poll};

/// The policy inside a [`Drain`]: it counts the calls in flight, and refuses new ones when the
/// grace is over, or when a [`Watchdog`](crate::Watchdog) says so.
///
/// For services that are neither HTTP nor gRPC: `guard(drain.gate()).protocol(Plain::new())`.
#[derive(Clone, Debug)]
pub struct Gate {
    drain: Drain,
    shared: Arc<Shared>,
}

impl Drain {
    /// The policy alone.
    pub fn gate(&self) -> Gate {
        Gate {
            drain: self.clone(),
            shared: Arc::clone(self.inner.health.shared()),
        }
    }
}

impl<C: ?Sized> Policy<C> for Gate {
    type Permit = InFlight;
    type Waiting = Never;

    #[inline]
    fn admit(&self, _: &C, _: &Now) -> Admission<InFlight, Never> {
        match self.shared.refusal() {
            None => Admission::Admitted(InFlight(Arc::clone(&self.drain.inner.calls))),
            Some(rejection) => Admission::Refused(rejection),
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<InFlight, Rejection>> {
        match *waiting {}
    }
}

/// A call in flight.
#[derive(Debug)]
pub struct InFlight(#[expect(dead_code, reason = "it is counted")] Arc<()>);

impl Permit for InFlight {
    const WANTS_OUTCOME: bool = false;

    #[inline]
    fn complete(self, _: Outcome, _: &Now) {}
}
