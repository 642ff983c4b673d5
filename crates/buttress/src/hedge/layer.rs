use super::builder::HedgeBuilder;
use super::delay::{Delay, QuantileDelay};
use super::plan::{Failures, Plans};
use super::service::HedgeService;
use crate::DefaultProtocol;
use crate::clock;
use crate::retry::{IfSafe, RetryNames};
use buttress_core::{ExtraLoad, Now, RetryBudget};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tower_layer::Layer;

/// Sends a call that takes unusually long once more, and takes the first success.
///
/// It is a layer, and a handle: clones share what was measured, and the bounds. The
/// [module](crate::hedge) says when it helps.
///
/// The first attempt is never worse off for it: a hedge that fails, is refused, or whose service
/// is not ready is as if it had not been. If the first attempt fails while a hedge is out, the hedge
/// is waited for; if none succeeds, the first one's answer is returned. Each hedge is sent on a
/// clone of the inner service that it waits to be ready. When one attempt has succeeded, the others
/// are dropped before its answer is returned.
///
/// Success and failure are what the protocol's classifier says of the answer's head: a stream that
/// has begun well has won.
#[derive(Clone, Debug)]
pub struct Hedge<R = IfSafe> {
    pub(super) shared: Arc<Shared>,
    pub(super) repeats: R,
}

impl Hedge {
    /// Hedges what is safe to repeat after the 95th percentile of the latencies of late, once, and
    /// at most one call in a hundred.
    pub fn new() -> Self {
        let plans = Plans::Same {
            delay: Delay::Quantile(Box::default()),
            attempts: 2,
            failures: Failures::Wait,
        };
        Self {
            shared: Arc::new(Shared::new(plans, ExtraLoad::default())),
            repeats: IfSafe,
        }
    }

    /// The same with other settings.
    pub const fn builder() -> HedgeBuilder {
        HedgeBuilder::new()
    }
}

impl Default for Hedge {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> Hedge<R> {
    /// What was done so far, and what is known.
    pub fn snapshot(&self) -> HedgeSnapshot {
        HedgeSnapshot {
            sent: self.shared.sent.load(Ordering::Relaxed),
            won: self.shared.won.load(Ordering::Relaxed),
            delay: self
                .shared
                .plans
                .delay()
                .and_then(|delay| delay.known(Some(clock::now()))),
        }
    }

    /// A layer that speaks another protocol: [`Plain`](crate::Plain) for services that are
    /// neither HTTP nor gRPC, or an `Http` with other settings.
    pub fn protocol<Pr>(&self, protocol: Pr) -> HedgeLayer<Pr, R>
    where
        R: Clone,
    {
        HedgeLayer {
            hedge: self.clone(),
            protocol,
        }
    }
}

impl<S, R: Clone> Layer<S> for Hedge<R> {
    type Service = HedgeService<S, DefaultProtocol, R>;

    fn layer(&self, inner: S) -> Self::Service {
        HedgeService::new(inner, self.clone(), DefaultProtocol::new())
    }
}

/// The layer that [`Hedge::protocol`] makes.
#[derive(Clone, Debug)]
pub struct HedgeLayer<Pr = DefaultProtocol, R = IfSafe> {
    hedge: Hedge<R>,
    protocol: Pr,
}

impl<S, Pr: Clone, R: Clone> Layer<S> for HedgeLayer<Pr, R> {
    type Service = HedgeService<S, Pr, R>;

    fn layer(&self, inner: S) -> Self::Service {
        HedgeService::new(inner, self.hedge.clone(), self.protocol.clone())
    }
}

/// What a [`Hedge`] did and knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HedgeSnapshot {
    /// Hedges that were begun: calls that the callee got in addition, and those few for which its
    /// service was never ready.
    pub sent: u64,
    /// Those among them whose answer was taken.
    pub won: u64,
    /// How long a call that begins now is out before it is hedged. Nothing while too little was
    /// seen.
    pub delay: Option<Duration>,
}

/// What clones share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) plans: Plans,
    pub(super) extra_load: ExtraLoad,
    pub(super) budget: Option<RetryBudget>,
    pub(super) replay_limit: usize,
    pub(super) names: RetryNames,
    sent: AtomicU64,
    won: AtomicU64,
}

impl Shared {
    pub(super) fn new(plans: Plans, extra_load: ExtraLoad) -> Self {
        Self {
            plans,
            extra_load,
            budget: None,
            replay_limit: 64 * 1024,
            names: RetryNames::default(),
            sent: AtomicU64::new(0),
            won: AtomicU64::new(0),
        }
    }

    /// The latencies, if they matter.
    #[inline]
    pub(super) fn measures(&self) -> Option<&QuantileDelay> {
        match self.plans.delay() {
            Some(Delay::Quantile(quantile)) => Some(quantile),
            Some(Delay::Fixed(_)) | None => None,
        }
    }

    /// A call begins.
    #[inline]
    pub(super) fn deposit(&self) {
        self.extra_load.deposit();
        if let Some(budget) = &self.budget {
            budget.deposit(&Now::lazy(clock::at_arrival));
        }
    }

    /// Asks for one more attempt.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        if !self.extra_load.withdraw() {
            return false;
        }
        let granted = self
            .budget
            .as_ref()
            .is_none_or(|budget| budget.withdraw(&Now::at(now)));
        if granted {
            self.sent.fetch_add(1, Ordering::Relaxed);
        } else {
            self.extra_load.give_back();
        }
        granted
    }

    pub(super) fn hedge_won(&self) {
        self.won.fetch_add(1, Ordering::Relaxed);
    }
}
