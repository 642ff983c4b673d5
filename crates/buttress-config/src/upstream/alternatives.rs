//! Services of which a setting chooses one, without boxes.

/// Makes an enum of services that take the same requests, and those of their futures and of their
/// responses' bodies.
///
/// Choosing costs a call that its future and its response are moved once more. So there should be
/// one such choice in a stack and not one for each layer that may be absent.
macro_rules! alternatives {
    ($name:ident, $future:ident, $body:ident: $($variant:ident $frames:ident),+) => {
        use http::Response;
        use http_body::{Body, Frame, SizeHint};
        use pin_project::pin_project;
        use std::error::Error;
        use std::future::Future;
        use std::pin::Pin;
        use std::task::{Context, Poll, ready};
        use tower_service::Service;

        type BoxError = Box<dyn Error + Send + Sync>;

        #[doc = "One of several services."]
        #[derive(Clone, Debug)]
        pub enum $name<$($variant),+> {
            $(
                #[doc = concat!("`", stringify!($variant), "`.")]
                $variant($variant),
            )+
        }

        impl<Req, E, $($variant, $frames),+> Service<Req> for $name<$($variant),+>
        where
            $($variant: Service<Req, Response = Response<$frames>, Error = E>,)+
        {
            type Response = Response<$body<$($frames),+>>;
            type Error = E;
            type Future = $future<$($variant::Future),+>;

            #[inline]
            fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), E>> {
                match self {
                    $(Self::$variant(service) => service.poll_ready(context),)+
                }
            }

            #[inline]
            fn call(&mut self, request: Req) -> Self::Future {
                match self {
                    $(Self::$variant(service) => $future::$variant(service.call(request)),)+
                }
            }
        }

        #[doc = "The future of a call to one of several services."]
        #[doc = ""]
        #[doc = "# Cancellation"]
        #[doc = ""]
        #[doc = "Dropping it drops the service's own."]
        #[pin_project(project = FutureProjection)]
        #[derive(Debug)]
        pub enum $future<$($variant),+> {
            $(
                #[doc = concat!("That of `", stringify!($variant), "`.")]
                $variant(#[pin] $variant),
            )+
        }

        impl<E, $($variant, $frames),+> Future for $future<$($variant),+>
        where
            $($variant: Future<Output = Result<Response<$frames>, E>>,)+
        {
            type Output = Result<Response<$body<$($frames),+>>, E>;

            #[inline]
            fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
                Poll::Ready(match self.project() {
                    $(FutureProjection::$variant(future) => {
                        ready!(future.poll(context)).map(|response| response.map($body::$variant))
                    })+
                })
            }
        }

        #[doc = "The body of a response from one of several services. Frames, trailers and size pass"]
        #[doc = "through unchanged."]
        #[pin_project(project = BodyProjection)]
        #[derive(Debug)]
        pub enum $body<$($variant),+> {
            $(
                #[doc = concat!("That of `", stringify!($variant), "`.")]
                $variant(#[pin] $variant),
            )+
        }

        impl<D, $($variant),+> Body for $body<$($variant),+>
        where
            D: bytes::Buf,
            $($variant: Body<Data = D, Error: Into<BoxError>>,)+
        {
            type Data = D;
            type Error = BoxError;

            #[inline]
            fn poll_frame(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
            ) -> Poll<Option<Result<Frame<D>, BoxError>>> {
                Poll::Ready(match self.project() {
                    $(BodyProjection::$variant(body) => {
                        ready!(body.poll_frame(context)).map(|frame| frame.map_err(Into::into))
                    })+
                })
            }

            #[inline]
            fn is_end_stream(&self) -> bool {
                match self {
                    $(Self::$variant(body) => body.is_end_stream(),)+
                }
            }

            #[inline]
            fn size_hint(&self) -> SizeHint {
                match self {
                    $(Self::$variant(body) => body.size_hint(),)+
                }
            }
        }
    };
}

pub(super) use alternatives;
