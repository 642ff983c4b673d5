//! Coalescing: identical calls under way share one.
//!
//! When what everybody wants drops out of a cache, or a page becomes popular at once, a hundred
//! callers ask for the same at the same time, and the callee does the same work a hundred times,
//! just when it can least afford it. [`Coalesce`] lets the first of them ask, and gives its answer
//! to all.
//!
//! It is not a cache: an answer is shared by those who asked before it was there, and nobody else.
//!
//! # What is identical
//!
//! For HTTP, by default: GET or HEAD requests for the same URI and host with the same header
//! fields, but for those that differ each time and change nothing (`User-Agent`, `X-Request-Id`,
//! those of traces and of proxies). A request with credentials (`Authorization`, `Cookie`, a name
//! in the URI), a `Range`, a condition or a body is never coalesced. An answer that is not meant
//! for everybody is not shared: one that is `private` or `no-store`, sets a cookie, or varies with
//! a field that was not compared.
//!
//! With [`Coalesce::by`] a key of your own says it, for any kind of service; then nothing else is
//! looked at.
//!
//! # How it fails when misused
//!
//! **A key that leaves out who asks gives one user's answer to another.** Whatever the answer
//! depends on must be in the key: the user, the tenant, the language. The default key sees header
//! fields; if the service knows the caller by something else (a client certificate, the address,
//! what a layer further out has put into the request's extensions), give it a key of your own with
//! that in it. Credentials in a field of your own making, such as `X-Api-Key`, are compared as any
//! other: calls with the same one share.
//!
//! **A follower may get an answer that is older than its question**, by as much as a call takes. A
//! client that has just changed something, and asks, can be told how it was before.
//!
//! One handle stands for one
//! callee: clones of it around different services would take the same key to mean the same.
//! (axum's nested routers see shortened paths; with the feature `axum` the default key has the
//! whole route in it. With a key of your own, give each service its own handle.)
//!
//! Where most answers are not shared, because they are private or huge, coalescing makes those
//! who waited slower and spares the callee nothing.
//!
//! # Leaders and followers
//!
//! The first caller leads. A call can be joined until the head of its answer is there; a later
//! caller leads the next one.
//!
//! - If the **leader goes away** (its caller gives up, its timeout strikes, it panics), the
//!   follower that has waited the longest makes the call with its own request, through its own
//!   service, which was ready when it came. The others go on waiting.
//! - If the leader's call **fails with an error**, or is refused by a layer further in, that is
//!   the leader's own answer, and the next follower tries. If that fails as well, two of them do,
//!   then four, so that nobody waits through more failures than the number of followers has
//!   binary digits, and the callee does not meet all of them at once. (A 500 is no error but an
//!   answer, and is shared.)
//! - **Bodies** are read up to a bound before anybody has an answer, the leader included, if
//!   anybody follows: nobody's pace depends on anybody else's. The parts are shared, not copied. A
//!   body that is longer than [`max_body`](CoalesceBuilder::max_body), or is not there within
//!   [`body_wait`](CoalesceBuilder::body_wait), goes to the leader alone, from its first byte on;
//!   the followers make calls of their own, all at once, as they would have without the layer.
//!   Event streams are not waited for.
//!
//! A lone call streams as it would without the layer, and allocates nothing.
//!
//! ```
//! use buttress::Coalesce;
//!
//! let coalesce = Coalesce::builder().build()?;
//! # let _ = coalesce;
//!
//! // With a key of one's own, for a service that is neither HTTP nor gRPC.
//! use buttress::{Plain, by_fn};
//! struct Lookup { user: u64 }
//! let per_user = Coalesce::by(by_fn(|lookup: &Lookup| Ok(lookup.user))).build()?;
//! let layer = per_user.protocol(Plain::new());
//! # let _ = layer;
//! # Ok::<(), buttress::SettingError>(())
//! ```
//!
//! # What it needs
//!
//! Around a plain service, responses must be `Clone + Send + Sync + 'static`. Errors need nothing:
//! they are not shared.

#[cfg(feature = "http")]
mod body;
#[cfg(feature = "http")]
mod collect;
mod future;
#[cfg(feature = "http")]
mod key;
mod layer;
mod protocol;
mod service;

#[cfg(feature = "http")]
pub use body::CoalesceBody;
#[cfg(feature = "http")]
pub use collect::{Collect, Shared};
pub use future::CoalesceFuture;
#[cfg(feature = "http")]
pub use key::SameRequest;
pub use layer::{Coalesce, CoalesceBuilder, CoalesceLayer};
pub use protocol::{CoalesceProtocol, Leader, Step};
pub use service::CoalesceService;
