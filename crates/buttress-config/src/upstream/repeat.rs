use crate::layers::EitherBody;
use buttress::Http;
use buttress::repeat::{Repeat, ReplayBody};
use http::{Request, Response};
use http_body::Body;
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A service that is called again, by a retry or by a hedge, or not.
#[derive(Clone, Debug)]
pub enum Repeated<R, H, S> {
    /// By a retry.
    Retry(R),
    /// By a hedge.
    Hedge(H),
    /// Each request is sent once, and nothing of it is kept.
    Once(S),
}

impl<R, H, S, B, BR, BS> Service<Request<B>> for Repeated<R, H, S>
where
    B: Body,
    S: Service<Request<ReplayBody<B>>, Response = Response<BS>>,
    R: Service<Request<B>, Response = Response<BR>, Error = S::Error>,
    H: Service<Request<B>, Response = Response<BR>, Error = S::Error>,
{
    type Response = Response<EitherBody<BR, BS>>;
    type Error = S::Error;
    type Future = RepeatedFuture<R::Future, H::Future, S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self {
            Self::Retry(service) => service.poll_ready(context),
            Self::Hedge(service) => service.poll_ready(context),
            Self::Once(service) => service.poll_ready(context),
        }
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        match self {
            Self::Retry(service) => RepeatedFuture::Retry(service.call(request)),
            Self::Hedge(service) => RepeatedFuture::Hedge(service.call(request)),
            Self::Once(service) => {
                let request = Http::new().once(request);
                RepeatedFuture::Once(service.call(request))
            }
        }
    }
}

/// The future of a call that may be made again.
///
/// # Cancellation
///
/// Dropping it drops every attempt.
#[pin_project(project = Projection)]
#[derive(Debug)]
pub enum RepeatedFuture<R, H, S> {
    /// By a retry.
    Retry(#[pin] R),
    /// By a hedge.
    Hedge(#[pin] H),
    /// It is made once.
    Once(#[pin] S),
}

impl<R, H, S, BR, BS, E> Future for RepeatedFuture<R, H, S>
where
    R: Future<Output = Result<Response<BR>, E>>,
    H: Future<Output = Result<Response<BR>, E>>,
    S: Future<Output = Result<Response<BS>, E>>,
{
    type Output = Result<Response<EitherBody<BR, BS>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let response = match self.project() {
            Projection::Retry(future) => ready!(future.poll(context)),
            Projection::Hedge(future) => ready!(future.poll(context)),
            Projection::Once(future) => {
                let answer = ready!(future.poll(context));
                return Poll::Ready(answer.map(|response| response.map(EitherBody::Without)));
            }
        };
        Poll::Ready(response.map(|response| response.map(EitherBody::With)))
    }
}
