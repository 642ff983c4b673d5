use http::Response;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// A service with a layer around it, or without.
///
/// What a file leaves out must cost as little as what code leaves out: one comparison.
#[derive(Clone, Copy, Debug)]
pub enum Maybe<A, S> {
    /// With the layer.
    With(A),
    /// Without.
    Without(S),
}

/// A layer's service, that can be taken off again.
pub trait Around {
    /// The service inside.
    type Inner;

    /// The service inside.
    fn inner(&self) -> &Self::Inner;

    /// The service inside, without what is around it.
    fn into_inner(self) -> Self::Inner;
}

impl<A: Around> Maybe<A, A::Inner> {
    /// With the layer if there is one.
    #[inline]
    pub fn of<L>(layer: Option<L>, inner: A::Inner, with: impl FnOnce(L, A::Inner) -> A) -> Self {
        match layer {
            Some(layer) => Self::With(with(layer, inner)),
            None => Self::Without(inner),
        }
    }
}

impl<A: Around> Around for Maybe<A, A::Inner> {
    type Inner = A::Inner;

    #[inline]
    fn inner(&self) -> &A::Inner {
        match self {
            Self::With(outer) => outer.inner(),
            Self::Without(inner) => inner,
        }
    }

    #[inline]
    fn into_inner(self) -> A::Inner {
        match self {
            Self::With(outer) => outer.into_inner(),
            Self::Without(inner) => inner,
        }
    }
}

impl<A, S, Req, BA, BS> Service<Req> for Maybe<A, S>
where
    S: Service<Req, Response = Response<BS>>,
    A: Service<Req, Response = Response<BA>, Error = S::Error>,
{
    type Response = Response<EitherBody<BA, BS>>;
    type Error = S::Error;
    type Future = EitherFuture<A::Future, S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match self {
            Self::With(service) => service.poll_ready(context),
            Self::Without(service) => service.poll_ready(context),
        }
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        match self {
            Self::With(service) => EitherFuture::With(service.call(request)),
            Self::Without(service) => EitherFuture::Without(service.call(request)),
        }
    }
}

/// The future of a call with a layer around it, or without.
///
/// # Cancellation
///
/// Dropping it drops the inner one.
#[pin_project(project = EitherFutureProjection)]
#[derive(Debug)]
pub enum EitherFuture<A, S> {
    /// With the layer.
    With(#[pin] A),
    /// Without.
    Without(#[pin] S),
}

impl<A, S, BA, BS, E> Future for EitherFuture<A, S>
where
    A: Future<Output = Result<Response<BA>, E>>,
    S: Future<Output = Result<Response<BS>, E>>,
{
    type Output = Result<Response<EitherBody<BA, BS>>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project() {
            EitherFutureProjection::With(future) => {
                ready!(future.poll(context)).map(|response| response.map(EitherBody::With))
            }
            EitherFutureProjection::Without(future) => {
                ready!(future.poll(context)).map(|response| response.map(EitherBody::Without))
            }
        })
    }
}

/// The body of a response with a layer around it, or without. Frames, trailers and size pass
/// through unchanged.
#[pin_project(project = EitherBodyProjection)]
#[derive(Debug)]
pub enum EitherBody<A, S> {
    /// With the layer.
    With(#[pin] A),
    /// Without.
    Without(#[pin] S),
}

impl<A, S> Body for EitherBody<A, S>
where
    A: Body,
    S: Body<Data = A::Data, Error: Into<A::Error>>,
{
    type Data = A::Data;
    type Error = A::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<A::Data>, A::Error>>> {
        match self.project() {
            EitherBodyProjection::With(body) => body.poll_frame(context),
            EitherBodyProjection::Without(body) => {
                let frame = ready!(body.poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match self {
            Self::With(body) => body.is_end_stream(),
            Self::Without(body) => body.is_end_stream(),
        }
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        match self {
            Self::With(body) => body.size_hint(),
            Self::Without(body) => body.size_hint(),
        }
    }
}
