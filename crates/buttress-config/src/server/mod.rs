//! The rules as a layer for servers.

mod service;
mod stack;

pub use service::{ServerFuture, ServerService};
pub(crate) use stack::{AnyTrust, Otherwise, Route};

use crate::rules::Current;
use tower_layer::Layer;

/// Puts each request through the policies of its route. [`Rules::server`](crate::Rules::server)
/// makes it.
///
/// It is a handle: clones, and services that were made before a reload, go by the rules that are in
/// force when the next request comes. A call that is under way ends by those that it began with.
///
/// It goes around axum's `Router` or any of its routes, tonic's server, or any HTTP service. What it
/// costs over the same policies in code is finding the route, a look at the rules, and a comparison for
/// each layer that the route does not have. It allocates nothing, unless more than 32 policies apply.
#[derive(Clone, Debug)]
pub struct Server {
    current: Current,
}

impl Server {
    pub(crate) const fn new(current: Current) -> Self {
        Self { current }
    }
}

impl<S> Layer<S> for Server {
    type Service = ServerService<S>;

    fn layer(&self, inner: S) -> ServerService<S> {
        ServerService::new(inner, self.current.clone())
    }
}
