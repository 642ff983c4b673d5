//! Retries: trying again, as often as it helps and no more.
//!
//! Many failures are over in a moment: a connection that broke, an instance that goes down for an
//! update. Whoever tries again is served. [`Retry`] does so, for requests that may be repeated,
//! after answers that say that it may help, and after a wait that is
//! [random and grows](crate::backoff).
//!
//! # How it fails when misused
//!
//! Retries are load, and they come when there is least room for it. A callee that has too much to
//! do gets three times as much, and does not recover; and where each of three tiers makes three
//! attempts, the lowest sees 27 for each call. Three things prevent that, and the first is there by
//! default:
//!
//! - A [budget](crate::RetryBudget), shared by all calls, lets only a share of them try again. When
//!   it is exhausted, the answer that came is the answer.
//! - The **do-not-retry marker**: an answer that was retried in vain is marked, so that no tier
//!   further up retries it again. [`IncomingAttempt`](crate::IncomingAttempt) carries the mark from
//!   a service's outgoing calls to its answers.
//! - The **attempt header**: a request that is itself a retry says so, and
//!   [`not_of_retries`](RetryBuilder::not_of_retries) leaves retrying to those who began.
//!
//! Put the retry outside of what should see each attempt (breaker, bulkhead, timeout per attempt)
//! and inside of what bounds the whole call (timeout). A deadline that the request carries bounds
//! the waits: one that would outlast it is not begun.
//!
//! # What is retried
//!
//! By default, if the request may be repeated (in HTTP the idempotent methods, and requests with an
//! `Idempotency-Key`; everything in [`Plain`](crate::Plain)):
//!
//! | answer | retried |
//! | --- | --- |
//! | an error of the service: for a client, that a connection failed or broke | yes |
//! | HTTP 429, 502, 503, 504; gRPC `UNAVAILABLE` | yes |
//! | gRPC `RESOURCE_EXHAUSTED` | if the callee says when to come back |
//! | a refusal of a layer further in, as by a full bulkhead or an open breaker | never |
//! | an attempt that was given up by a [`Timeout`](crate::Timeout) further in | yes |
//! | what says that it must not be retried: the marker, a negative `grpc-retry-pushback-ms` | never |
//! | everything else | no |
//!
//! An answer is passed on as soon as its headers are there; once its body has begun, nothing is
//! retried. Of a gRPC answer the first frame is looked at if it came together with the headers, so
//! that a failure in trailers is seen.
//!
//! `Retry-After`, in both forms, and `grpc-retry-pushback-ms` are obeyed, exactly: the callee knows
//! best whom it asks to come back when. What can't be obeyed within the request's deadline, or within
//! the [longest wait](RetryBuilder::longest_wait), is not retried at all.
//!
//! # What it costs
//!
//! A call of [`Plain`](crate::Plain) that succeeds at once allocates nothing. In HTTP, a request
//! that may be repeated is kept while it is sent: its head is copied (its strings are shared), and
//! the parts of its body are shared. That takes two allocations for the header map, one for each
//! header of a name that is not a standard one, a few for its extensions if there are any, and one
//! for a body that is not empty. A request that may not be repeated costs nothing, or one allocation
//! for a body that is still on its way.
//!
//! The answer that is retried is kept until the next attempt is about to be made, since it is what
//! the caller gets if that attempt cannot be made; then it is dropped, before the attempt. If it
//! has a body, what is held by that is held during the wait: a slot of a bulkhead further in.

mod builder;
mod future;
mod layer;
pub(crate) mod methods;
mod origin;
mod protocol;
mod repeated;
mod repeats;
pub(crate) mod rules;
mod service;

pub use builder::RetryBuilder;
pub use future::RetryFuture;
pub use layer::{Retry, RetryLayer};
pub use origin::Origin;
pub use protocol::{RetryNames, RetryProtocol};
pub use repeats::{Everything, IfSafe, Repeats};
pub use rules::is_worth_repeating;
pub use service::RetryService;
