use super::patterns::Outgoing;
use http::Request;
use std::task::{Context, Poll};
use tower_service::Service;

/// A client that tells the callee about each call.
#[derive(Clone, Debug)]
pub struct Told<S> {
    inner: S,
    outgoing: Outgoing,
}

impl<S> Told<S> {
    pub(super) const fn new(inner: S, outgoing: Outgoing) -> Self {
        Self { inner, outgoing }
    }

    pub(super) const fn inner(&self) -> &S {
        &self.inner
    }
}

impl<S, B> Service<Request<B>> for Told<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(deadline) = &self.outgoing.deadline {
            deadline.write(&mut request);
        }
        if let Some(criticality) = &self.outgoing.criticality {
            criticality.write(&mut request);
        }
        self.inner.call(request)
    }
}
