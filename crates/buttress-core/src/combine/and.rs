use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, Permit, Policy};
use crate::quota::Quota;
use crate::rejection::Rejection;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Both policies must admit: the first decides first, and what it gave is given back if the
/// second refuses. Tuples are chains of this.
#[derive(Clone, Copy, Debug)]
pub struct And<A, B>(
    /// Decides first.
    pub A,
    /// Decides on what the first one admitted.
    pub B,
);

impl<C, A, B> Policy<C> for And<A, B>
where
    C: ?Sized,
    A: Policy<C>,
    B: Policy<C>,
{
    type Permit = Both<A::Permit, B::Permit>;
    type Waiting = AndWaiting<A::Waiting, A::Permit, B::Waiting>;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
        match self.0.admit(call, now) {
            Admission::Admitted(first) => self.admit_second(first, call, now),
            Admission::Refused(rejection) => Admission::Refused(rejection),
            Admission::Wait(waiting) => Admission::Wait(AndWaiting::First(waiting)),
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut Self::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        if let AndWaiting::First(first) = waiting {
            let first = match ready!(self.0.poll_admit(first, call, now, context)) {
                Ok(first) => first,
                Err(rejection) => return Poll::Ready(Err(rejection)),
            };
            match self.admit_second(first, call, now) {
                Admission::Admitted(both) => return Poll::Ready(Ok(both)),
                Admission::Refused(rejection) => return Poll::Ready(Err(rejection)),
                // The second one has not seen this task yet: it is polled below.
                Admission::Wait(next) => *waiting = next,
            }
        }
        let AndWaiting::Second(first, second) = waiting else {
            return Poll::Pending;
        };
        let second = ready!(self.1.poll_admit(second, call, now, context));
        // A wait that has been answered is not polled again, so the permit is there.
        Poll::Ready(match (first.take(), second) {
            (Some(first), Ok(second)) => Ok(Both(first, second)),
            (first, Err(rejection)) => {
                if let Some(first) = first {
                    self.0.revoke(first, call);
                }
                Err(rejection)
            }
            (None, Ok(_)) => return Poll::Pending,
        })
    }

    fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
        match waiting {
            AndWaiting::First(first) => self.0.wake_at(first),
            AndWaiting::Second(_, second) => self.1.wake_at(second),
        }
    }

    fn abandon(&self, waiting: Self::Waiting, call: &C) {
        match waiting {
            AndWaiting::First(first) => self.0.abandon(first, call),
            AndWaiting::Second(first, second) => {
                self.1.abandon(second, call);
                if let Some(first) = first {
                    self.0.revoke(first, call);
                }
            }
        }
    }

    fn revoke(&self, permit: Self::Permit, call: &C) {
        self.1.revoke(permit.1, call);
        self.0.revoke(permit.0, call);
    }
}

impl<A, B> And<A, B> {
    #[inline]
    fn admit_second<C>(
        &self,
        first: A::Permit,
        call: &C,
        now: &Now,
    ) -> Admission<BothPermits<A, B, C>, EitherWaiting<A, B, C>>
    where
        C: ?Sized,
        A: Policy<C>,
        B: Policy<C>,
    {
        match self.1.admit(call, now) {
            Admission::Admitted(second) => Admission::Admitted(Both(first, second)),
            Admission::Refused(rejection) => {
                self.0.revoke(first, call);
                Admission::Refused(rejection)
            }
            Admission::Wait(waiting) => Admission::Wait(AndWaiting::Second(Some(first), waiting)),
        }
    }
}

type BothPermits<A, B, C> = Both<<A as Policy<C>>::Permit, <B as Policy<C>>::Permit>;
type EitherWaiting<A, B, C> =
    AndWaiting<<A as Policy<C>>::Waiting, <A as Policy<C>>::Permit, <B as Policy<C>>::Waiting>;

/// The permits of two policies.
#[derive(Clone, Copy, Debug)]
pub struct Both<A, B>(
    /// The first one's.
    pub A,
    /// The second one's.
    pub B,
);

impl<A: Permit, B: Permit> Permit for Both<A, B> {
    const WANTS_OUTCOME: bool = A::WANTS_OUTCOME || B::WANTS_OUTCOME;

    #[inline]
    fn complete(self, outcome: Outcome, now: &Now) {
        self.1.complete(outcome, now);
        self.0.complete(outcome, now);
    }

    fn expired(self, now: &Now) {
        self.1.expired(now);
        self.0.expired(now);
    }

    fn pushback(&mut self, wait: Duration) {
        self.0.pushback(wait);
        self.1.pushback(wait);
    }

    fn answered(&mut self) {
        self.0.answered();
        self.1.answered();
    }

    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        self.0.quotas(each);
        self.1.quotas(each);
    }

    #[inline]
    fn wants_outcome(&self) -> bool {
        self.0.wants_outcome() || self.1.wants_outcome()
    }
}

/// A call that waits for one of two policies, while it holds what the earlier one gave.
#[derive(Debug)]
pub enum AndWaiting<W, P, V> {
    /// It waits for the first.
    First(W),
    /// It waits for the second, and holds the first one's permit.
    Second(Option<P>, V),
}
