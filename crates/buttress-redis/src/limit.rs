use crate::digest::Digest;
use crate::permit::FleetPermit;
use crate::rule::Countable;
use crate::shared::Shared;
use crate::waiting::Waiting;
use buttress::{GuardLayer, MissingKeyMeans, guard};
use buttress_core::rate::{Cost, FixedCost};
use buttress_core::{Admission, Gcra, Key, MissingKey, Now, Policy, RateLimiter, Rejection};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;
use tower_layer::Layer;

/// A rate limit that a whole fleet shares: what [`build_on`](crate::BuildOn::build_on) makes.
///
/// It is a policy and a layer, as [`RateLimit`](buttress::RateLimit) is, with the same answers:
/// 429 with `Retry-After`, the `RateLimit` fields if they are announced. It is a handle: clones
/// share, and so do the other instances.
///
/// # Cancellation
///
/// A caller that goes away while its call waits for the store is not charged: what was taken for
/// it is given back in the background.
pub struct FleetLimit<K = Everyone, A: Countable = Gcra, W = FixedCost> {
    inner: Arc<Inner<K, A, W>>,
}

pub(crate) struct Inner<K, A: Countable, W> {
    pub(crate) key: K,
    /// If there is but one key.
    pub(crate) only: Option<Digest>,
    pub(crate) missing_key: MissingKeyMeans,
    pub(crate) reported: AtomicBool,
    /// Weighs the calls. Nobody counts by it.
    pub(crate) limiter: RateLimiter<A, W>,
    pub(crate) shared: Arc<Shared>,
}

/// No key: all calls count together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Everyone;

impl<C: ?Sized> Key<C> for Everyone {
    type Key<'a>
        = ()
    where
        C: 'a;

    fn key(&self, _: &C) -> Result<(), MissingKey> {
        Ok(())
    }
}

impl<K, A: Countable, W> FleetLimit<K, A, W> {
    pub(crate) fn new(inner: Inner<K, A, W>) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// How many keys this instance remembers now.
    pub fn keys(&self) -> usize {
        self.inner.shared.entries.len()
    }

    /// A layer that speaks another protocol: [`Plain`](buttress::Plain) for services that are
    /// neither HTTP nor gRPC, or an `Http` with other settings.
    pub fn protocol<Pr>(&self, protocol: Pr) -> GuardLayer<Self, Pr> {
        guard(self.clone()).protocol(protocol)
    }
}

impl<K, A: Countable, W> Clone for FleetLimit<K, A, W> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<K, A: Countable, W> fmt::Debug for FleetLimit<K, A, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetLimit")
            .field("name", &self.inner.limiter.name())
            .field("rule", self.inner.shared.rule())
            .field("mode", &self.inner.shared.mode)
            .finish_non_exhaustive()
    }
}

impl<S, K, A: Countable, W> Layer<S> for FleetLimit<K, A, W> {
    type Service = <GuardLayer<Self> as Layer<S>>::Service;

    fn layer(&self, inner: S) -> Self::Service {
        guard(self.clone()).layer(inner)
    }
}

impl<C: ?Sized, K: Key<C>, A: Countable, W: Cost<C>> Policy<C> for FleetLimit<K, A, W> {
    type Permit = FleetPermit;
    type Waiting = FleetWaiting;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<FleetPermit, FleetWaiting> {
        let inner = &*self.inner;
        let Some(cost) = NonZeroU32::new(inner.limiter.weigh(call)) else {
            return Admission::Admitted(FleetPermit::free());
        };
        let digest = match inner.digest(call) {
            Ok(Some(digest)) => digest,
            Ok(None) => return Admission::Admitted(FleetPermit::free()),
            Err(rejection) => return Admission::Refused(rejection),
        };
        match inner.shared.admit(digest, cost, now) {
            Admission::Admitted(permit) => Admission::Admitted(permit),
            Admission::Refused(rejection) => Admission::Refused(rejection),
            Admission::Wait(waiting) => Admission::Wait(FleetWaiting(waiting)),
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut FleetWaiting,
        _: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<FleetPermit, Rejection>> {
        waiting.0.poll(&self.inner.shared, now, context)
    }

    fn wake_at(&self, waiting: &FleetWaiting) -> Option<Instant> {
        waiting.0.wake_at()
    }

    fn abandon(&self, waiting: FleetWaiting, _: &C) {
        waiting.0.abandon(&self.inner.shared, &clock());
    }

    fn revoke(&self, permit: FleetPermit, _: &C) {
        if let Some(taken) = permit.taken {
            self.inner.shared.give_back(taken, &clock());
        }
    }
}

impl<K, A: Countable, W> Inner<K, A, W> {
    /// What the call is told apart by: `Ok(None)` if it has no key and passes all the same.
    #[inline]
    fn digest<C: ?Sized>(&self, call: &C) -> Result<Option<Digest>, Rejection>
    where
        K: Key<C>,
    {
        if self.only.is_some() {
            return Ok(self.only);
        }
        match self.key.key(call) {
            Ok(key) => Ok(Some(self.shared.digester.digest(&key))),
            Err(missing) => self.without_key(missing),
        }
    }

    #[cold]
    fn without_key(&self, missing: MissingKey) -> Result<Option<Digest>, Rejection> {
        let name = self.limiter.name();
        if let MissingKey::NotSetUp(remedy) = missing
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            // Once, however many calls come: it is the service that must be mended.
            tracing::error!(policy = name, "calls cannot be told apart: {remedy}");
        }
        match self.missing_key {
            MissingKeyMeans::Refused => Err(Rejection::new(missing.reason(), name)),
            // Not the digest of any key: those are hashed with what they are.
            MissingKeyMeans::Shared => Ok(Some(self.shared.digester.digest(&SHARED))),
            MissingKeyMeans::Admitted => Ok(None),
        }
    }
}

/// A call that waits for the store, or for its turn.
#[derive(Debug)]
pub struct FleetWaiting(Waiting);

fn clock() -> Now {
    Now::lazy(|| tokio::time::Instant::now().into_std())
}

const SHARED: (&str, u128) = ("calls without a key", u128::MAX);
