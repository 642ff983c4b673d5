//! The vocabulary and the pure state machines of Buttress.
//!
//! Every resilience pattern answers two separate questions. *Policy*: may this call go ahead, and
//! what do I learn from how it went? *Protocol*: what do "refused", "failed" and "finished" mean
//! for this kind of service? This crate holds the policies as plain state machines, and the words
//! that both sides share. It knows no runtime and no clock: the time comes in as a [`Now`], so
//! that everything here can be tested exhaustively and used outside tower.
//!
//! Services use the `buttress` crate, which puts tower layers around what is here.
//!
//! | word | meaning |
//! | --- | --- |
//! | [`Policy`] | decides whether a call may go ahead |
//! | [`Permit`] | what an admitted call holds, and what tells the policy how it went |
//! | [`Outcome`] | how an admitted call went |
//! | [`Rejection`] | why a call was refused |
//! | [`Protocol`] | what these words mean for one kind of service: [`Plain`] or `Http` |
//! | [`Slots`] | the state machine of a bulkhead |
//! | [`AdaptiveSlots`] | slots whose number is found by a [`Limit`] |
//! | [`shed`] | refusing by queueing delay, by pressure, by deadline |
//! | [`Latencies`] | a histogram that forgets, for quantiles of recent latencies |
//! | [`ShuffleSharding`] | bulkheads of which each key has a few |
//! | [`Prioritized`] | a policy before which the least critical calls are refused |
//! | [`Pacer`] | calls one by one at a steady pace |
//! | [`FairShare`] | so many calls at once, and no tenant more than its share |
//! | [`RateLimiter`] | the state machine of a rate limit, over [`Gcra`] or [`SlidingWindow`] |
//! | [`Breaker`] | the state machine of a circuit breaker |
//! | [`Throttler`] | the state machine of an adaptive throttle |
//! | [`Latencies`] | a histogram that forgets, for quantiles of recent latencies |
//! | [`ExtraLoad`] | a bound on what hedging adds to the load |
//! | [`Keyed`], [`Reloadable`], tuples, `Option` | policies made of policies |
//! | [`Keyed`], [`Reloadable`], [`Shadow`], tuples, `Option` | policies made of policies |
//!
//! ```
//! use buttress_core::{Admission, Now, Outcome, Permit, Policy, Slots};
//!
//! let slots = Slots::new(1)?;
//! let now = Now::at(std::time::Instant::now());
//! let Admission::Admitted(permit) = slots.admit("a call", &now) else { panic!() };
//! assert!(matches!(slots.admit("another", &now), Admission::Refused(_)));
//! permit.complete(Outcome::Success, &now);
//! # Ok::<(), buttress_core::SettingError>(())
//! ```
//!
//! # Features
//!
//! - `http`: the `Http` protocol, which renders refusals for HTTP and gRPC, and
//!   the header fields of deadlines and rate limits.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "http")]
pub mod attempt_header;
pub mod backoff;
pub mod breaker;
pub mod budget;
mod causes;
pub mod combine;
mod criticality;
#[cfg(feature = "http")]
pub mod deadline_header;
pub mod digest;
mod extra_load;
mod fair;
pub mod flights;
mod key;
mod latencies;
pub mod limit;
mod look;
mod never;
mod now;
mod outcome;
mod pace;
mod policy;
mod priority;
pub mod protocol;
#[cfg(feature = "http")]
pub mod pushback;
mod quota;
mod random;
pub mod rate;
mod rejection;
mod request_body;
pub mod setting;
pub mod shed;
mod shuffle;
mod slots;
mod spread;
mod sync;
mod throttle;

pub use backoff::Backoff;
pub use breaker::Breaker;
pub use budget::RetryBudget;
pub use combine::{Keyed, Reloadable, Shadow};
pub use criticality::Criticality;
pub use extra_load::ExtraLoad;
pub use fair::{FairShare, Share};
pub use key::{Key, MissingKey, by_fn};
pub use latencies::Latencies;
pub use limit::{AdaptiveSlots, Limit};
pub use look::{Blind, Look};
pub use never::Never;
pub use now::Now;
pub use outcome::Outcome;
pub use pace::{PaceTurn, Pacer};
pub use policy::{Admission, PerKey, Permit, Policy, Retention};
pub use priority::{Prioritized, Threshold};
#[cfg(feature = "http")]
pub use protocol::Http;
pub use protocol::{Plain, Protocol, Reject};
pub use quota::Quota;
pub use random::Random;
pub use rate::{Gcra, RateLimiter, SlidingWindow};
pub use rejection::{Reason, Rejection};
pub use request_body::BrokenRequest;
pub use setting::SettingError;
pub use shuffle::{Shard, Shards, ShuffleSharding};
pub use slots::{Discipline, Slots};
pub use spread::{Here, Spread};
pub use throttle::{ThrottlePermit, Throttler};
