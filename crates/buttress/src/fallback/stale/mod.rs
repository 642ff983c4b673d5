//! What the callee said when it was last well (RFC 5861, `stale-if-error`).

mod body;
mod future;
mod layer;
mod rules;
mod service;
mod store;

pub use body::StaleBody;
pub use future::StaleFuture;
pub use layer::{StaleIfError, StaleIfErrorBuilder};
pub use service::StaleIfErrorService;
