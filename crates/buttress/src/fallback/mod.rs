//! Fallbacks: something worse instead of nothing.
//!
//! A page without recommendations is better than no page, and yesterday's exchange rate is better
//! than none. [`Fallback`] answers in place of a call that was refused or has failed: with a
//! value, with what a function makes of the failure and the request, or with what another service
//! says. [`StaleIfError`] answers with what the callee said the last time that it was well.
//!
//! # When it stands in
//!
//! | | the call failed |
//! | --- | --- |
//! | plain services | the outcome is not a success, as the protocol [classifies](crate::Plain::classify) it: by default, any error |
//! | HTTP | an error; a 5xx; a response that a layer further in answered as its refusal |
//! | gRPC | an error; a refusal; trailers-only responses with a status that says that the callee is not well (`UNKNOWN`, `DEADLINE_EXCEEDED`, `RESOURCE_EXHAUSTED`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`) |
//!
//! Refusals that are the caller's own mistake
//! ([`BadDeadline`](crate::Reason::BadDeadline), [`KeyMissing`](crate::Reason::KeyMissing)) are
//! passed on. [`Fallback::when`] replaces these rules. What answers a gRPC call must be an answer
//! in gRPC, which is up to the function or the service. A body that breaks off, or a gRPC status in
//! trailers, comes too late: the caller has the head already.
//!
//! # How it fails when misused
//!
//! A fallback hides that something is broken. It hides it from callers, who may cache or act on
//! what they get: let what it says be true, if old or empty. It must not hide it from those who
//! run the service: put what counts failures (a breaker, metrics) *inside* of it, where it sees
//! the original answer. What is further out finds [`StoodIn`] in the extensions of an HTTP
//! response, and each time there is a `tracing` event at debug level.
//!
//! A fallback that does real work, such as another data centre, is load that comes only in an
//! outage, when it was never tested: prefer what is cheap and cannot fail.
//!
//! # If the fallback fails, too
//!
//! The caller gets the original answer, unchanged: the first failure says more about what is wrong
//! than the second. That goes for a function that returns `None`, and for another service that is
//! not ready at once, fails, or answers with a failure. Until that is known the original answer is
//! kept, with what it holds, such as a slot of a bulkhead further in.
//!
//! ```
//! use buttress::fallback::Ended;
//! use buttress::{Fallback, Plain};
//! use tower::{BoxError, ServiceBuilder, service_fn};
//!
//! let nothing_found = Fallback::value(Vec::<u64>::new());
//! let service = ServiceBuilder::new()
//!     .layer(nothing_found.protocol(Plain::new()))
//!     .service(service_fn(|_: u64| async { Err::<Vec<u64>, BoxError>("down".into()) }));
//! # let _ = service;
//!
//! // Made of the request (of which only what is needed is kept) and of the failure.
//! let layer = Fallback::keeping(|request: &String| request.len())
//!     .by(|length: usize, ended: Ended<'_, usize, BoxError>| {
//!         ended.rejection().is_some().then_some(length)
//!     })
//!     .protocol(Plain::new());
//! # let _ = layer;
//! ```

mod ended;
mod future;
mod instead;
mod layer;
mod protocol;
mod service;
#[cfg(feature = "http")]
mod stale;

pub use ended::{Ended, When, WhenItFails};
pub use future::FallbackFuture;
pub use instead::{Asked, ByFunction, ByKept, ByService, Instead, StandIn, Value};
pub use layer::{Fallback, FallbackLayer, Keeping};
pub use protocol::FallbackProtocol;
#[cfg(feature = "http")]
pub use protocol::{StoodIn, head};
pub use service::FallbackService;
#[cfg(feature = "http")]
pub use stale::{StaleBody, StaleFuture, StaleIfError, StaleIfErrorBuilder, StaleIfErrorService};
