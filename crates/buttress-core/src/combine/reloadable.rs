use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, Permit, Policy};
use crate::quota::Quota;
use crate::rejection::Rejection;
use arc_swap::ArcSwap;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A policy that can be replaced while calls run.
///
/// A call that was admitted or that waits belongs to the policy that it met, to its end; the next
/// call meets the new one. What should survive a change is carried over by
/// [`update`](Self::update), which sees the old policy: handles such as a bulkhead's share their
/// state when cloned.
///
/// ```
/// use buttress_core::{Reloadable, Slots};
///
/// let policy = Reloadable::new((Slots::new(8)?, Some(Slots::new(2)?)));
///
/// // The first bulkhead keeps its calls; the second one goes.
/// policy.update(|(slots, _)| (slots.clone(), None));
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
#[derive(Debug)]
pub struct Reloadable<P> {
    current: ArcSwap<P>,
}

impl<P> Reloadable<P> {
    /// Starts with `policy`.
    pub fn new(policy: P) -> Self {
        Self {
            current: ArcSwap::from_pointee(policy),
        }
    }

    /// Replaces the policy.
    pub fn replace(&self, policy: P) {
        self.current.store(Arc::new(policy));
    }

    /// Replaces the policy by one made from it. `next` may run more than once if two updates
    /// meet, so that none is lost.
    pub fn update(&self, mut next: impl FnMut(&P) -> P) {
        self.current.rcu(|current| next(current));
    }

    /// The policy that the next call meets.
    pub fn current(&self) -> Arc<P> {
        self.current.load_full()
    }
}

impl<C: ?Sized, P: Policy<C>> Policy<C> for Reloadable<P> {
    type Permit = OfPolicy<P, P::Permit>;
    type Waiting = OfPolicy<P, P::Waiting>;

    fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
        let policy = self.current.load_full();
        match policy.admit(call, now) {
            Admission::Admitted(held) => Admission::Admitted(OfPolicy { held, policy }),
            Admission::Refused(rejection) => Admission::Refused(rejection),
            Admission::Wait(held) => Admission::Wait(OfPolicy { held, policy }),
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut Self::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        let OfPolicy { held, policy } = waiting;
        policy
            .poll_admit(held, call, now, context)
            .map_ok(|held| OfPolicy {
                held,
                policy: Arc::clone(policy),
            })
    }

    fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
        waiting.policy.wake_at(&waiting.held)
    }

    fn abandon(&self, waiting: Self::Waiting, call: &C) {
        waiting.policy.abandon(waiting.held, call);
    }

    fn revoke(&self, permit: Self::Permit, call: &C) {
        permit.policy.revoke(permit.held, call);
    }
}

/// What a call holds, and the policy that gave it.
#[derive(Debug)]
pub struct OfPolicy<P, H> {
    // Before `policy`, so that it is dropped while the policy is there.
    held: H,
    policy: Arc<P>,
}

impl<P, H: Permit> Permit for OfPolicy<P, H> {
    const WANTS_OUTCOME: bool = H::WANTS_OUTCOME;

    fn complete(self, outcome: Outcome, now: &Now) {
        self.held.complete(outcome, now);
    }

    fn expired(self, now: &Now) {
        self.held.expired(now);
    }

    fn pushback(&mut self, wait: Duration) {
        self.held.pushback(wait);
    }

    fn answered(&mut self) {
        self.held.answered();
    }

    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        self.held.quotas(each);
    }
}
