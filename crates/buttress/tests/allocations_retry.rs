//! What a retry allocates: nothing for a call that succeeds at once, besides what keeping an HTTP
//! request takes.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::repeat::ReplayBody;
use buttress::{Plain, Retry};
use bytes::Bytes;
use common::of_a_call;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use tower::{BoxError, Layer, service_fn};

/// Reads the request's body, and answers.
fn http<B>(request: Request<ReplayBody<B>>) -> Ready<Result<Response<Empty<Bytes>>, Infallible>>
where
    B: Body<Error: Into<BoxError>> + Unpin,
{
    let mut body = request.into_body();
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(_)) = Pin::new(&mut body).poll_frame(&mut context) {}
    ready(Ok(Response::new(Empty::new())))
}

fn request<B>(method: Method, body: B) -> Request<B> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = "http://example.com/a/path".parse().unwrap();
    for name in ["host", "user-agent", "accept"] {
        let value = HeaderValue::from_static("a value");
        request.headers_mut().insert(name, value);
    }
    request
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_that_succeeds_at_once_allocates_nothing() {
    let inner = service_fn(|number: u64| ready(Ok::<_, BoxError>(number)));
    let mut service = Retry::new().protocol(Plain::new()).layer(inner);
    of_a_call(&mut service, 1, drop);
    assert_eq!(of_a_call(&mut service, 1, drop), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_may_not_be_repeated_is_not_kept() {
    let mut service = Retry::new().layer(service_fn(http));
    let body = || Full::new(Bytes::from_static(b"body"));
    of_a_call(&mut service, request(Method::POST, body()), drop);
    assert_eq!(
        of_a_call(&mut service, request(Method::POST, body()), drop),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_request_is_kept_in_a_few_allocations() {
    let body = || Full::new(Bytes::from_static(b"body"));
    let mut service = Retry::new().layer(service_fn(http));
    of_a_call(&mut service, request(Method::PUT, body()), drop);
    // The header map's two tables, and the place where the body is left.
    let put = of_a_call(&mut service, request(Method::PUT, body()), drop);
    let mut service = Retry::new().layer(service_fn(http));
    let get = || request(Method::GET, Empty::<Bytes>::new());
    assert_eq!((put, of_a_call(&mut service, get(), drop)), (3, 2));
    // A name that `http` does not know has memory of its own, which begins to be shared.
    let mut custom = get();
    let value = HeaderValue::from_static("a value");
    custom.headers_mut().insert("x-request-id", value);
    assert_eq!(of_a_call(&mut service, custom, drop), 3);
}
