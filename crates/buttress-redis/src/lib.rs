//! One rate limit for a whole fleet, counted on Redis or Valkey.
//!
//! A rate limit in each process is a promise that grows with the fleet: ten instances that allow a
//! hundred calls a second allow a thousand, and an autoscaler decides how many. This crate counts
//! in one place for all of them. The settings, the keys, the answers and the header fields are
//! those of [`RateLimit`](buttress::RateLimit); what changes is the line that builds it.
//!
//! ```no_run
//! use axum::{Router, routing::post};
//! use buttress::{RateLimit, key::peer};
//! use buttress_redis::{BuildOn, Fleet};
//!
//! # async fn pay() {}
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fleet = Fleet::redis("redis://127.0.0.1/").namespace("shop").connect().await?;
//!
//! let limit = RateLimit::per_second(100)
//!     .burst(20)
//!     .announced()
//!     .by(peer())
//!     .build_on(&fleet)?;                     // in one process: `.build()?`
//!
//! let app: Router = Router::new().route("/pay", post(pay).layer(limit));
//! # Ok(())
//! # }
//! ```
//!
//! # With Redis and without
//!
//! What is built is a [`FleetLimit`] on either: [`Fleet::in_memory`] counts in the process, behind
//! the same type. So a service that runs with Redis in production and without one on a laptop has
//! one place that knows.
//!
//! ```
//! # use buttress_redis::{ConnectError, Fleet};
//! async fn fleet() -> Result<Fleet, ConnectError> {
//!     match std::env::var("REDIS_URL") {
//!         Ok(address) => Fleet::redis(address).connect().await,
//!         Err(_) => Ok(Fleet::in_memory()?),
//!     }
//! }
//! # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(fleet()).unwrap();
//! ```
//!
//! Where both kinds must stand in one place, an `Option` of a policy is a policy, and so is a
//! tuple: `guard((local, shared))` with one of them `None`.
//!
//! # Three ways to share a limit
//!
//! Chosen for each limit, since each has its price. `n` is the number of instances, and the
//! numbers are the most that is admitted in any time `t`.
//!
//! | | a call waits | asks | admitted in `t`, at most |
//! | --- | --- | --- | --- |
//! | [exact](Fleet::exact): `&fleet` | for the store, each time | one for each call | `burst + rate × t` |
//! | [leased](Fleet::leased): `fleet.leased()` | when a key is new to the instance | one for each 10 to 20 ms and key in use | the same, and what is held: `min(n × rate × 20 ms, burst ÷ 2)`, and one call for each instance |
//! | [synchronised](Fleet::synchronised): `fleet.synchronised(period)` | never | one for each period and key in use | the same, and `(n − 1) × (burst + rate × (period + deadline))`, once |
//!
//! # When the store is slow or gone
//!
//! An ask that takes longer than the [deadline](FleetBuilder::deadline) (20 ms) fails. With the
//! first failure a breaker opens, and no call waits any more: they are decided as the limit
//! [declares](WhenUnreachable), which is by the instance's share of the limit unless it says
//! otherwise. The log says so once. The fleet probes in the background, each 40 to 200 ms, and
//! when the store answers within the deadline, limits hold for all again: within a second, if the
//! deadline is the default. A store that comes back
//! empty has forgotten what was used: that is one burst more.
//!
//! The local share is a limit of its own: what it admits is not charged to the store afterwards. So
//! a store that fails now and then, or is slower than the deadline, can cost up to the limit once
//! more, as long as that lasts; calls beyond [`max_asks`](FleetBuilder::max_asks), and calls that
//! wait for a lease for a whole deadline, are decided by it, too. Where nothing at all may be
//! exceeded, [refuse](WhenUnreachable::Refuse) instead. On a Redis Cluster, instances are counted on one
//! master; while that one is gone, all limits are local.
//!
//! # How it fails when misused
//!
//! A key that clients can make up (a header, say) gives each client as many limits as it likes,
//! here as in one process. It costs Redis no more than its rate does, because keys are digests and
//! expire when their limit is whole again, but it limits nobody. An exact limit in front of a fast
//! service makes Redis its bottleneck: lease it. A leased limit with a burst of a few calls has
//! nothing to lease: share it exactly. And limits that have the same name and settings on one
//! fleet are the same limit: give them [names](buttress::RateLimitBuilder::named).
//!
//! What is hashed is what the key's type says of itself ([`Hash`]), so instances must be built
//! from the same type; while a new version with another one rolls out, the two count apart.
//!
//! # Other engines
//!
//! [`Store`] is what it takes: one step on one value, and who is there. Its documentation has one
//! that is a page long.
//!
//! # Features
//!
//! - `http` (default): the protocol for HTTP and gRPC, as in `buttress`.
//! - `cluster`: Redis Cluster.
//! - `tls`: `rediss://` addresses, by rustls. The system's certificates are trusted, or those of
//!   [authorities of your own](RedisBuilder::certificate_authorities).
//!
//! The tests run on Redis 7, and passed on Valkey 8.1 and 9.1 (those of TLS, on Redis only).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod ask;
mod breaker;
mod build;
mod count;
mod digest;
mod entry;
mod fleet;
mod leased;
mod limit;
mod link;
mod memory;
mod permit;
mod redis;
mod rule;
mod share;
mod shared;
mod store;
mod synchronised;
mod waiting;
mod words;

pub use ask::{Action, Answer, Ask};
pub use build::BuildOn;
pub use count::Count;
pub use fleet::{Fleet, FleetBuilder};
pub use limit::{Everyone, FleetLimit, FleetWaiting};
pub use memory::Memory;
pub use permit::FleetPermit;
pub use redis::{ConnectError, RedisBuilder, RedisStore};
pub use rule::{Countable, Rule};
pub use share::{Share, WhenUnreachable};
pub use store::{Answering, Store, StoreError};
