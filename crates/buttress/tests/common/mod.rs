//! How many allocations a call makes.
#![allow(dead_code, reason = "each of those that count needs a part of it")]

use http::Response;
use http_body::Body;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use tower::{BoxError, Service};

/// Allocations of a call, from readiness to the end of its future and what is done with the answer.
pub(crate) fn of_a_call<S, Req>(
    service: &mut S,
    request: Req,
    finish: impl FnOnce(S::Response),
) -> u64
where
    S: Service<Req>,
{
    let counted = allocation_counter::measure(|| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut future = pin!(service.call(request));
        loop {
            if let Poll::Ready(answer) = future.as_mut().poll(&mut context) {
                if let Ok(response) = answer {
                    finish(response);
                }
                return;
            }
        }
    });
    counted.count_total
}

/// The same of the second of two plain calls: the first one warms thread-locals and maps up.
pub(crate) fn of_a_plain_call<S: Service<u64>>(mut service: S) -> u64 {
    of_a_call(&mut service, 1, drop);
    of_a_call(&mut service, 1, drop)
}

/// The same of the second of two HTTP calls whose answers are read.
pub(crate) fn of_an_http_call<S, Req, B>(mut service: S, request: impl Fn() -> Req) -> u64
where
    S: Service<Req, Response = Response<B>>,
    B: Body,
{
    of_a_call(&mut service, request(), read);
    of_a_call(&mut service, request(), read)
}

/// Reads a body that is there.
pub(crate) fn read<B: Body>(response: Response<B>) {
    let mut body = pin!(response.into_body());
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
}

/// A callee that answers at once.
pub(crate) fn plain(number: u64) -> Ready<Result<u64, BoxError>> {
    ready(Ok(number))
}

/// One that is pending once, so that a timer is registered.
pub(crate) async fn later(number: u64) -> Result<u64, BoxError> {
    tokio::task::yield_now().await;
    Ok(number)
}
