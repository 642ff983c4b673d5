use buttress::{Admission, Carried, Look, Now, Policy, Prioritized, Rejection};
use std::task::{Context, Poll};
use std::time::Instant;

/// A policy with or without a bar for less critical calls in front of it.
#[derive(Clone, Debug)]
pub enum Barred<P> {
    /// Without.
    Plain(P),
    /// With.
    Prioritized(Prioritized<P, Carried>),
}

impl<P> Barred<P> {
    /// The policy itself.
    pub fn policy(&self) -> &P {
        match self {
            Self::Plain(policy) => policy,
            Self::Prioritized(prioritized) => prioritized.policy(),
        }
    }

    /// Where the bar is, if there is one.
    pub fn height(&self) -> Option<f64> {
        match self {
            Self::Plain(_) => None,
            Self::Prioritized(prioritized) => Some(prioritized.height()),
        }
    }

    /// Asks the policy by `ask`, if the call is not below the bar.
    #[inline]
    pub fn admit_by<C: ?Sized, K, W>(
        &self,
        call: &C,
        now: &Now,
        ask: impl FnOnce(&P) -> Admission<K, W>,
    ) -> Admission<K, W>
    where
        Carried: Look<C>,
    {
        match self {
            Self::Plain(policy) => ask(policy),
            Self::Prioritized(prioritized) => prioritized.admit_by(call, now, ask),
        }
    }
}

macro_rules! of_either {
    ($self:expr, $policy:ident => $value:expr) => {
        match $self {
            Barred::Plain($policy) => $value,
            Barred::Prioritized($policy) => $value,
        }
    };
}

impl<C: ?Sized, P> Policy<C> for Barred<P>
where
    P: Policy<C>,
    Carried: Look<C>,
{
    type Permit = P::Permit;
    type Waiting = P::Waiting;

    fn admit(&self, call: &C, now: &Now) -> Admission<P::Permit, P::Waiting> {
        self.admit_by(call, now, |policy| policy.admit(call, now))
    }

    fn poll_admit(
        &self,
        waiting: &mut P::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<P::Permit, Rejection>> {
        of_either!(self, policy => policy.poll_admit(waiting, call, now, context))
    }

    fn wake_at(&self, waiting: &P::Waiting) -> Option<Instant> {
        of_either!(self, policy => Policy::<C>::wake_at(policy, waiting))
    }

    fn abandon(&self, waiting: P::Waiting, call: &C) {
        of_either!(self, policy => Policy::<C>::abandon(policy, waiting, call));
    }

    fn revoke(&self, permit: P::Permit, call: &C) {
        of_either!(self, policy => Policy::<C>::revoke(policy, permit, call));
    }
}
