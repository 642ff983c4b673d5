//! The services inside, which do next to nothing, and the requests that they get.

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{Request, Response};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{BoxError, Service};

/// Answers at once.
#[derive(Clone, Copy, Debug)]
pub struct Plain;

impl Service<u64> for Plain {
    type Response = u64;
    type Error = BoxError;
    type Future = Ready<Result<u64, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}

/// Fails at once.
#[derive(Clone, Copy, Debug)]
pub struct PlainFailing;

impl Service<u64> for PlainFailing {
    type Response = u64;
    type Error = BoxError;
    type Future = Ready<Result<u64, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Self::Future {
        ready(Err("it failed".into()))
    }
}

/// Answers when polled for the second time.
#[derive(Clone, Copy, Debug)]
pub struct PlainPending;

impl Service<u64> for PlainPending {
    type Response = u64;
    type Error = BoxError;
    type Future = PendingOnce<Result<u64, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        PendingOnce::new(Ok(request))
    }
}

/// A future that is pending once.
#[derive(Debug)]
pub struct PendingOnce<T> {
    polled: bool,
    value: Option<T>,
}

impl<T> PendingOnce<T> {
    fn new(value: T) -> Self {
        Self {
            polled: false,
            value: Some(value),
        }
    }
}

impl<T: Unpin> Future for PendingOnce<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        if self.polled {
            return Poll::Ready(self.value.take().unwrap());
        }
        self.polled = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

/// An HTTP service that answers with an empty body.
#[derive(Clone, Copy, Debug)]
pub struct Http;

impl Service<Request<Body>> for Http {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

/// A request as a browser's or a client's would arrive, from the `number`-th address.
pub fn request(number: u64) -> Request<Body> {
    // A hundred thousand addresses and more in 10.0.0.0/8.
    let address = Ipv4Addr::from_bits(0x0a00_0000 + (number as u32 & 0x00ff_ffff));
    Request::get("http://example.com/some/path")
        .header("host", "example.com")
        .header("user-agent", "buttress-benches")
        .header("accept", "*/*")
        .extension(ConnectInfo(SocketAddr::from((address, 4711))))
        .body(Body::empty())
        .unwrap()
}
