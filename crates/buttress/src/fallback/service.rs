use super::ended::{When, WhenItFails};
use super::future::FallbackFuture;
use super::instead::Instead;
use super::protocol::FallbackProtocol;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service in place of which something else answers when it fails.
pub struct FallbackService<S, A, W = WhenItFails, Pr = crate::DefaultProtocol> {
    inner: S,
    instead: Arc<A>,
    when: W,
    protocol: Pr,
}

impl<S, A, W, Pr> FallbackService<S, A, W, Pr> {
    pub(super) const fn new(inner: S, instead: Arc<A>, when: W, protocol: Pr) -> Self {
        Self {
            inner,
            instead,
            when,
            protocol,
        }
    }

    /// The service inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S: Clone, A, W: Clone, Pr: Clone> Clone for FallbackService<S, A, W, Pr> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            instead: Arc::clone(&self.instead),
            when: self.when.clone(),
            protocol: self.protocol.clone(),
        }
    }
}

impl<S: fmt::Debug, A, W, Pr> fmt::Debug for FallbackService<S, A, W, Pr> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S, A, W, Pr, Req> Service<Req> for FallbackService<S, A, W, Pr>
where
    S: Service<Req>,
    A: Instead<Pr, Req, S::Response, S::Error>,
    W: When<Pr, S::Response, S::Error> + Clone,
    Pr: FallbackProtocol<S::Response, S::Error> + Clone,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = FallbackFuture<S, A, W, Pr, Req>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let kept = self.instead.keep(&request);
        let future = self.inner.call(request);
        let instead = Arc::clone(&self.instead);
        FallbackFuture::new(
            future,
            kept,
            instead,
            self.when.clone(),
            self.protocol.clone(),
        )
    }
}
