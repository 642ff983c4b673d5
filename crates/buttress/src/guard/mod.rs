//! The one service that runs every admission policy.

#[cfg(feature = "http")]
mod body;
mod future;
mod layer;
mod line;
mod protocol;
mod service;
mod settle;

#[cfg(feature = "http")]
pub use body::GuardBody;
pub use future::GuardFuture;
pub(crate) use layer::policy_layer;
pub use layer::{GuardLayer, guard};
pub(crate) use line::Line;
pub use protocol::GuardProtocol;
pub use service::Guard;
pub(crate) use settle::{Held, settle_refused};
