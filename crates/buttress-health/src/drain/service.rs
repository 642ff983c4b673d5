use super::future::FarewellFuture;
use crate::shared::Shared;
use http::{Request, Response, Version};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service that asks HTTP/1 clients to close their connections while the process drains.
#[derive(Clone, Debug)]
pub struct Farewell<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> Farewell<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }

    /// The service inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, Req, Res> Service<Request<Req>> for Farewell<S>
where
    S: Service<Request<Req>, Response = Response<Res>>,
{
    type Response = Response<Res>;
    type Error = S::Error;
    type Future = FarewellFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<Req>) -> Self::Future {
        // HTTP/2 forbids the field, and says it with a frame.
        let says_it = request.version() <= Version::HTTP_11;
        let shared = says_it.then(|| Arc::clone(&self.shared));
        FarewellFuture::new(self.inner.call(request), shared)
    }
}
