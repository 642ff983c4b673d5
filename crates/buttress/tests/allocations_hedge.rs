//! Rule 12 for hedges and throttles: a call that succeeds at once allocates nothing, nor does one
//! that is pending and not hedged.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{Hedge, Outcome, Plain, Throttle, by_fn};
use bytes::Bytes;
use common::{of_a_call, read};
use http::{Request, Response};
use http_body_util::Empty;
use std::convert::Infallible;
use std::future::ready;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Layer, Service, service_fn};

/// The last of many calls that are answered at once, or when polled for the second time.
fn plain<L, S>(layer: L, pending: bool) -> u64
where
    L: Layer<Inner, Service = S>,
    S: Service<u64, Response = u64>,
{
    let mut service = layer.layer(Inner { pending });
    let calls = (0..300).map(|_| of_a_call(&mut service, 1, drop));
    calls.last().unwrap()
}

#[derive(Clone)]
struct Inner {
    pending: bool,
}

impl Service<u64> for Inner {
    type Response = u64;
    type Error = BoxError;
    type Future = Later;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u64) -> Later {
        Later(self.pending)
    }
}

struct Later(bool);

impl Future for Later {
    type Output = Result<u64, BoxError>;

    fn poll(mut self: std::pin::Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if std::mem::take(&mut self.0) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(1))
    }
}

#[tokio::test(start_paused = true)]
async fn a_plain_call_allocates_nothing() {
    let second = Duration::from_secs(1);
    let fixed = || {
        Hedge::builder()
            .after(second)
            .extra_load(1.0)
            .build()
            .unwrap()
    };
    let quantile = Hedge::new();
    for pending in [false, true] {
        assert_eq!(plain(fixed().protocol(Plain::new()), pending), 0);
        assert_eq!(plain(Throttle::new().protocol(Plain::new()), pending), 0);
    }
    assert_eq!(plain(quantile.protocol(Plain::new()), false), 0);
    assert!(quantile.snapshot().delay.is_some(), "it would have hedged");
    let each = Throttle::builder()
        .by(by_fn(|call: &u64| Ok(*call)))
        .build();
    assert_eq!(plain(each.unwrap().protocol(Plain::new()), false), 0);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_allocates_its_error() {
    let busy = |_: Result<&u64, &BoxError>| Outcome::Overload;
    let throttle = Throttle::builder().most_refused(1.0).seed(1).build();
    let layer = throttle.unwrap().protocol(Plain::new().classify(busy));
    assert_eq!(plain(layer, false), 1);
}

#[tokio::test(start_paused = true)]
async fn an_http_call_that_is_not_hedged_allocates_nothing() {
    let http = service_fn(|_| ready(Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))));
    let request = || {
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = http::Method::POST;
        request
    };
    let hedge = Hedge::builder()
        .after(Duration::from_secs(1))
        .extra_load(1.0);
    let mut service = hedge.build().unwrap().layer(http);
    assert_eq!(of_a_call(&mut service, request(), read), 0);
}
