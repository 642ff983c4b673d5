//! Timeouts and deadlines, on virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Deadline, IncomingDeadline, OutgoingDeadline, Plain, Reason, Rejection, Timeout};
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn timeout(longest: u64) -> buttress::timeout::TimeoutLayer<Plain> {
    Timeout::new(millis(longest))
        .unwrap()
        .protocol(Plain::new())
}

async fn sleeps(time: u64) -> Result<u64, BoxError> {
    sleep(millis(time)).await;
    Ok(time)
}

fn reason(error: &BoxError) -> Reason {
    Rejection::find(&**error).unwrap().reason()
}

#[tokio::test(start_paused = true)]
async fn what_is_too_slow_is_refused_when_the_time_is_up() {
    let service = timeout(100).layer(service_fn(sleeps));
    let start = Instant::now();
    let error = service.oneshot(60_000).await.unwrap_err();
    assert_eq!(reason(&error), Reason::TimedOut);
    assert!((millis(100)..=millis(102)).contains(&start.elapsed()));
    assert_eq!(service.oneshot(50).await.unwrap(), 50);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_ready_together_with_the_deadline_wins() {
    let end = Instant::now() + millis(100);
    let service = timeout(100).layer(service_fn(move |(): ()| async move {
        sleep_until(end).await;
        Ok::<_, BoxError>("in time")
    }));
    assert_eq!(service.oneshot(()).await.unwrap(), "in time");
}

#[tokio::test(start_paused = true)]
async fn of_nested_timeouts_the_earliest_counts() {
    for (outer, inner) in [(300, 100), (100, 300)] {
        let service = timeout(outer).layer(timeout(inner).layer(service_fn(sleeps)));
        let start = Instant::now();
        assert!(service.oneshot(60_000).await.is_err());
        assert!((millis(100)..=millis(102)).contains(&start.elapsed()));
    }
}

/// A timeout in a future that brings a waker of its own must not rely on the outer one's timer.
#[tokio::test(start_paused = true)]
async fn a_timeout_works_behind_other_wakers() {
    let service = timeout(60_000).layer(service_fn(|(): ()| async {
        let mut calls = FuturesUnordered::new();
        for time in [300, 100, 200] {
            calls.push(timeout(time).layer(service_fn(sleeps)).oneshot(50_000));
        }
        let start = Instant::now();
        let mut ends = Vec::new();
        while let Some(result) = calls.next().await {
            assert!(result.is_err());
            ends.push(start.elapsed().as_millis() / 100);
        }
        assert_eq!(ends, [1, 2, 3]);
        // And in a task.
        let call = timeout(100).layer(service_fn(sleeps)).oneshot(50_000);
        assert!(tokio::spawn(call).await.unwrap().is_err());
        // And in a branch that is polled together with others.
        let one = timeout(100).layer(service_fn(sleeps)).oneshot(50_000);
        let other = timeout(200).layer(service_fn(sleeps)).oneshot(50_000);
        let (one, other) = tokio::join!(one, other);
        assert!(one.is_err() && other.is_err());
        assert!(start.elapsed() < millis(1_000));
        // And in one that is polled until another is ready.
        let slow = timeout(300).layer(service_fn(sleeps)).oneshot(50_000);
        let quick = timeout(100).layer(service_fn(sleeps)).oneshot(50_000);
        tokio::select! {
            _ = slow => panic!("it has three times the time"),
            result = quick => assert!(result.is_err()),
        }
        Ok::<_, BoxError>(())
    }));
    service.oneshot(()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_panic_inside_leaves_later_timeouts_alone() {
    let panics = service_fn(|(): ()| async {
        tokio::task::yield_now().await;
        panic!("inside") as Result<(), BoxError>
    });
    let service = timeout(1_000).layer(timeout(500).layer(panics));
    assert!(
        AssertUnwindSafe(service.oneshot(()))
            .catch_unwind()
            .await
            .is_err()
    );
    let start = Instant::now();
    assert!(
        timeout(100)
            .layer(service_fn(sleeps))
            .oneshot(50_000)
            .await
            .is_err()
    );
    assert!(start.elapsed() <= millis(102));
}

#[tokio::test(start_paused = true)]
async fn tower_and_ours_agree() {
    for (longest, time) in [(100, 50), (100, 150), (100, 99), (1, 0)] {
        let theirs = tower::timeout::TimeoutLayer::new(millis(longest));
        let theirs = theirs.layer(service_fn(sleeps)).oneshot(time).await;
        let ours = timeout(longest)
            .layer(service_fn(sleeps))
            .oneshot(time)
            .await;
        assert_eq!(theirs.is_ok(), ours.is_ok(), "{time} of {longest}");
    }
}

/// Answers with what is left of the deadline, in milliseconds.
async fn left(request: Request<()>) -> Result<Response<Full<Bytes>>, Infallible> {
    let left = Deadline::of(request.extensions()).map(|deadline| deadline.left().as_millis());
    Ok(Response::new(Full::from(format!("{left:?}"))))
}

async fn text<B: http_body::Body<Data = Bytes>>(response: Response<B>) -> String
where
    B::Error: std::fmt::Debug,
{
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn request(headers: &[(&'static str, &'static str)]) -> Request<()> {
    let mut request = Request::new(());
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        request.headers_mut().insert(*name, value);
    }
    request
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

#[tokio::test(start_paused = true)]
async fn deadlines_are_read_clamped_and_lowered() {
    let layer = IncomingDeadline::at_most(millis(10_000)).unwrap();
    let layer = layer.header("x-timeout-ms").unwrap();
    for (headers, expected) in [
        (vec![], "Some(10000)"),
        (vec![("x-timeout-ms", "250")], "Some(250)"),
        (vec![("x-timeout-ms", "60000")], "Some(10000)"),
        (vec![("x-timeout-ms", "soon")], "Some(10000)"),
        // The other's header means nothing.
        (vec![("grpc-timeout", "250m")], "Some(10000)"),
        (vec![GRPC, ("grpc-timeout", "250m")], "Some(250)"),
        (vec![GRPC, ("grpc-timeout", "1H")], "Some(10000)"),
        (vec![GRPC, ("x-timeout-ms", "250")], "Some(10000)"),
    ] {
        let service = layer.layer(service_fn(left));
        let answer = service.oneshot(request(&headers)).await.unwrap();
        assert_eq!(text(answer).await, expected, "{headers:?}");
        // A timeout on the way lowers it.
        let lower = Timeout::new(millis(100)).unwrap().layer(service_fn(left));
        let answer = layer.layer(lower).oneshot(request(&headers)).await.unwrap();
        assert_eq!(text(answer).await, "Some(100)", "{headers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_time_is_up_is_refused_before_any_work() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&calls);
    let inner = service_fn(move |_: Request<()>| {
        count.fetch_add(1, Ordering::SeqCst);
        async { Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new())) }
    });
    let layer = IncomingDeadline::at_most(millis(10_000)).unwrap();
    let layer = layer.header("x-timeout-ms").unwrap();
    let late = layer
        .layer(inner.clone())
        .oneshot(request(&[("x-timeout-ms", "0")]));
    assert_eq!(late.await.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    let late = layer
        .layer(inner.clone())
        .oneshot(request(&[GRPC, ("grpc-timeout", "0m")]));
    let late = late.await.unwrap();
    assert_eq!(late.headers()["grpc-status"], "4");

    let mut passed = Request::new(());
    Deadline::after(Duration::ZERO).put(passed.extensions_mut());
    let late = Timeout::new(millis(100))
        .unwrap()
        .layer(inner)
        .oneshot(passed);
    let late = late.await.unwrap();
    let rejection = late.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason(), Reason::DeadlinePassed);
    assert_eq!(calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_grpc_timeout_that_cannot_be_read_is_an_invalid_argument() {
    let layer = IncomingDeadline::at_most(millis(10_000)).unwrap();
    let service = layer.layer(service_fn(left));
    let answer = service
        .oneshot(request(&[GRPC, ("grpc-timeout", "1.5S")]))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["grpc-status"], "3");
    assert_eq!(
        answer.headers()["grpc-message"],
        "the deadline cannot be read"
    );
}

#[tokio::test(start_paused = true)]
async fn outgoing_requests_say_what_is_left_and_never_more() {
    let echo = |name: &'static str| {
        service_fn(move |request: Request<()>| async move {
            let value = request.headers().get(name).cloned();
            Ok::<_, Infallible>(value.map(|value| value.to_str().unwrap().to_owned()))
        })
    };
    let mut with_deadline = request(&[]);
    Deadline::after(millis(300)).put(with_deadline.extensions_mut());
    sleep(millis(50)).await;
    let grpc = OutgoingDeadline::grpc().layer(echo("grpc-timeout"));
    let http = OutgoingDeadline::header("x-timeout-ms")
        .unwrap()
        .layer(echo("x-timeout-ms"));
    assert_eq!(
        grpc.clone()
            .oneshot(with_deadline.clone())
            .await
            .unwrap()
            .unwrap(),
        "250000u"
    );
    assert_eq!(
        http.clone()
            .oneshot(with_deadline.clone())
            .await
            .unwrap()
            .unwrap(),
        "250"
    );
    assert_eq!(http.clone().oneshot(request(&[])).await.unwrap(), None);

    let value = HeaderValue::from_static("9");
    with_deadline.headers_mut().insert("x-timeout-ms", value);
    assert_eq!(
        http.clone()
            .oneshot(with_deadline.clone())
            .await
            .unwrap()
            .unwrap(),
        "9"
    );
    let value = HeaderValue::from_static("900");
    with_deadline.headers_mut().insert("x-timeout-ms", value);
    assert_eq!(http.oneshot(with_deadline).await.unwrap().unwrap(), "250");
}

/// A body whose frames come after some time each.
fn slow_body(times: Vec<u64>) -> impl http_body::Body<Data = Bytes, Error = BoxError> {
    let frames = futures_util::stream::iter(times).then(|time| async move {
        sleep(millis(time)).await;
        Ok::<_, BoxError>(http_body::Frame::data(Bytes::from_static(b"x")))
    });
    http_body_util::StreamBody::new(Box::pin(frames))
}

async fn read(
    layer: Timeout<buttress::timeout::BodyLimits>,
    times: Vec<u64>,
) -> Result<usize, BoxError> {
    let service = layer.layer(service_fn(move |_: Request<()>| {
        let times = times.clone();
        async move { Ok::<_, Infallible>(Response::new(slow_body(times))) }
    }));
    let answer = service.oneshot(Request::new(())).await.unwrap();
    Ok(answer.into_body().collect().await?.to_bytes().len())
}

#[tokio::test(start_paused = true)]
async fn a_body_may_be_slow_but_not_idle_and_not_endless() {
    let timeout = Timeout::new(millis(100)).unwrap();
    let idle = timeout.idle_body(millis(100)).unwrap();
    assert_eq!(read(idle, vec![90; 20]).await.unwrap(), 20);
    let error = read(idle, vec![90, 110, 90]).await.unwrap_err();
    assert_eq!(reason(&error), Reason::TimedOut);
    let whole = timeout.whole_body(millis(1_000)).unwrap();
    assert_eq!(read(whole, vec![400, 500]).await.unwrap(), 2);
    let start = Instant::now();
    let error = read(whole, vec![90; 20]).await.unwrap_err();
    assert_eq!(reason(&error), Reason::TimedOut);
    assert!((millis(1_000)..=millis(1_002)).contains(&start.elapsed()));
}

#[tokio::test(start_paused = true)]
async fn bounds_of_a_body_hold_wherever_others_are() {
    let off = Timeout::off();
    let idle = |time| {
        let timeout = Timeout::new(millis(time)).unwrap();
        timeout.idle_body(millis(time)).unwrap()
    };
    for (outer, middle, inner) in [
        (off, idle(100), off),
        (off, off, idle(100)),
        (idle(100), off, idle(500)),
        (idle(500), off, idle(100)),
        (idle(500), idle(100), off),
    ] {
        for (times, over) in [(vec![90; 20], false), (vec![90, 90, 50_000], true)] {
            let answer = service_fn(move |_: Request<()>| {
                let body = slow_body(times.clone());
                async move { Ok::<_, Infallible>(Response::new(body)) }
            });
            let service = outer.layer(middle.layer(inner.layer(answer)));
            let start = Instant::now();
            let answer = service.oneshot(Request::new(())).await.unwrap();
            let read = answer.into_body().collect().await;
            assert_eq!(read.is_err(), over);
            if over {
                assert!((millis(280)..=millis(286)).contains(&start.elapsed()));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_bounded_body_that_panics_leaves_nothing_behind() {
    let layer = Timeout::new(millis(100)).unwrap();
    let layer = layer.whole_body(millis(1_000)).unwrap();
    let panics = service_fn(|_: Request<()>| async {
        let frames = futures_util::stream::once(async {
            tokio::task::yield_now().await;
            panic!("as it is meant to be")
        });
        let frames = frames
            .map(|(): ()| Ok::<_, BoxError>(http_body::Frame::data(Bytes::from_static(b"x"))));
        let body = http_body_util::StreamBody::new(Box::pin(frames));
        Ok::<_, Infallible>(Response::new(body))
    });
    let service = layer.layer(layer.layer(panics));
    let body = service.oneshot(Request::new(())).await.unwrap().into_body();
    assert!(
        AssertUnwindSafe(body.collect())
            .catch_unwind()
            .await
            .is_err()
    );
    // In the same task, and with the memory of that one.
    let start = Instant::now();
    assert!(read(layer, vec![50_000]).await.is_err());
    assert!((millis(1_000)..=millis(1_002)).contains(&start.elapsed()));
}

#[test]
fn nonsense_is_refused_by_name() {
    let year = Duration::from_secs(366 * 24 * 3_600);
    let field = |result: Result<Timeout, buttress::SettingError>| result.unwrap_err().field();
    assert_eq!(field(Timeout::new(Duration::ZERO)), "timeout");
    assert_eq!(field(Timeout::per_attempt(year)), "timeout");
    assert_eq!(field(Timeout::new(millis(1)).unwrap().named("")), "named");
    let timeout = Timeout::new(millis(100)).unwrap();
    assert_eq!(
        timeout.idle_body(Duration::ZERO).unwrap_err().field(),
        "idle_body"
    );
    let error = timeout.whole_body(millis(50)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`whole_body` is 50ms, but must be at least the time to the headers, 100ms"
    );
    assert_eq!(
        IncomingDeadline::at_most(Duration::ZERO)
            .unwrap_err()
            .field(),
        "at_most"
    );
    assert_eq!(
        OutgoingDeadline::header("no header").unwrap_err().field(),
        "header"
    );
}

/// The service is called as soon as it may be, also under load.
#[tokio::test(start_paused = true)]
async fn the_clock_of_a_timeout_includes_the_wait_for_a_slot() {
    let slots = buttress::Bulkhead::builder(1).waiting_room(1, millis(60_000));
    let slots = slots.build().unwrap();
    let inner = slots.protocol(Plain::new()).layer(service_fn(sleeps));
    let mut service = timeout(1_000).layer(inner);
    let first = tokio::spawn(service.ready().await.unwrap().call(900));
    tokio::task::yield_now().await;
    let second = tokio::spawn(service.ready().await.unwrap().call(900));
    assert!(first.await.unwrap().is_ok());
    assert_eq!(
        reason(&second.await.unwrap().unwrap_err()),
        Reason::TimedOut
    );
    assert_eq!((slots.in_flight(), slots.waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_off_bounds_nothing_and_touches_nothing() {
    let sees = service_fn(|request: Request<Empty<Bytes>>| async move {
        sleep(millis(40_000_000)).await;
        let mut response = Response::new(Full::new(Bytes::from("late")));
        let deadline = Deadline::of(request.extensions()).is_some();
        response.extensions_mut().insert(deadline);
        Ok::<_, Infallible>(response)
    });
    let layers = (IncomingDeadline::off(), Timeout::off());
    let mut request = Request::new(Empty::<Bytes>::new());
    let header = HeaderValue::from_static("1m");
    request.headers_mut().insert("grpc-timeout", header);
    let response = layers.layer(sees).oneshot(request).await.unwrap();
    assert_eq!(response.extensions().get(), Some(&false));
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "late");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_of_any_body_bounds_the_head_as_before() {
    let never = service_fn(|_: Request<Empty<Bytes>>| async move {
        std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>().await
    });
    let timeout = Timeout::new(millis(100)).unwrap().any_body();
    let request = Request::new(Empty::<Bytes>::new());
    let response = timeout.layer(never).oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
}
