use super::succession::Succession;
use buttress::{Admission, Carried, Look, Now, Policy, Prioritized, Rejection, Shadow};
use std::task::{Context, Poll};
use std::time::Instant;

/// A policy with or without a bar for less critical calls in front of it, at its place among the
/// rules.
#[derive(Debug)]
pub struct Barred<P> {
    bar: Bar<P>,
    succession: Succession<Shadow<Self>>,
}

#[derive(Debug)]
enum Bar<P> {
    Without(P),
    With(Prioritized<P, Carried>),
}

impl<P> Barred<P> {
    /// Without a bar.
    pub fn plain(policy: P) -> Self {
        Self::of(Bar::Without(policy))
    }

    /// With one.
    pub fn prioritized(policy: Prioritized<P, Carried>) -> Self {
        Self::of(Bar::With(policy))
    }

    fn of(bar: Bar<P>) -> Self {
        let succession = Succession::default();
        Self { bar, succession }
    }

    /// The policy itself.
    pub fn policy(&self) -> &P {
        match &self.bar {
            Bar::Without(policy) => policy,
            Bar::With(prioritized) => prioritized.policy(),
        }
    }

    /// Where the bar is, if there is one.
    pub fn height(&self) -> Option<f64> {
        match &self.bar {
            Bar::Without(_) => None,
            Bar::With(prioritized) => Some(prioritized.height()),
        }
    }

    /// What stands at its place now, if that is another one.
    #[inline]
    pub fn newest(&self) -> Option<Shadow<Self>> {
        self.succession.newest()
    }

    /// Sends calls on to another one from now on.
    pub fn give_way_to(&self, next: &Shadow<Self>) {
        self.succession.pass_to(next, &next.policy().succession);
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
        match &self.bar {
            Bar::Without(policy) => ask(policy),
            Bar::With(prioritized) => prioritized.admit_by(call, now, ask),
        }
    }
}

macro_rules! of_either {
    ($self:expr, $policy:ident => $value:expr) => {
        match &$self.bar {
            Bar::Without($policy) => $value,
            Bar::With($policy) => $value,
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
