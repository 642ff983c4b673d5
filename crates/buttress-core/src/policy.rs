use crate::now::Now;
use crate::outcome::Outcome;
use crate::quota::Quota;
use crate::rejection::Rejection;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Decides whether a call may go ahead.
///
/// A policy is a plain state machine. It knows no HTTP and no runtime, and the time comes in as an
/// argument. `C` is what describes the call: the request. A policy that never looks at it is
/// generic over it.
///
/// # The life of a call
///
/// 1. [`admit`](Self::admit) decides at once, or puts the call in a waiting line.
/// 2. A waiting call is polled with [`poll_admit`](Self::poll_admit) whenever its task is woken,
///    and at the latest at [`wake_at`](Self::wake_at). If its caller goes away first, it is
///    [abandoned](Self::abandon).
/// 3. An admitted call holds a [`Permit`] until it is over. If a later policy of the same guard
///    refuses the call after all, the permit is [revoked](Self::revoke).
///
/// # Writing one
///
/// ```
/// use buttress_core::{Admission, Never, Now, Policy, Reason, Rejection};
/// use std::sync::atomic::{AtomicBool, Ordering};
/// use std::task::{Context, Poll};
///
/// /// A switch that an operator can flip.
/// struct Switch(AtomicBool);
///
/// impl<C: ?Sized> Policy<C> for Switch {
///     type Permit = ();
///     type Waiting = Never;
///
///     fn admit(&self, _: &C, _: &Now) -> Admission<(), Never> {
///         match self.0.load(Ordering::Relaxed) {
///             true => Admission::Admitted(()),
///             false => Admission::Refused(Rejection::new(Reason::Draining, "switch")),
///         }
///     }
///
///     fn poll_admit(
///         &self,
///         waiting: &mut Never,
///         _: &C,
///         _: &Now,
///         _: &mut Context<'_>,
///     ) -> Poll<Result<(), Rejection>> {
///         match *waiting {}
///     }
/// }
/// ```
///
/// The rules: no method blocks or panics, a refusal is cheap, and whatever grows has a bound.
pub trait Policy<C: ?Sized> {
    /// What an admitted call holds until it is over.
    type Permit: Permit;

    /// A call's place in the waiting line; [`Never`](crate::Never) where nobody waits.
    type Waiting;

    /// Decides on a new call.
    fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting>;

    /// Asks whether a waiting call's turn has come, and arranges for the task to be woken when it
    /// does. Once it has answered, `waiting` is spent: it is dropped, and not polled or abandoned.
    ///
    /// # Errors
    ///
    /// The call is refused after all, for instance because it waited too long.
    fn poll_admit(
        &self,
        waiting: &mut Self::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>>;

    /// When a waiting call must be polled even if nothing wakes it.
    fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
        let _ = waiting;
        None
    }

    /// A waiting call's caller went away. Gives back what the wait had reserved.
    fn abandon(&self, waiting: Self::Waiting, call: &C) {
        let _ = call;
        drop(waiting);
    }

    /// A call that this policy admitted was refused by a later one, before any work. Gives back
    /// what admitting it took. Where dropping the permit does that already, there is nothing to
    /// write.
    fn revoke(&self, permit: Self::Permit, call: &C) {
        let _ = call;
        drop(permit);
    }
}

/// The answer of [`Policy::admit`].
#[derive(Debug)]
pub enum Admission<P, W> {
    /// The call goes ahead, and holds the permit until it is over.
    Admitted(P),
    /// The call is refused.
    Refused(Rejection),
    /// The call stands in line.
    Wait(W),
}

