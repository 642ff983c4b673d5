//! Rule 12 for coalescing and fallbacks: a lone call that succeeds allocates nothing.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::fallback::Ended;
use buttress::{Coalesce, Fallback, Plain, StaleIfError, by_fn};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, Service, service_fn};

type Asked = Request<Empty<Bytes>>;
type Answer = Response<Full<Bytes>>;

fn http(_: Asked) -> Ready<Result<Answer, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
}

fn plain(number: u64) -> Ready<Result<u64, BoxError>> {
    ready(Ok(number))
}

/// Pending once.
async fn later(number: u64) -> Result<u64, BoxError> {
    tokio::task::yield_now().await;
    Ok(number)
}

/// Allocations of a call, from readiness to the end of the answer.
fn of_a_call<S, Req>(service: &mut S, request: Req, finish: impl FnOnce(S::Response)) -> u64
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

fn plain_call<S: Service<u64, Response = u64>>(mut service: S) -> u64 {
    // The first one warms thread-locals and maps up.
    of_a_call(&mut service, 1, drop);
    of_a_call(&mut service, 1, drop)
}

fn get() -> Asked {
    let request = Request::get("http://example.com/a?b=c").header("host", "example.com");
    request
        .header("accept", "*/*")
        .header("user-agent", "tests")
        .body(Empty::new())
        .unwrap()
}

fn http_call<S, B>(mut service: S) -> u64
where
    S: Service<Asked, Response = Response<B>>,
    B: Body,
{
    let read = |response: Response<B>| {
        let mut body = pin!(response.into_body());
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
    };
    of_a_call(&mut service, get(), read);
    of_a_call(&mut service, get(), read)
}

#[tokio::test(start_paused = true)]
async fn a_lone_call_allocates_nothing() {
    let by_number = Coalesce::by(by_fn(|call: &u64| Ok(*call)));
    let by_number = by_number.build().unwrap().protocol(Plain::new());
    assert_eq!(plain_call(by_number.layer(service_fn(plain))), 0);
    assert_eq!(plain_call(by_number.layer(service_fn(later))), 0);

    let coalesce = Coalesce::builder().build().unwrap();
    let service = coalesce.layer(service_fn(http));
    assert_eq!(http_call(service), 0);
    // It took the way of one that others could have joined.
    let mut leads = coalesce.layer(service_fn(|_: Asked| {
        std::future::pending::<Result<Answer, Infallible>>()
    }));
    let _leader = leads.call(get());
    assert_eq!(coalesce.in_flight(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_succeeds_allocates_nothing_for_its_fallback() {
    let speak = Plain::new;
    let value = Fallback::value(vec![7_u64; 9]);
    let wrapped = service_fn(|_: u64| ready(Ok::<_, BoxError>(Vec::<u64>::new())));
    let mut service = value.protocol(speak()).layer(wrapped);
    of_a_call(&mut service, 1, drop);
    assert_eq!(of_a_call(&mut service, 1, drop), 0);

    let function = Fallback::by(|_: Ended<'_, u64, BoxError>| None);
    let kept = Fallback::keeping(|call: &u64| *call)
        .by(|kept: u64, _: Ended<'_, u64, BoxError>| Some(kept));
    let asks = Fallback::keeping(|call: &u64| *call).service(service_fn(plain));
    assert_eq!(
        plain_call(function.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(kept.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(asks.protocol(speak()).layer(service_fn(later))),
        0
    );

    let answer = Response::builder().header("x-fallback", "yes");
    let value = Fallback::value(answer.body(Bytes::from_static(b"[]")).unwrap());
    assert_eq!(http_call(value.layer(service_fn(http))), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_kept_allocates_nothing() {
    let stale = StaleIfError::builder().build().unwrap();
    assert_eq!(http_call(stale.layer(service_fn(http))), 0);
    // One that is kept does: a copy of its header fields and of its body.
    let keeps = StaleIfError::builder().unless_told(Duration::from_secs(9));
    let keeps = keeps.build().unwrap();
    assert!(http_call(keeps.layer(service_fn(http))) > 0);
    assert_eq!(keeps.len(), 1);
}
