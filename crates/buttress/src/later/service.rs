use super::answer::{KeptBody, not_in_grpc};
use super::future::LaterFuture;
use super::layer::Shared;
use super::store::Reserved;
use buttress_core::protocol::is_grpc;
use buttress_core::{Http, Reject, Rejection};
use bytes::Bytes;
use http::{Request, Response, header};
use http_body::Body;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose calls are accepted at once and run later.
#[derive(Clone)]
pub struct LaterService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> LaterService<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
    }
}

impl<S, B, R> Service<Request<B>> for LaterService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Send,
    S::Future: Send,
    B: Body + From<Bytes> + Send + 'static,
    R: Body + Send,
    R::Data: Send,
    R::Error: Send,
{
    type Response = Response<KeptBody>;
    type Error = S::Error;
    type Future = LaterFuture<S, B>;

    /// Passes the inner service's answer on, so that its error is seen; a job asks again when it
    /// runs.
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let headers = request.headers();
        if is_grpc(headers)
            && let Some(content_type) = headers.get(header::CONTENT_TYPE)
        {
            return LaterFuture::answered(not_in_grpc(content_type.clone()));
        }
        match Reserved::new(&self.shared) {
            Ok(reserved) => LaterFuture::accept(self.inner.clone(), reserved, request),
            Err(reason) => {
                let rejection = Rejection::new(reason, self.shared.name);
                LaterFuture::answered(refusal(request, rejection))
            }
        }
    }
}

/// Where the service could fail, too, a refusal is an answer: the caller asked for no more.
pub(super) fn refusal<B>(request: Request<B>, rejection: Rejection) -> Response<KeptBody> {
    let answer: Result<_, Infallible> = Http::new().refuse(request, rejection);
    match answer {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

impl<S: fmt::Debug> fmt::Debug for LaterService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LaterService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
