//! Choosing among policies by a setting, without boxes.

use buttress::{Admission, Now, Outcome, Permit, Policy, Quota, Rejection};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Where permits of all kinds stay.
pub trait Keep<P> {
    /// Keeps one of one kind, which `of_its_kind` makes one of all kinds.
    fn keep<K>(&mut self, permit: K, of_its_kind: impl FnOnce(K) -> P);
}

/// Makes an enum whose variants are policies, and of whose permits and waiting places the same enum
/// serves: a permit of `AnyOf<A, B>` is an `AnyOf` of A's and B's permits.
macro_rules! one_of {
    ($name:ident: $($variant:ident),+) => {
        #[doc = "One of several policies, permits, or places in waiting lines."]
        // A tag of one byte lets what follows it be copied from odd addresses, and each such copy
        // waits for the writes before it: that cost more than the policies.
        #[repr(u64)]
        #[derive(Clone, Copy, Debug)]
        pub enum $name<$($variant),+> {
            $(
                #[doc = concat!("That of `", stringify!($variant), "`.")]
                $variant($variant),
            )+
        }

        impl<$($variant),+> $name<$($variant),+> {
            /// Decides as [`Policy::admit`] does, and hands the permit to `keep` where it is still
            /// as small as its own kind. To copy one of any kind, right after it was written in
            /// parts, costs a call more than most policies.
            #[inline]
            pub fn admit_to<Call: ?Sized>(
                &self,
                call: &Call,
                now: &Now,
                keep: &mut impl Keep<<Self as Policy<Call>>::Permit>,
            ) -> Admission<(), <Self as Policy<Call>>::Waiting>
            where
                $($variant: Policy<Call>),+
            {
                match self {
                    $(Self::$variant(policy) => match policy.admit(call, now) {
                        Admission::Admitted(permit) => {
                            keep.keep(permit, $name::$variant);
                            Admission::Admitted(())
                        }
                        Admission::Refused(rejection) => Admission::Refused(rejection),
                        Admission::Wait(waiting) => Admission::Wait($name::$variant(waiting)),
                    },)+
                }
            }
        }

        impl<Call: ?Sized, $($variant: Policy<Call>),+> Policy<Call> for $name<$($variant),+> {
            type Permit = $name<$($variant::Permit),+>;
            type Waiting = $name<$($variant::Waiting),+>;

            fn admit(&self, call: &Call, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
                match self {
                    $(Self::$variant(policy) => match policy.admit(call, now) {
                        Admission::Admitted(permit) => Admission::Admitted($name::$variant(permit)),
                        Admission::Refused(rejection) => Admission::Refused(rejection),
                        Admission::Wait(waiting) => Admission::Wait($name::$variant(waiting)),
                    },)+
                }
            }

            fn poll_admit(
                &self,
                waiting: &mut Self::Waiting,
                call: &Call,
                now: &Now,
                context: &mut Context<'_>,
            ) -> Poll<Result<Self::Permit, Rejection>> {
                match (self, waiting) {
                    $((Self::$variant(policy), $name::$variant(waiting)) => policy
                        .poll_admit(waiting, call, now, context)
                        .map_ok($name::$variant),)+
                    // A place in another policy's line: nobody will come for it.
                    _ => Poll::Pending,
                }
            }

            fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
                match (self, waiting) {
                    $((Self::$variant(policy), $name::$variant(waiting)) => {
                        policy.wake_at(waiting)
                    })+
                    _ => None,
                }
            }

            fn abandon(&self, waiting: Self::Waiting, call: &Call) {
                match (self, waiting) {
                    $((Self::$variant(policy), $name::$variant(waiting)) => {
                        policy.abandon(waiting, call);
                    })+
                    _ => {}
                }
            }

            fn revoke(&self, permit: Self::Permit, call: &Call) {
                match (self, permit) {
                    $((Self::$variant(policy), $name::$variant(permit)) => {
                        policy.revoke(permit, call);
                    })+
                    _ => {}
                }
            }
        }

        impl<$($variant: Permit),+> Permit for $name<$($variant),+> {
            const WANTS_OUTCOME: bool = $($variant::WANTS_OUTCOME)||+;

            #[inline]
            fn complete(self, outcome: Outcome, now: &Now) {
                match self {
                    $(Self::$variant(permit) => permit.complete(outcome, now),)+
                }
            }

            fn expired(self, now: &Now) {
                match self {
                    $(Self::$variant(permit) => permit.expired(now),)+
                }
            }

            fn pushback(&mut self, wait: Duration) {
                match self {
                    $(Self::$variant(permit) => permit.pushback(wait),)+
                }
            }

            #[inline]
            fn answered(&mut self) {
                match self {
                    $(Self::$variant(permit) => permit.answered(),)+
                }
            }

            fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
                match self {
                    $(Self::$variant(permit) => permit.quotas(each),)+
                }
            }

            #[inline]
            fn wants_outcome(&self) -> bool {
                match self {
                    $(Self::$variant(permit) => permit.wants_outcome(),)+
                }
            }
        }
    };
}

one_of!(AnyOf:
    Pressure,
    DeadlineShedder,
    RateLimit,
    WindowLimit,
    RateLimitBy,
    WindowLimitBy,
    FairShare,
    Bulkhead,
    BulkheadBy,
    Sharded,
    Adaptive,
    AdaptiveBy,
    Pace,
    PaceBy,
    QueueDelay,
    Breaker,
    BreakerBy,
    Throttle,
    ThrottleBy
);
