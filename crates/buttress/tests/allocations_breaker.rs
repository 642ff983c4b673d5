//! Rule 12 for circuit breakers: a call that is admitted allocates nothing, whatever is counted.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{CircuitBreaker, CircuitState, Plain, by_fn};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, Service, service_fn};

fn plain(number: u64) -> Ready<Result<u64, BoxError>> {
    ready(Ok(number))
}

fn http(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"data")))))
}

/// Allocations of a call, from readiness to the end of what it answers.
fn allocations<S: Service<Req>, Req>(
    service: &mut S,
    request: Req,
    finish: impl FnOnce(S::Response),
) -> u64 {
    let counted = allocation_counter::measure(|| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut future = pin!(service.call(request));
        if let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context) {
            finish(response);
        }
    });
    counted.count_total
}

fn read<B: http_body::Body>(response: Response<B>) {
    let mut body = pin!(response.into_body());
    let mut context = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
}

#[tokio::test(start_paused = true)]
async fn an_admitted_call_allocates_nothing() {
    let second = Duration::from_secs(1);
    let builder = || CircuitBreaker::builder("callee");
    for builder in [
        builder(),
        builder().count_window(100),
        builder().count_window(100).slow_calls(second, 0.5),
    ] {
        let breaker = builder.build().unwrap();
        let mut service = breaker.protocol(Plain::new()).layer(service_fn(plain));
        allocations(&mut service, 1, drop);
        assert_eq!(allocations(&mut service, 1, drop), 0);
        let mut service = breaker.layer(service_fn(http));
        allocations(&mut service, Request::new(()), read);
        assert_eq!(allocations(&mut service, Request::new(()), read), 0);
    }
    let keyed = builder().by(by_fn(|call: &u64| Ok(*call))).build().unwrap();
    let mut service = keyed.protocol(Plain::new()).layer(service_fn(plain));
    allocations(&mut service, 1, drop);
    assert_eq!(allocations(&mut service, 1, drop), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_allocates_its_box_and_no_more() {
    let breaker = CircuitBreaker::new("callee").unwrap();
    breaker.force_open();
    assert_eq!(breaker.state(), CircuitState::ForcedOpen);
    let mut service = breaker.protocol(Plain::new()).layer(service_fn(plain));
    assert_eq!(allocations(&mut service, 1, drop), 1);
}
