#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod adaptive;
#[cfg(feature = "http")]
pub mod attempt;
#[cfg(feature = "http")]
mod body;
mod bulkhead;
pub mod circuit_breaker;
mod clock;
pub mod coalesce;
#[cfg(feature = "http")]
pub mod criticality;
#[cfg(feature = "http")]
pub mod deadline;
mod fair_share;
pub mod fallback;
mod guard;
pub mod hedge;
#[cfg(feature = "http")]
pub mod key;
mod keyed;
#[cfg(feature = "http")]
pub mod later;
mod pace;
mod prioritized;
mod rate_limit;
mod reloadable;
pub mod repeat;
pub mod retry;
#[cfg(feature = "http")]
mod room;
mod run;
#[cfg(feature = "service-config")]
pub mod service_config;
mod shadow;
#[cfg(feature = "http")]
mod sharing;
pub mod shed;
mod shuffle;
#[cfg(feature = "testing")]
pub mod testing;
mod throttle;
pub mod timeout;
mod timer;

pub use adaptive::{AdaptiveLimit, AdaptiveLimitBuilder};
#[cfg(feature = "http")]
pub use attempt::{Attempt, IncomingAttempt};
pub use bulkhead::{Bulkhead, BulkheadBuilder};
pub use buttress_core::backoff;
pub use buttress_core::breaker::{CancelledCounts, CircuitState, OverloadCounts};
pub use buttress_core::budget;
pub use buttress_core::limit;
pub use buttress_core::protocol;
#[cfg(feature = "http")]
pub use buttress_core::pushback;
pub use buttress_core::rate;
pub use buttress_core::{
    Admission, Backoff, Blind, BrokenRequest, Criticality, Discipline, Gcra, Key, Look, MissingKey,
    Never, Now, Outcome, PerKey, Permit, Plain, Policy, Protocol, Quota, RateLimiter, Reason,
    Reject, Rejection, Retention, RetryBudget, SettingError, Shard, Shards, SlidingWindow, Slots,
    Throttler, by_fn, combine::MissingKeyMeans,
};
pub use circuit_breaker::{CircuitBreaker, CircuitBreakerBuilder};
pub use coalesce::{Coalesce, CoalesceBuilder};
#[cfg(feature = "http")]
pub use criticality::{Carried, IncomingCriticality, OutgoingCriticality};
#[cfg(feature = "http")]
pub use deadline::{Deadline, IncomingDeadline, OutgoingDeadline};
pub use fair_share::{FairShare, FairShareBuilder};
pub use fallback::Fallback;
#[cfg(feature = "http")]
pub use fallback::StaleIfError;
pub use guard::{Guard, GuardFuture, GuardLayer, GuardProtocol, guard};
pub use hedge::{Hedge, HedgeBuilder};
pub use keyed::{Keyed, KeyedBuilder, KeyedParts};
#[cfg(feature = "http")]
pub use later::RunLater;
pub use pace::{Pace, PaceBuilder};
pub use prioritized::{Prioritized, PrioritizedBuilder};
pub use rate_limit::{RateLimit, RateLimitBuilder, RateLimitSnapshot};
pub use reloadable::Reloadable;
pub use retry::{Retry, RetryBuilder};
pub use run::Run;
pub use shadow::{IntoShadow, Shadow};
pub use shed::{DeadlineShedder, Pressure, QueueDelay};
pub use shuffle::{ShuffleSharding, ShuffleShardingBuilder};
pub use throttle::{Throttle, ThrottleBuilder, ThrottleSnapshot};
pub use timeout::Timeout;
#[cfg(feature = "http")]
pub use {body::AnswerBody, buttress_core::Http, guard::GuardBody};

/// The protocol of a layer that was not given one.
#[cfg(feature = "http")]
pub(crate) type DefaultProtocol = Http;
#[cfg(not(feature = "http"))]
pub(crate) type DefaultProtocol = Unchosen;

/// What a policy that was not told sees in a call: what it carries, where that can be known.
#[cfg(feature = "http")]
pub(crate) type DefaultLook = Carried;
#[cfg(not(feature = "http"))]
pub(crate) type DefaultLook = Blind;

/// No protocol yet: call `.protocol(Plain::new())` on the layer.
///
/// Without the feature `http` there is no default that would still be the same when another crate
/// enables it.
#[cfg(not(feature = "http"))]
#[derive(Clone, Copy, Debug)]
pub struct Unchosen(());

#[cfg(not(feature = "http"))]
impl Unchosen {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}
