//! The drain's layer keeps the contract, and costs a call no allocation.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::testing::{BrokenRule, Contract, Fixture};
use buttress::{Plain, guard};
use buttress_health::{Drain, Health};
use bytes::Bytes;
use http::{Request, Response, Version};
use http_body_util::Empty;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, Waker};
use tokio::runtime::Runtime;
use tower::{Layer, Service, service_fn};

/// Drains need a runtime, and the harness has one of its own for each rule.
fn drain() -> Drain {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let make = || {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
    };
    let _within = RUNTIME.get_or_init(|| make().unwrap()).enter();
    let health = Health::builder().build().unwrap();
    Drain::builder(&health).build().unwrap()
}

fn watched<L>(drain: &Drain, layer: L) -> Fixture<L> {
    let drain = drain.clone();
    Fixture::new(layer).in_use(move || drain.in_flight())
}

#[test]
fn drain_http() -> Result<(), BrokenRule> {
    Contract::new(|| {
        let drain = drain();
        watched(&drain, drain.clone())
    })
    .check_http()
}

#[test]
fn drain_that_has_begun_http() -> Result<(), BrokenRule> {
    Contract::new(|| {
        let drain = drain();
        drain.begin();
        watched(&drain, drain.clone())
    })
    .check_http()
}

#[test]
fn drain_plain() -> Result<(), BrokenRule> {
    Contract::new(|| {
        let drain = drain();
        watched(&drain, guard(drain.gate()).protocol(Plain::new()))
    })
    .check_plain()
}

fn answer(_: Request<()>) -> Ready<Result<Response<Empty<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Empty::new())))
}

#[test]
fn an_admitted_call_allocates_nothing() {
    let mut service = drain().layer(service_fn(answer));
    let mut context = Context::from_waker(Waker::noop());
    let mut call = |version| {
        let mut request = Request::new(());
        *request.version_mut() = version;
        allocation_counter::measure(|| {
            assert!(service.poll_ready(&mut context).is_ready());
            let mut future = pin!(service.call(request));
            let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context) else {
                panic!("it is ready at once");
            };
            drop(response);
        })
        .count_total
    };
    // The first one warms thread-locals up.
    call(Version::HTTP_11);
    assert_eq!(call(Version::HTTP_11), 0);
    assert_eq!(call(Version::HTTP_2), 0);
}
