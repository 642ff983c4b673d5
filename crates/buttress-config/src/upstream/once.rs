use buttress::Http;
use buttress::repeat::{Attempting, Repeat, ReplayBody};
use http::Request;
use http_body::Body;
use std::task::{Context, Poll};
use tower_service::Service;

/// Sends each request once, and keeps nothing of it.
#[derive(Clone, Debug)]
pub struct Once<S> {
    inner: S,
}

impl<S> Once<S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner }
    }

    /// The service inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, B> Service<Request<B>> for Once<S>
where
    B: Body,
    S: Service<Request<ReplayBody<B>>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Attempting<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let attempt = Http::new().once(request);
        let upload = Repeat::<Request<B>>::upload(&Http::new(), &attempt);
        Attempting::new(self.inner.call(attempt), upload)
    }
}
