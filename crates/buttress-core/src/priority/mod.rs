//! Refusing the least critical first.

#[cfg(all(test, not(loom)))]
mod loads;
#[cfg(all(test, not(loom)))]
mod tests;
mod threshold;

pub use threshold::Threshold;

use crate::look::Look;
use crate::now::Now;
use crate::policy::{Admission, Policy};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name};
use std::fmt;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A policy in front of which a [`Threshold`] refuses the least critical calls, as soon as the
/// policy has to refuse some.
///
/// ```
/// use buttress_core::{Criticality, Prioritized, Slots};
///
/// let look = |call: &str| match call {
///     "report" => Criticality::Sheddable,
///     _ => Criticality::Critical,
/// };
/// let policy = Prioritized::new(Slots::new(64)?, look);
/// assert_eq!(policy.threshold().height(), 0.0);
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct Prioritized<P, L> {
    policy: P,
    look: L,
    threshold: Threshold,
    name: &'static str,
}

impl<P, L> Prioritized<P, L> {
    /// Refuses before `policy` must, by what `look` sees. The name is `"priority"`.
    pub fn new(policy: P, look: L) -> Self {
        Self {
            policy,
            look,
            threshold: Threshold::new(),
            name: "priority",
        }
    }

    /// How long to count before the bar is moved: 100 ms by default.
    ///
    /// # Errors
    ///
    /// `window` is 0 or longer than a year.
    pub fn window(mut self, window: Duration) -> Result<Self, SettingError> {
        self.threshold = self.threshold.window(window)?;
        Ok(self)
    }

    /// The name that refusals below the bar carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(mut self, name: &'static str) -> Result<Self, SettingError> {
        self.name = check_name("named", name)?;
        Ok(self)
    }

    /// The policy behind the bar.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// The bar.
    pub fn threshold(&self) -> &Threshold {
        &self.threshold
    }

    /// Notes a refusal that means that there is too much to do.
    fn noted(&self, rejection: Rejection) -> Rejection {
        if matches!(
            rejection.reason(),
            Reason::BulkheadFull
                | Reason::WaitedTooLong
                | Reason::DeadlinePassed
                | Reason::Overloaded
        ) {
            self.threshold.refused();
        }
        rejection
    }
}

impl<P, L> Prioritized<P, L> {
    /// Decides as [`Policy::admit`] does, and asks the policy by `ask`, which may keep the permit
    /// where it stays. It must ask that very policy, once: the bar learns from what it says.
    #[inline]
    pub fn admit_by<C: ?Sized, K, W>(
        &self,
        call: &C,
        now: &Now,
        ask: impl FnOnce(&P) -> Admission<K, W>,
    ) -> Admission<K, W>
    where
        L: Look<C>,
    {
        let criticality = self.look.criticality(call);
        if !self.threshold.lets_through(criticality, now) {
            return Admission::Refused(Rejection::new(Reason::Overloaded, self.name));
        }
        match ask(&self.policy) {
            Admission::Refused(rejection) => Admission::Refused(self.noted(rejection)),
            // Each by itself, since most permits are smaller than a place in a line.
            Admission::Admitted(permit) => Admission::Admitted(permit),
            Admission::Wait(waiting) => Admission::Wait(waiting),
        }
    }
}

impl<C: ?Sized, P: Policy<C>, L: Look<C>> Policy<C> for Prioritized<P, L> {
    type Permit = P::Permit;
    type Waiting = P::Waiting;

    #[inline]
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
        let polled = self.policy.poll_admit(waiting, call, now, context);
        polled.map_err(|rejection| self.noted(rejection))
    }

    fn wake_at(&self, waiting: &P::Waiting) -> Option<Instant> {
        self.policy.wake_at(waiting)
    }

    fn abandon(&self, waiting: P::Waiting, call: &C) {
        self.policy.abandon(waiting, call);
    }

    fn revoke(&self, permit: P::Permit, call: &C) {
        self.policy.revoke(permit, call);
    }
}

impl<P: fmt::Debug, L> fmt::Debug for Prioritized<P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prioritized")
            .field("name", &self.name)
            .field("threshold", &self.threshold)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
