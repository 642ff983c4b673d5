//! Rule 12 for coalescing and fallbacks: a lone call that succeeds allocates nothing.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::fallback::Ended;
use buttress::{Coalesce, Fallback, Plain, StaleIfError, by_fn};
use bytes::Bytes;
use common::{later, of_a_call, of_a_plain_call, of_an_http_call, plain};
use http::{Request, Response};
use http_body_util::{Empty, Full};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;
use tower::{BoxError, Layer, Service, service_fn};

type Asked = Request<Empty<Bytes>>;
type Answer = Response<Full<Bytes>>;

fn http(_: Asked) -> Ready<Result<Answer, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
}

fn get() -> Asked {
    let request = Request::get("http://example.com/a?b=c").header("host", "example.com");
    request
        .header("accept", "*/*")
        .header("user-agent", "tests")
        .body(Empty::new())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_lone_call_allocates_nothing() {
    let by_number = Coalesce::by(by_fn(|call: &u64| Ok(*call)));
    let by_number = by_number.build().unwrap().protocol(Plain::new());
    assert_eq!(of_a_plain_call(by_number.layer(service_fn(plain))), 0);
    assert_eq!(of_a_plain_call(by_number.layer(service_fn(later))), 0);

    let coalesce = Coalesce::builder().build().unwrap();
    let service = coalesce.layer(service_fn(http));
    assert_eq!(of_an_http_call(service, get), 0);
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
        of_a_plain_call(function.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(kept.protocol(speak()).layer(service_fn(plain))),
        0
    );
    assert_eq!(
        of_a_plain_call(asks.protocol(speak()).layer(service_fn(later))),
        0
    );

    let answer = Response::builder().header("x-fallback", "yes");
    let value = Fallback::value(answer.body(Bytes::from_static(b"[]")).unwrap());
    assert_eq!(of_an_http_call(value.layer(service_fn(http)), get), 0);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_kept_allocates_nothing() {
    let stale = StaleIfError::builder().build().unwrap();
    assert_eq!(of_an_http_call(stale.layer(service_fn(http)), get), 0);
    // One that is kept does: a copy of its header fields and of its body.
    let keeps = StaleIfError::builder().unless_told(Duration::from_secs(9));
    let keeps = keeps.build().unwrap();
    assert!(of_an_http_call(keeps.layer(service_fn(http)), get) > 0);
    assert_eq!(keeps.len(), 1);
}
