//! The adaptive throttle as a layer, on virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Plain, Reason, Rejection, Throttle, by_fn};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// A callee that says 429 to each call above so many in a second.
struct Callee {
    accepts: u64,
    second: AtomicU64,
    accepted: AtomicU64,
    saw: AtomicU64,
}

impl Callee {
    fn new(accepts: u64) -> Arc<Self> {
        Arc::new(Self {
            accepts,
            second: AtomicU64::new(0),
            accepted: AtomicU64::new(0),
            saw: AtomicU64::new(0),
        })
    }

    fn call(&self, second: u64) -> StatusCode {
        self.saw.fetch_add(1, Ordering::Relaxed);
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.accepted.store(0, Ordering::Relaxed);
        }
        match self.accepted.fetch_add(1, Ordering::Relaxed) {
            accepted if accepted < self.accepts => StatusCode::OK,
            _ => StatusCode::TOO_MANY_REQUESTS,
        }
    }
}

/// What a callee is sent in a second, once that has settled, of a thousand calls a second.
async fn sent(throttle: &Throttle, accepts: u64) -> u64 {
    let callee = Callee::new(accepts);
    let begin = tokio::time::Instant::now();
    let seen = Arc::clone(&callee);
    let service = throttle.layer(service_fn(move |_: Request<()>| {
        let mut answer = Response::new(Full::<Bytes>::default());
        *answer.status_mut() = seen.call(begin.elapsed().as_secs());
        async move { Ok::<_, Infallible>(answer) }
    }));
    let mut before = 0;
    for second in 0..60 {
        if second == 36 {
            before = callee.saw.load(Ordering::Relaxed);
        }
        for _ in 0..1_000 {
            let answer = service.clone().oneshot(Request::new(())).await.unwrap();
            answer.into_body().collect().await.unwrap();
            tokio::time::advance(Duration::from_millis(1)).await;
        }
    }
    (callee.saw.load(Ordering::Relaxed) - before) / 24
}

#[tokio::test(start_paused = true)]
async fn a_busy_callee_is_sent_twice_what_it_accepts() {
    // A shorter window settles sooner, at the same.
    let throttle = || Throttle::builder().seed(1).window(Duration::from_secs(12));
    let by_default = throttle().build().unwrap();
    let about = |sent: u64, settles: u64| sent.abs_diff(settles) <= settles / 20;
    assert!(about(sent(&by_default, 400).await, 800));
    let by_default = throttle().build().unwrap();
    assert!(about(sent(&by_default, 100).await, 200));
    let by_default = throttle().build().unwrap();
    assert!(about(sent(&by_default, 10).await, 100));
    let uncapped = throttle().most_refused(1.0).build().unwrap();
    assert!(about(sent(&uncapped, 10).await, 20));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_why_and_in_the_words_of_the_caller() {
    let throttle = Throttle::builder().seed(1).named("search").build().unwrap();
    let busy = |_: Request<()>| async {
        let mut answer = Response::new(Empty::<Bytes>::new());
        *answer.status_mut() = StatusCode::TOO_MANY_REQUESTS;
        Ok::<_, Infallible>(answer)
    };
    let service = throttle.layer(service_fn(busy));
    for (content_type, status) in [("text/plain", 503), ("application/grpc", 200)] {
        let answer = loop {
            let request = Request::builder().header("content-type", content_type);
            let answer = service.clone().oneshot(request.body(()).unwrap()).await;
            let answer = answer.unwrap();
            if let Some(rejection) = answer.extensions().get::<Rejection>() {
                assert_eq!(rejection.reason(), Reason::Throttled);
                assert_eq!(rejection.policy(), "search");
                break answer;
            }
            answer.into_body().collect().await.unwrap();
        };
        assert_eq!(answer.status(), status);
        let grpc = answer.headers().get("grpc-status");
        assert_eq!(grpc.is_some_and(|status| status == "14"), status == 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_service_counts_only_if_it_is_told_to() {
    for counts in [false, true] {
        let builder = Throttle::builder().most_refused(0.5);
        let throttle = if counts {
            builder.failures_count().build().unwrap()
        } else {
            builder.build().unwrap()
        };
        let fails = service_fn(|(): ()| async { Err::<(), BoxError>("broken".into()) });
        let service = throttle.protocol(Plain::new()).layer(fails);
        for _ in 0..50 {
            let _ = service.clone().oneshot(()).await;
        }
        let snapshot = throttle.snapshot();
        assert_eq!(snapshot.requests, 50);
        assert_eq!(snapshot.accepts, if counts { 0 } else { 50 });
        let probability = if counts { 0.5 } else { 0.0 };
        assert!((snapshot.refusal_probability - probability).abs() < f64::EPSILON);
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_cancelled_count_for_nothing() {
    let throttle = Throttle::new();
    let hangs = service_fn(|(): ()| std::future::pending::<Result<(), BoxError>>());
    let service = throttle.protocol(Plain::new()).layer(hangs);
    for _ in 0..10 {
        let call = service.clone().oneshot(());
        let waited = tokio::time::timeout(Duration::from_millis(1), call).await;
        assert!(waited.is_err());
    }
    assert_eq!(throttle.snapshot().requests, 0);
}

#[tokio::test(start_paused = true)]
async fn one_upstream_does_not_pay_for_another() {
    let key = by_fn(|upstream: &&'static str| Ok(*upstream));
    let throttle = Throttle::builder().seed(1).failures_count().by(key).build();
    let broken = Arc::new(AtomicBool::new(false));
    let upstreams = service_fn(|upstream: &'static str| async move {
        match upstream {
            "well" => Ok(()),
            _ => Err::<(), BoxError>("broken".into()),
        }
    });
    let service = throttle.unwrap().protocol(Plain::new()).layer(upstreams);
    for _ in 0..200 {
        assert!(service.clone().oneshot("well").await.is_ok());
        let error = service.clone().oneshot("ill").await.unwrap_err();
        broken.fetch_or(Rejection::find(&*error).is_some(), Ordering::Relaxed);
    }
    assert!(broken.load(Ordering::Relaxed), "the ill one is throttled");
}
