use super::body::StaleBody;
use super::future::{Interest, StaleFuture, Wanted};
use super::layer::StaleIfError;
use super::rules::is_unsafe;
use crate::clock;
use crate::sharing::{CacheControl, Resource, Variant, is_anybodys};
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower_service::Service;

/// A service whose answers are kept for when it fails.
#[derive(Clone, Debug)]
pub struct StaleIfErrorService<S> {
    inner: S,
    stale: StaleIfError,
}

impl<S> StaleIfErrorService<S> {
    pub(super) const fn new(inner: S, stale: StaleIfError) -> Self {
        Self { inner, stale }
    }

    /// The service inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The service inside, without what is around it.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, Req, B> Service<Request<Req>> for StaleIfErrorService<S>
where
    S: Service<Request<Req>, Response = Response<B>>,
    S::Error: 'static,
    Req: Body,
    B: Body<Data: From<Bytes>>,
{
    type Response = Response<StaleBody<B>>;
    type Error = S::Error;
    type Future = StaleFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<Req>) -> Self::Future {
        let interest = self.interest(&request);
        let future = self.inner.call(request);
        StaleFuture::new(future, interest)
    }
}

impl<S> StaleIfErrorService<S> {
    fn interest<B: Body>(&self, request: &Request<B>) -> Interest {
        let shared = &self.stale.shared;
        let resource = || shared.digester.digest(&Resource(request));
        if *request.method() == Method::GET && is_anybodys(request) {
            let control = CacheControl::of(request.headers());
            return Interest::Answer(Wanted {
                shared: Arc::clone(shared),
                resource: resource(),
                variant: shared.digester.digest(&Variant(request.headers())),
                asked: clock::at_arrival(),
                oldest: control.max_age.map(|age| Duration::from_secs(age.into())),
                stalest: control
                    .stale_if_error
                    .map(|stale| Duration::from_secs(stale.into())),
            });
        }
        if is_unsafe(request.method()) && !shared.store.is_empty() {
            let shared = Arc::clone(shared);
            let resource = resource();
            return Interest::Change { shared, resource };
        }
        Interest::None
    }
}
