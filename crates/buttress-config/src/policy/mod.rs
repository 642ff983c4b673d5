//! The policies that a file can name, as one type.
//!
//! A setting chooses a policy while the service runs, and a call must not pay for that with a box.
//! So a policy is an enum of all that it can be, and its permits are an enum, too.

mod barred;
mod held;
mod key;
mod limit;
mod list;
mod one_of;
mod pool;
mod succession;
mod successor;

pub use barred::Barred;
pub(crate) use held::decides_by_its_policies;
pub use key::AnyKey;
pub use limit::AnyLimit;
pub use list::Policies;
pub use one_of::AnyOf;
pub(crate) use successor::{Change, Differs, Successor};

use buttress::circuit_breaker::Breaker;
use buttress::limit::AdaptiveSlots;
use buttress::{
    AdaptiveLimit, Bulkhead, Carried, CircuitBreaker, DeadlineShedder, FairShare, Gcra, Keyed,
    Pace, Pressure, QueueDelay, RateLimit, RateLimiter, Shadow, ShuffleSharding, SlidingWindow,
    Slots, Throttle, Throttler,
};
use buttress_core::Pacer;

/// Any policy that a file can name.
pub type AnyPolicy = AnyOf<
    Pressure,
    DeadlineShedder,
    RateLimit<Gcra>,
    RateLimit<SlidingWindow>,
    Keyed<AnyKey, RateLimiter<Gcra>>,
    Keyed<AnyKey, RateLimiter<SlidingWindow>>,
    FairShare<AnyKey>,
    Bulkhead<Carried>,
    Keyed<AnyKey, Slots<Carried>>,
    ShuffleSharding<AnyKey, Carried>,
    AdaptiveLimit<AnyLimit>,
    Keyed<AnyKey, AdaptiveSlots<AnyLimit>>,
    Pace<Carried>,
    Keyed<AnyKey, Pacer<Carried>>,
    QueueDelay,
    CircuitBreaker,
    Keyed<AnyKey, Breaker>,
    Throttle,
    Keyed<AnyKey, Throttler>,
>;

/// A policy as it stands in a list: with or without a bar, and in shadow or enforced. It is a
/// handle.
pub type Managed = Shadow<Barred<AnyPolicy>>;
