use super::service::Guard;
use crate::DefaultProtocol;
use tower_layer::Layer;

/// Puts one guard with `policy` around a service. Several policies in a tuple share one guard, one
/// future and one reading of the clock; they decide in order.
///
/// A policy of your own needs no more than this; see [`Policy`](crate::Policy). If it is not
/// cheap to clone, or its clones don't share, wrap it in an [`Arc`](std::sync::Arc).
///
/// ```
/// # use buttress::{Bulkhead, Plain, RateLimit, guard};
/// let policies = (RateLimit::per_second(100).build()?, Bulkhead::new(64)?);
/// let layer = guard(policies).protocol(Plain::new());
/// # let _ = layer;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub fn guard<P>(policy: P) -> GuardLayer<P> {
    GuardLayer {
        policy,
        protocol: DefaultProtocol::new(),
    }
}

/// The layer that [`guard`] makes, and that each policy's handle is.
#[derive(Clone, Copy, Debug)]
pub struct GuardLayer<P, Pr = DefaultProtocol> {
    policy: P,
    protocol: Pr,
}

impl<P, Pr> GuardLayer<P, Pr> {
    /// Speaks another protocol: [`Plain`](crate::Plain) for services that are neither HTTP nor
    /// gRPC, or an `Http` with other settings.
    pub fn protocol<Q>(self, protocol: Q) -> GuardLayer<P, Q> {
        GuardLayer {
            policy: self.policy,
            protocol,
        }
    }
}

impl<S, P: Clone, Pr: Clone> Layer<S> for GuardLayer<P, Pr> {
    type Service = Guard<S, P, Pr>;

    fn layer(&self, inner: S) -> Self::Service {
        Guard::new(inner, self.policy.clone(), self.protocol.clone())
    }
}

/// Makes a policy's handle a policy, by the field that holds it, and a layer.
macro_rules! policy_layer {
    ([$($generics:tt)*] $handle:ty, $field:ident: $policy:ty $(, where $($bounds:tt)*)?) => {
        impl<Call: ?Sized, $($generics)*> buttress_core::Policy<Call> for $handle
        where
            $policy: buttress_core::Policy<Call>,
            $($($bounds)*)?
        {
            type Permit = <$policy as buttress_core::Policy<Call>>::Permit;
            type Waiting = <$policy as buttress_core::Policy<Call>>::Waiting;

            #[inline]
            fn admit(
                &self,
                call: &Call,
                now: &buttress_core::Now,
            ) -> buttress_core::Admission<Self::Permit, Self::Waiting> {
                self.$field.admit(call, now)
            }

            fn poll_admit(
                &self,
                waiting: &mut Self::Waiting,
                call: &Call,
                now: &buttress_core::Now,
                context: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Result<Self::Permit, buttress_core::Rejection>> {
                self.$field.poll_admit(waiting, call, now, context)
            }

            fn wake_at(&self, waiting: &Self::Waiting) -> Option<std::time::Instant> {
                <$policy as buttress_core::Policy<Call>>::wake_at(&self.$field, waiting)
            }

            fn abandon(&self, waiting: Self::Waiting, call: &Call) {
                self.$field.abandon(waiting, call);
            }

            fn revoke(&self, permit: Self::Permit, call: &Call) {
                self.$field.revoke(permit, call);
            }
        }

        impl<Inner, $($generics)*> tower_layer::Layer<Inner> for $handle
        $(where $($bounds)*)?
        {
            type Service = $crate::Guard<Inner, Self, $crate::DefaultProtocol>;

            fn layer(&self, inner: Inner) -> Self::Service {
                $crate::guard(self.clone()).layer(inner)
            }
        }

        impl<$($generics)*> $handle
        $(where $($bounds)*)?
        {
            /// A layer that speaks another protocol: [`Plain`](crate::Plain) for services that
            /// are neither HTTP nor gRPC, or an `Http` with other settings.
            pub fn protocol<Pr>(&self, protocol: Pr) -> $crate::GuardLayer<Self, Pr> {
                $crate::guard(self.clone()).protocol(protocol)
            }
        }
    };
}

pub(crate) use policy_layer;
