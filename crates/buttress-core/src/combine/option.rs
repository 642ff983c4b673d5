use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, PerKey, Permit, Policy, Retention};
use crate::quota::Quota;
use crate::rejection::Rejection;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// `None` admits everything.
impl<C: ?Sized, P: Policy<C>> Policy<C> for Option<P> {
    type Permit = Option<P::Permit>;
    type Waiting = P::Waiting;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
        let Some(policy) = self else {
            return Admission::Admitted(None);
        };
        match policy.admit(call, now) {
            Admission::Admitted(permit) => Admission::Admitted(Some(permit)),
            Admission::Refused(rejection) => Admission::Refused(rejection),
            Admission::Wait(waiting) => Admission::Wait(waiting),
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut Self::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        match self {
            Some(policy) => policy
                .poll_admit(waiting, call, now, context)
                .map(|answer| answer.map(Some)),
            None => Poll::Ready(Ok(None)),
        }
    }

    fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
        self.as_ref().and_then(|policy| policy.wake_at(waiting))
    }

    fn abandon(&self, waiting: Self::Waiting, call: &C) {
        if let Some(policy) = self {
            policy.abandon(waiting, call);
        }
    }

    fn revoke(&self, permit: Self::Permit, call: &C) {
        if let (Some(policy), Some(permit)) = (self, permit) {
            policy.revoke(permit, call);
        }
    }
}

impl<C: ?Sized, P: PerKey<C>> PerKey<C> for Option<P> {
    const TAKES_BACK: bool = P::TAKES_BACK;

    fn retention(&self, now: &Now) -> Retention {
        self.as_ref()
            .map_or(Retention::Idle, |policy| policy.retention(now))
    }
}

impl<P: Permit> Permit for Option<P> {
    const WANTS_OUTCOME: bool = P::WANTS_OUTCOME;

    #[inline]
    fn complete(self, outcome: Outcome, now: &Now) {
        if let Some(permit) = self {
            permit.complete(outcome, now);
        }
    }

    fn expired(self, now: &Now) {
        if let Some(permit) = self {
            permit.expired(now);
        }
    }

    fn pushback(&mut self, wait: Duration) {
        if let Some(permit) = self {
            permit.pushback(wait);
        }
    }

    fn answered(&mut self) {
        if let Some(permit) = self {
            permit.answered();
        }
    }

    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        if let Some(permit) = self {
            permit.quotas(each);
        }
    }

    #[inline]
    fn wants_outcome(&self) -> bool {
        self.as_ref().is_some_and(Permit::wants_outcome)
    }
}
