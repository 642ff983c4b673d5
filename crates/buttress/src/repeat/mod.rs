//! Repeating a request, and looking at an answer before deciding whether to: what retries and
//! hedges share.
//!
//! A request can be sent again if that is safe, and if there is something left of it to send. A
//! body is a stream and is gone once it has been sent, so it is [kept while it is
//! sent](ReplayBody), up to a bound. Its parts are shared, not copied, and a request that nobody
//! would repeat is not kept at all.

mod attempting;
mod judge;
mod look;
mod protocol;
mod upload;

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod peek;
#[cfg(feature = "http")]
mod replay;

pub use attempting::Attempting;
pub(crate) use attempting::excuses_leaving;
#[cfg(feature = "http")]
pub(crate) use attempting::{current, excuse};
pub use judge::Judge;
pub use look::{AnswerKind, Look};
pub use protocol::Repeat;
pub use upload::Upload;

#[cfg(feature = "http")]
pub use self::http::Kept;
#[cfg(feature = "http")]
pub use peek::PeekBody;
#[cfg(feature = "http")]
pub use replay::ReplayBody;
