//! Timeouts: how long a caller waits.
//!
//! A callee that hangs takes its callers with it: each waits, and holds what it holds. A timeout
//! bounds the wait, whatever the callee does. [`Timeout`] counts from the moment at which its
//! layer is called, so what it wraps (a wait for a slot, an attempt and its retries) is part of
//! the time.
//!
//! A timeout that is shorter than the callee's usual time turns load into failures and retries
//! into more load; one that is much longer than the caller's own does work that nobody waits for.
//! Set it from the callee's measured 99.9th percentile, and propagate it as a
//! deadline, so that everyone further in knows, too.
//!
//! # Slow senders
//!
//! The time to the headers includes that in which the request's body is sent, of an attempt too: a
//! slow sender gets the same 504 as the caller of a slow callee. A callee that takes long uploads needs
//! a longer timeout.
//!
//! Only whose failure it is depends on who is waited for. Inside of a [`Retry`](crate::Retry), a
//! [`Hedge`](crate::Hedge) or a configured upstream, a call that is timed out while its body was asked
//! for more and had nothing counts for nothing, or a few slow uploads would open a circuit breaker for
//! everybody. If there is more of the body than the callee reads, or all of it is there, it is the
//! callee's failure.
//!
//! # Slow readers
//!
//! Whether a body's time is up is looked at when more of the body is asked for. A server does not ask
//! while its peer does not read what is there already: such a call holds what it holds for as long as
//! the peer likes. Only the server can end that, by a timeout of its connections' writes; over HTTP/2 not
//! even so where the peer reads, but opens no window for the stream.
//!
//! # The runtime
//!
//! A timer needs tokio's, with its time driver enabled (`enable_time` or `enable_all`): outside of
//! one, tokio panics when a call is still pending at its first poll. The same goes for policies
//! that let calls wait.
//!
//! # Differences from the timeouts of tower and tower-http
//!
//! - The error type stays what it was. Where the service cannot fail, the answer is a 504 (not a
//!   408, which says that the *client* was slow), or `DEADLINE_EXCEEDED` for gRPC.
//! - The response is asked before the clock, so a response that is ready together with the
//!   deadline wins.
//! - No timer is registered unless the inner service is pending, and nested timeouts share one.
//! - The body's time can be bounded as well.

#[cfg(feature = "http")]
mod body;
mod future;
mod layer;
mod protocol;
mod service;

#[cfg(feature = "http")]
pub use body::TimeoutBody;
pub use future::TimeoutFuture;
pub use layer::{Timeout, TimeoutLayer};
#[cfg(feature = "http")]
pub use protocol::{BodyLimits, BoundBody};
pub use protocol::{HeadersOnly, TimeoutProtocol};
#[cfg(feature = "http")]
pub(crate) use service::Stop;
pub use service::TimeoutService;
