//! Hedging: asking a second time when the first answer takes unusually long.
//!
//! Of a thousand answers most come quickly, and a few come late for no reason of their own: a
//! garbage collection, a full queue at one replica, a lost packet. Whoever needs ten answers for
//! one page waits for the slowest of them, and so nearly every page is late. A [`Hedge`] waits until
//! a call has been out for longer than, say, 95 of 100 take, sends it once more, takes the answer
//! that succeeds first, and drops the other. The slow few are cut off at the price of a few calls
//! more (Dean and Barroso, *The Tail at Scale*, 2013).
//!
//! # How it fails when misused
//!
//! When everything is slow because the callee is overloaded, hedging adds to the load, and makes
//! everything slower still. That is why there is a [bound](HedgeBuilder::extra_load), which is one
//! call in a hundred by default, and why the delay moves with what is seen. It helps only if the
//! second copy meets other luck than the first: put it around something that balances load over
//! several replicas. And both copies may be carried out, so only what may be repeated is hedged.
//!
//! It stands inside of retries, and outside of what should see each attempt: breaker, bulkhead,
//! timeout per attempt. A panic of any attempt is one of the call.
//!
//! ```
//! use buttress::{Hedge, Plain};
//! use tower::{BoxError, ServiceBuilder, service_fn};
//!
//! // After the 95th percentile of late, one in a hundred at most.
//! let hedge = Hedge::new();
//! let service = ServiceBuilder::new()
//!     .layer(hedge.protocol(Plain::new()))
//!     .service(service_fn(|name: String| async move { Ok::<_, BoxError>(name.len()) }));
//! # let _ = service;
//! ```
//!
//! # What is measured
//!
//! The delay follows a quantile of the latencies of late, and each call that succeeds adds one to
//! them: how long its first attempt took. If a hedge wins, the first attempt is dropped, and how
//! long it would have taken will never be known. Leaving it out would leave out just the slow ones:
//! the quantile would sink, more calls would be hedged, and it would sink further. So it counts
//! with the time for which it had been out by then. That is too little, but it is beyond the delay,
//! on the right side of the quantile, which therefore stays where it belongs. A hedge's own latency
//! is not counted, since only those that win would be. Nor are failures: they tell how quickly a
//! callee fails.
//!
//! # Differences from tower's hedge
//!
//! - A hedge that fails loses nothing: the answer of the first attempt is waited for. With tower,
//!   the first to be *ready* wins, also with an error.
//! - The extra load is bounded.
//! - The service stays `Clone`, its error type stays, readiness is the inner service's own, and a
//!   request that is answered in time registers no timer.
//! - Requests with bodies are hedged without being `Clone`.

mod attempt;
mod builder;
mod delay;
mod future;
mod layer;
pub(crate) mod plan;
mod race;
mod service;
mod verdict;

pub use builder::HedgeBuilder;
pub use future::HedgeFuture;
pub use layer::{Hedge, HedgeLayer, HedgeSnapshot};
pub use service::HedgeService;
