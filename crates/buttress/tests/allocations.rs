//! Rule 12: a call that is admitted allocates nothing, and a refusal next to nothing.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Bulkhead, Deadline, Plain, RateLimit, Reloadable, Timeout, by_fn, guard};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::Empty;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, Service, service_fn};

type Answer = Response<Empty<Bytes>>;

fn http(_: Request<()>) -> Ready<Result<Answer, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

fn plain(number: u64) -> Ready<Result<u64, BoxError>> {
    ready(Ok(number))
}

/// Pending once, so that a timer is registered.
async fn later(number: u64) -> Result<u64, BoxError> {
    tokio::task::yield_now().await;
    Ok(number)
}

/// Allocations of a call, from readiness to the end of its future.
fn of_a_call<S, Req, Res>(service: &mut S, request: Req, finish: impl FnOnce(Res)) -> u64
where
    S: Service<Req, Response = Res>,
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

fn request() -> Request<()> {
    let mut request = Request::new(());
    request
        .headers_mut()
        .insert("host", "example.com".parse().unwrap());
    Deadline::after(Duration::from_secs(9)).put(request.extensions_mut());
    request
}

fn http_call<S, B>(mut service: S) -> u64
where
    S: Service<Request<()>, Response = Response<B>>,
    B: Body,
{
    let read = |response: Response<B>| {
        let mut body = pin!(response.into_body());
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
    };
    of_a_call(&mut service, request(), read);
    of_a_call(&mut service, request(), read)
}

fn ample() -> RateLimit {
    RateLimit::per_second(1_000_000).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_admitted_call_allocates_nothing() {
    let second = Duration::from_secs(1);
    let slots = Bulkhead::new(8).unwrap();
    let timeout = Timeout::new(second).unwrap();
    let speak = Plain::new;
    let key = by_fn(|call: &u64| Ok(*call));
    let keyed = RateLimit::per_second(1_000).by(key).build().unwrap();
    let sliding = RateLimit::per_second(1_000)
        .sliding_window()
        .build()
        .unwrap();
    let reloadable = Reloadable::new(slots.clone());
    let several = (slots.clone(), ample(), None::<Bulkhead>);
    assert_eq!(
        plain_call(slots.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(ample().protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(keyed.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(sliding.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(reloadable.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(
            guard(several.clone())
                .protocol(speak())
                .layer(service_fn(plain))
        ),
        0
    );
    assert_eq!(
        plain_call(timeout.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        plain_call(timeout.protocol(speak()).layer(service_fn(later))),
        0
    );
    let nested = timeout
        .protocol(speak())
        .layer(timeout.protocol(speak()).layer(service_fn(later)));
    assert_eq!(plain_call(nested), 0);

    let whole = timeout
        .whole_body(second)
        .unwrap()
        .idle_body(second)
        .unwrap();
    assert_eq!(http_call(slots.layer(service_fn(http))), 0);
    assert_eq!(http_call(ample().layer(service_fn(http))), 0);
    assert_eq!(http_call(timeout.layer(service_fn(http))), 0);
    assert_eq!(http_call(whole.layer(service_fn(http))), 0);
    assert_eq!(http_call(guard(several).layer(service_fn(http))), 0);
    assert_eq!(
        http_call((timeout, slots, ample()).layer(service_fn(http))),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_refusal_allocates_next_to_nothing() {
    let quiet = RateLimit::per_hour(1).build().unwrap();
    let announced = RateLimit::per_hour(1).announced().build().unwrap();
    // An error in a box, and an answer in the request's own memory with its document at hand.
    assert_eq!(
        plain_call(quiet.protocol(Plain::new()).layer(service_fn(plain))),
        1
    );
    let (quiet, announced) = (
        http_call(quiet.layer(service_fn(http))),
        http_call(announced.layer(service_fn(http))),
    );
    assert!(quiet <= 3 && announced <= 6, "{quiet}, {announced}");
}