/// What an admitted call holds.
///
/// Exactly one of two things happens to a permit: it is [completed](Self::complete), or it is
/// dropped, and then nothing was learnt. Either way whatever it held is given back.
///
/// Where the policy [wants to know the outcome](Self::WANTS_OUTCOME), a guard tells two kinds of
/// unfinished calls apart. If the caller went away, the permit is completed with
/// [`Outcome::Cancelled`], so that the policy can tell for how long the call had been running. If
/// the call ended and never reached the callee, as when a layer further in refused it, the permit
/// is dropped.
pub trait Permit {
    /// Whether the policy wants to know how the call went. Where it is `false`, the outcome passed
    /// to [`complete`](Self::complete) may be any, and the work of finding it out is saved.
    const WANTS_OUTCOME: bool = true;

    /// The call is over.
    fn complete(self, outcome: Outcome, now: &Now);

    /// The call is over since the time that its caller gave it was up, as a layer further in says. By
    /// default that is a [failure](Outcome::Failure), as of any callee that took too long. A policy
    /// that would let callers in a hurry spoil it for the others asks how long the call ran.
    #[inline]
    fn expired(self, now: &Now)
    where
        Self: Sized,
    {
        self.complete(Outcome::Failure, now);
    }

    /// The callee asked not to be called again for `wait`, a year at most. It is told before the
    /// call is [completed](Self::complete), and only where the outcome is wanted and is a failure or
    /// an overload. Anybody on the way can have written it: bound it before obeying.
    fn pushback(&mut self, wait: Duration) {
        let _ = wait;
    }

    /// The callee's answer has begun and is no failure so far; its end is still to come. Where
    /// answers come in one piece, or the outcome is not wanted, nobody is told.
    fn answered(&mut self) {}

    /// Shows each quota that the policy announces to its callers.
    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        let _ = each;
    }

    /// Whether this permit's policy wants to know the outcome. Where that depends on which policy it
    /// is, [`WANTS_OUTCOME`](Self::WANTS_OUTCOME) is true, and this says more.
    #[inline]
    fn wants_outcome(&self) -> bool {
        Self::WANTS_OUTCOME
    }
}

/// Holds nothing and learns nothing.
impl Permit for () {
    const WANTS_OUTCOME: bool = false;

    fn complete(self, _: Outcome, _: &Now) {}
}

/// A policy of which [`Keyed`](crate::Keyed) can hold one for each key.
///
/// Its methods are called under a lock of the map, so they must be short; those of the policies in
/// this crate are.
pub trait PerKey<C: ?Sized>: Policy<C> {
    /// Whether [`revoke`](Policy::revoke) and [`abandon`](Policy::abandon) do more than drop what
    /// they are given. Where they don't, the map is not searched for the key again.
    const TAKES_BACK: bool = true;

    /// Whether this key's state may be forgotten.
    fn retention(&self, now: &Now) -> Retention;
}

/// Whether the state of a key may be forgotten to make room for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// A new state would decide the same: forget it whenever convenient.
    Idle,
    /// It remembers something, which is lost if it must make room.
    Active,
    /// Calls hold it. It must stay.
    Held,
}

macro_rules! policy_by_reference {
    ($($pointer:ty),*) => {$(
        impl<C: ?Sized, P: Policy<C> + ?Sized> Policy<C> for $pointer {
            type Permit = P::Permit;
            type Waiting = P::Waiting;

            #[inline]
            fn admit(&self, call: &C, now: &Now) -> Admission<P::Permit, P::Waiting> {
                (**self).admit(call, now)
            }

            fn poll_admit(
                &self,
                waiting: &mut P::Waiting,
                call: &C,
                now: &Now,
                context: &mut Context<'_>,
            ) -> Poll<Result<P::Permit, Rejection>> {
                (**self).poll_admit(waiting, call, now, context)
            }

            fn wake_at(&self, waiting: &P::Waiting) -> Option<Instant> {
                (**self).wake_at(waiting)
            }

            fn abandon(&self, waiting: P::Waiting, call: &C) {
                (**self).abandon(waiting, call);
            }

            fn revoke(&self, permit: P::Permit, call: &C) {
                (**self).revoke(permit, call);
            }
        }
    )*};
}

policy_by_reference!(&P, Arc<P>);
