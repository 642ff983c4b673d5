//! Rule 12: a call that is admitted allocates nothing, and a refusal next to nothing.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{Bulkhead, Deadline, Plain, RateLimit, Reloadable, Timeout, by_fn, guard};
use bytes::Bytes;
use common::{later, of_a_plain_call, of_an_http_call, plain};
use http::{Request, Response};
use http_body_util::{Empty, Full};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;
use tower::{Layer, service_fn};

type Answer = Response<Empty<Bytes>>;

fn http(_: Request<()>) -> Ready<Result<Answer, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

fn request() -> Request<()> {
    let mut request = Request::new(());
    request
        .headers_mut()
        .insert("host", "example.com".parse().unwrap());
    Deadline::after(Duration::from_secs(9)).put(request.extensions_mut());
    request
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
        of_a_plain_call(slots.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(ample().protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(keyed.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(sliding.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(reloadable.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(
            guard(several.clone())
                .protocol(speak())
                .layer(service_fn(plain))
        ),
        0
    );
    assert_eq!(
        of_a_plain_call(timeout.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(timeout.protocol(speak()).layer(service_fn(later))),
        0
    );
    let nested = timeout
        .protocol(speak())
        .layer(timeout.protocol(speak()).layer(service_fn(later)));
    assert_eq!(of_a_plain_call(nested), 0);

    let whole = timeout
        .whole_body(second)
        .unwrap()
        .idle_body(second)
        .unwrap();
    assert_eq!(of_an_http_call(slots.layer(service_fn(http)), request), 0);
    assert_eq!(of_an_http_call(ample().layer(service_fn(http)), request), 0);
    assert_eq!(of_an_http_call(timeout.layer(service_fn(http)), request), 0);
    assert_eq!(of_an_http_call(whole.layer(service_fn(http)), request), 0);
    assert_eq!(
        of_an_http_call(guard(several).layer(service_fn(http)), request),
        0
    );
    assert_eq!(
        of_an_http_call((timeout, slots, ample()).layer(service_fn(http)), request),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_bounded_uses_memory_again() {
    fn more(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
        ready(Ok(Response::new(Full::from("more"))))
    }
    let second = Duration::from_secs(1);
    let headers = Timeout::new(second).unwrap();
    let bounded = headers.whole_body(second).unwrap();
    assert_eq!(of_an_http_call(headers.layer(service_fn(more)), request), 0);
    let nested = bounded.layer(bounded.layer(service_fn(more)));
    assert_eq!(of_an_http_call(nested, request), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_allocates_next_to_nothing() {
    let quiet = RateLimit::per_hour(1).build().unwrap();
    let announced = RateLimit::per_hour(1).announced().build().unwrap();
    // An error in a box, and an answer in the request's own memory with its document at hand.
    assert_eq!(
        of_a_plain_call(quiet.protocol(Plain::new()).layer(service_fn(plain))),
        1
    );
    let (quiet, announced) = (
        of_an_http_call(quiet.layer(service_fn(http)), request),
        of_an_http_call(announced.layer(service_fn(http)), request),
    );
    assert!(quiet <= 3 && announced <= 6, "{quiet}, {announced}");
}
