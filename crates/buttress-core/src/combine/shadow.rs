use crate::now::Now;
use crate::policy::{Admission, PerKey, Policy, Retention};
use crate::rejection::{Reason, Rejection};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

/// A policy that decides, and is not obeyed.
///
/// A limit that is wrong refuses calls that could have been served, and nobody dares to find out
/// with real traffic. In shadow a policy sees every call, learns from those that it would have
/// admitted, and what it would have done with the others is counted by reason. No call is refused,
/// and none waits: one that would have stood in line leaves it at once.
///
/// [`enforce`](Self::enforce) obeys it from the next call on, and [`observe`](Self::observe) stops
/// that, while calls run.
///
/// # What it cannot know
///
/// A call that would have been refused runs all the same, and has an effect: the callee is busier
/// than it would have been. So what is counted is an upper bound of what would be refused.
///
/// How a wait would have ended nobody knows either: where there is a waiting room, calls are counted
/// by [`would_have_waited`](Self::would_have_waited), and its line is always empty. Read both numbers;
/// each such call would have been refused or served later.
///
/// ```
/// use buttress_core::{Admission, Now, Policy, Reason, Slots, combine::Shadow};
///
/// let slots = Shadow::new(Slots::new(1)?);
/// let now = Now::at(std::time::Instant::now());
/// let held = slots.admit("a call", &now);
/// assert!(matches!(slots.admit("another", &now), Admission::Admitted(None)));
/// assert_eq!(slots.would_have_refused(Reason::BulkheadFull), 1);
///
/// slots.enforce();
/// assert!(matches!(slots.admit("a third", &now), Admission::Refused(_)));
/// # drop(held);
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct Shadow<P> {
    policy: P,
    enforced: AtomicBool,
    refused: [AtomicU64; REASONS],
    waited: AtomicU64,
}

impl<P> Shadow<P> {
    /// `policy` in shadow.
    pub fn new(policy: P) -> Self {
        Self {
            policy,
            enforced: AtomicBool::new(false),
            refused: std::array::from_fn(|_| AtomicU64::new(0)),
            waited: AtomicU64::new(0),
        }
    }

    /// Obeys the policy from the next call on.
    pub fn enforce(&self) {
        self.enforced.store(true, Ordering::Relaxed);
    }

    /// Only counts from the next call on. Calls that wait already are not let in by that.
    pub fn observe(&self) {
        self.enforced.store(false, Ordering::Relaxed);
    }

    /// Whether the policy is obeyed.
    pub fn is_enforced(&self) -> bool {
        self.enforced.load(Ordering::Relaxed)
    }

    /// How many calls it would have refused for `reason`, had it been obeyed. Those that it did
    /// refuse while it was are not counted.
    pub fn would_have_refused(&self, reason: Reason) -> u64 {
        self.refused[place_of(reason)].load(Ordering::Relaxed)
    }

    /// How many it would have refused for any reason.
    pub fn would_have_refused_in_all(&self) -> u64 {
        let count = |refused: &AtomicU64| refused.load(Ordering::Relaxed);
        self.refused.iter().map(count).sum()
    }

    /// How many would have had to wait, whatever would have come of it.
    pub fn would_have_waited(&self) -> u64 {
        self.waited.load(Ordering::Relaxed)
    }

    /// The policy.
    pub fn policy(&self) -> &P {
        &self.policy
    }

    /// Counts a wait that is not waited, in the same way.
    #[cold]
    pub fn note_wait(&self) {
        self.waited.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal that is not obeyed: for those who ask the [policy](Self::policy) themselves.
    #[cold]
    pub fn note(&self, rejection: &Rejection) {
        self.refused[place_of(rejection.reason())].fetch_add(1, Ordering::Relaxed);
    }
}

impl<C: ?Sized, P: Policy<C>> Policy<C> for Shadow<P> {
    /// `None` for a call that would not have been admitted at once.
    type Permit = Option<P::Permit>;
    type Waiting = P::Waiting;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
        match self.policy.admit(call, now) {
            Admission::Admitted(permit) => Admission::Admitted(Some(permit)),
            Admission::Refused(rejection) if self.is_enforced() => Admission::Refused(rejection),
            Admission::Wait(waiting) if self.is_enforced() => Admission::Wait(waiting),
            Admission::Refused(rejection) => {
                self.note(&rejection);
                Admission::Admitted(None)
            }
            Admission::Wait(waiting) => {
                self.policy.abandon(waiting, call);
                self.note_wait();
                Admission::Admitted(None)
            }
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut Self::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        self.policy
            .poll_admit(waiting, call, now, context)
            .map_ok(Some)
    }

    fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
        self.policy.wake_at(waiting)
    }

    fn abandon(&self, waiting: Self::Waiting, call: &C) {
        self.policy.abandon(waiting, call);
    }

    fn revoke(&self, permit: Self::Permit, call: &C) {
        if let Some(permit) = permit {
            self.policy.revoke(permit, call);
        }
    }
}

