//! Rule 12 for circuit breakers: a call that is admitted allocates nothing, whatever is counted.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{CircuitBreaker, CircuitState, Plain, by_fn};
use bytes::Bytes;
use common::{of_a_call, plain, read};
use http::{Request, Response};
use http_body_util::Full;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::time::Duration;
use tower::{Layer, service_fn};

fn http(_: Request<()>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"data")))))
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
        of_a_call(&mut service, 1, drop);
        assert_eq!(of_a_call(&mut service, 1, drop), 0);
        let mut service = breaker.layer(service_fn(http));
        of_a_call(&mut service, Request::new(()), read);
        assert_eq!(of_a_call(&mut service, Request::new(()), read), 0);
    }
    let keyed = builder().by(by_fn(|call: &u64| Ok(*call))).build().unwrap();
    let mut service = keyed.protocol(Plain::new()).layer(service_fn(plain));
    of_a_call(&mut service, 1, drop);
    assert_eq!(of_a_call(&mut service, 1, drop), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_allocates_its_box_and_no_more() {
    let breaker = CircuitBreaker::new("callee").unwrap();
    breaker.force_open();
    assert_eq!(breaker.state(), CircuitState::ForcedOpen);
    let mut service = breaker.protocol(Plain::new()).layer(service_fn(plain));
    assert_eq!(of_a_call(&mut service, 1, drop), 1);
}
