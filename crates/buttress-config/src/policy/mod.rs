//! The policies that a file can name, each kind one type.
//!
//! A setting chooses a policy while the service runs, and a call must not pay for that with a box.
//! So each kind is an enum of all that it can be ([`one_of`]), and its permits are an enum, too. A
//! guard around a route is one tuple of all kinds, each of which may be absent.

mod key;
mod limit;
pub mod one_of;

pub use key::{AnyKey, AnyKeyOf};
pub use limit::AnyLimit;

use buttress::circuit_breaker::Breaker;
use buttress::limit::AdaptiveSlots;
use buttress::{
    AdaptiveLimit, Bulkhead, Carried, CircuitBreaker, DeadlineShedder, FairShare, Gcra, Keyed,
    Pace, Pressure, Prioritized, QueueDelay, RateLimit, RateLimiter, Shadow, ShuffleSharding,
    SlidingWindow, Slots, Throttle, Throttler,
};
use buttress_core::Pacer;
use one_of::{OneOf2, OneOf4, OneOf5};

/// A rate limit: for all callers or for each key, by cells or by a window.
pub type AnyRateLimit = OneOf4<
    RateLimit<Gcra>,
    RateLimit<SlidingWindow>,
    Keyed<AnyKey, RateLimiter<Gcra>>,
    Keyed<AnyKey, RateLimiter<SlidingWindow>>,
>;

/// A limit of calls at once: fixed, for each key, sharded, adaptive, adaptive for each key.
pub type AnyBulkhead = OneOf5<
    Bulkhead<Carried>,
    Keyed<AnyKey, Slots<Carried>>,
    ShuffleSharding<AnyKey, Carried>,
    AdaptiveLimit<AnyLimit>,
    Keyed<AnyKey, AdaptiveSlots<AnyLimit>>,
>;

/// The same, with or without a bar for the less critical in front.
pub type Barred<P> = OneOf2<P, Prioritized<P, Carried>>;

/// A pace: for all callers or for each key.
pub type AnyPace = OneOf2<Pace<Carried>, Keyed<AnyKey, Pacer<Carried>>>;

/// A circuit breaker: for all calls or for each key.
pub type AnyBreaker = OneOf2<CircuitBreaker, Keyed<AnyKey, Breaker>>;

/// A throttle: for all calls or for each key.
pub type AnyThrottle = OneOf2<Throttle, Keyed<AnyKey, Throttler>>;

/// A policy that may be absent, and that can be put in shadow while the service runs.
pub type Managed<P> = Option<Shadow<P>>;

/// The policies of a route, in the order in which they decide.
///
/// First what refuses for the least work and for the whole process; then what a caller is owed;
/// then what the service can bear, where calls may wait; and last what looks at how long they
/// waited.
pub type ServerPolicies = (
    Managed<Barred<Pressure>>,
    Managed<Barred<DeadlineShedder>>,
    (Managed<AnyRateLimit>, Managed<AnyRateLimit>),
    Managed<Barred<FairShare<AnyKey>>>,
    (Managed<Barred<AnyBulkhead>>, Managed<Barred<AnyBulkhead>>),
    Managed<AnyPace>,
    Managed<Barred<QueueDelay>>,
);

/// The policies of an upstream, in the order in which they decide on each attempt.
///
/// First what the upstream's health says, since a call that is refused for that should take nothing
/// of the limits.
pub type ClientPolicies = (
    Managed<AnyBreaker>,
    Managed<AnyThrottle>,
    (Managed<AnyRateLimit>, Managed<AnyRateLimit>),
    (Managed<Barred<AnyBulkhead>>, Managed<Barred<AnyBulkhead>>),
    Managed<AnyPace>,
);