impl<C: ?Sized, P: PerKey<C>> PerKey<C> for Shadow<P> {
    const TAKES_BACK: bool = P::TAKES_BACK;

    fn retention(&self, now: &Now) -> Retention {
        self.policy.retention(now)
    }
}

impl<P: fmt::Debug> fmt::Debug for Shadow<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shadow")
            .field("policy", &self.policy)
            .field("enforced", &self.is_enforced())
            .field("would_have_refused", &self.would_have_refused_in_all())
            .field("would_have_waited", &self.would_have_waited())
            .finish_non_exhaustive()
    }
}

/// More than there are reasons.
const REASONS: usize = 64;

fn place_of(reason: Reason) -> usize {
    (reason as usize).min(REASONS - 1)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::{Gcra, Outcome, Permit, RateLimiter, Slots};
    use std::time::Duration;

    fn now() -> Now {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        Now::at(Instant::now())
    }

    #[expect(clippy::panic, reason = "a test that cannot go on should say where")]
    fn admitted<P, W>(admission: Admission<P, W>) -> P {
        match admission {
            Admission::Admitted(permit) => permit,
            Admission::Refused(_) | Admission::Wait(_) => panic!("in shadow all are admitted"),
        }
    }

    #[test]
    fn in_shadow_everything_passes_and_refusals_are_counted_by_reason() {
        let now = now();
        let second = Duration::from_secs(1);
        let limit = RateLimiter::new(Gcra::new(1, second, 2).unwrap());
        let policy = Shadow::new((limit, Slots::new(1).unwrap()));
        let held = admitted(policy.admit(&(), &now));
        assert!(held.is_some());
        assert!(admitted(policy.admit(&(), &now)).is_none());
        // The second was refused by the slots, and gave its token back.
        assert!(admitted(policy.admit(&(), &now)).is_none());
        drop(held);
        assert!(admitted(policy.admit(&(), &now)).is_some());
        assert!(admitted(policy.admit(&(), &now)).is_none());
        assert_eq!(policy.would_have_refused(Reason::BulkheadFull), 2);
        assert_eq!(policy.would_have_refused(Reason::RateLimited), 1);
        assert_eq!(policy.would_have_refused(Reason::CircuitOpen), 0);
        assert_eq!(policy.would_have_refused_in_all(), 3);
    }

    #[test]
    fn in_shadow_nobody_waits_and_nobody_stands_in_line() {
        let now = now();
        let slots = Slots::new(1).unwrap();
        let slots = slots.waiting_room(4, Duration::from_secs(1)).unwrap();
        let policy = Shadow::new(slots);
        let held = admitted(policy.admit(&(), &now));
        for _ in 0..10 {
            assert!(admitted(policy.admit(&(), &now)).is_none());
        }
        assert_eq!(policy.would_have_waited(), 10);
        assert_eq!(policy.policy().waiting(), 0);
        assert_eq!(policy.would_have_refused_in_all(), 0);
        drop(held);
        assert_eq!(policy.policy().taken(), 0);
    }

    #[test]
    fn it_is_obeyed_as_soon_as_it_is_switched_and_no_longer() {
        let now = now();
        let policy = Shadow::new(Slots::new(1).unwrap());
        let held = admitted(policy.admit(&(), &now));
        policy.enforce();
        assert!(matches!(policy.admit(&(), &now), Admission::Refused(_)));
        assert_eq!(policy.would_have_refused_in_all(), 0, "it did refuse");
        policy.observe();
        assert!(admitted(policy.admit(&(), &now)).is_none());
        policy.revoke(held, &());
        assert_eq!(policy.policy().taken(), 0);
    }

    #[test]
    fn the_policy_goes_on_learning() {
        struct Learns;
        struct Teaches;
        static OUTCOMES: AtomicU64 = AtomicU64::new(0);
        impl Permit for Teaches {
            fn complete(self, _: Outcome, _: &Now) {
                OUTCOMES.fetch_add(1, Ordering::Relaxed);
            }
        }
        impl<C: ?Sized> Policy<C> for Learns {
            type Permit = Teaches;
            type Waiting = crate::Never;
            fn admit(&self, _: &C, _: &Now) -> Admission<Teaches, crate::Never> {
                Admission::Admitted(Teaches)
            }
            fn poll_admit(
                &self,
                waiting: &mut crate::Never,
                _: &C,
                _: &Now,
                _: &mut Context<'_>,
            ) -> Poll<Result<Teaches, Rejection>> {
                match *waiting {}
            }
        }
        let now = now();
        let permit = admitted(Shadow::new(Learns).admit(&(), &now));
        const { assert!(<Option<Teaches> as Permit>::WANTS_OUTCOME) };
        permit.complete(Outcome::Failure, &now);
        assert_eq!(OUTCOMES.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn every_reason_has_a_place_of_its_own() {
        // The last reason's number is the largest.
        assert!((Reason::KeyUnavailable as usize) < REASONS - 1);
    }
}
