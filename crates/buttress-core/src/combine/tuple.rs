use crate::combine::and::{And, AndWaiting, Both};
use crate::now::Now;
use crate::policy::{Admission, Policy};
use crate::rejection::Rejection;
use std::task::{Context, Poll};
use std::time::Instant;

/// `And(a, And(b, c))`, of types or of values.
macro_rules! chain {
    ($last:expr) => { $last };
    ($first:expr, $($rest:expr),+) => { And($first, chain!($($rest),+)) };
}

macro_rules! permits {
    ($last:ident) => { $last::Permit };
    ($first:ident, $($rest:ident),+) => { Both<$first::Permit, permits!($($rest),+)> };
}

macro_rules! waits {
    ($last:ident) => { $last::Waiting };
    ($first:ident, $($rest:ident),+) => {
        AndWaiting<$first::Waiting, $first::Permit, waits!($($rest),+)>
    };
}

macro_rules! tuple_policies {
    ($(($($name:ident $index:tt),+))+) => {$(
        /// Admits in order. A later refusal gives the earlier permits back.
        impl<C: ?Sized, $($name: Policy<C>),+> Policy<C> for ($($name,)+) {
            type Permit = permits!($($name),+);
            type Waiting = waits!($($name),+);

            #[inline]
            fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
                chain!($(&self.$index),+).admit(call, now)
            }

            fn poll_admit(
                &self,
                waiting: &mut Self::Waiting,
                call: &C,
                now: &Now,
                context: &mut Context<'_>,
            ) -> Poll<Result<Self::Permit, Rejection>> {
                chain!($(&self.$index),+).poll_admit(waiting, call, now, context)
            }

            fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
                Policy::<C>::wake_at(&chain!($(&self.$index),+), waiting)
            }

            fn abandon(&self, waiting: Self::Waiting, call: &C) {
                chain!($(&self.$index),+).abandon(waiting, call);
            }

            fn revoke(&self, permit: Self::Permit, call: &C) {
                chain!($(&self.$index),+).revoke(permit, call);
            }
        }
    )+};
}

tuple_policies! {
    (P0 0, P1 1)
    (P0 0, P1 1, P2 2)
    (P0 0, P1 1, P2 2, P3 3)
    (P0 0, P1 1, P2 2, P3 3, P4 4)
    (P0 0, P1 1, P2 2, P3 3, P4 4, P5 5)
    (P0 0, P1 1, P2 2, P3 3, P4 4, P5 5, P6 6)
    (P0 0, P1 1, P2 2, P3 3, P4 4, P5 5, P6 6, P7 7)
}
