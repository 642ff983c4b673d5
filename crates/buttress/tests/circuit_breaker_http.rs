//! Circuit breakers around HTTP and gRPC, on virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::disallowed_types,
    reason = "the test's own records are not in a hot path"
)]
#![allow(clippy::unnecessary_wraps, reason = "frames come in results")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::Run as _;
use buttress::repeat::ReplayBody;
use buttress::{
    BrokenRequest, Bulkhead, CircuitBreaker, CircuitState, Deadline, Plain, Reason, Rejection,
    Retry, Timeout,
};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> CircuitBreaker {
    let builder = CircuitBreaker::builder("callee").jitter(0.0);
    builder.build().unwrap()
}

type Frames = Vec<Result<Frame<Bytes>, BoxError>>;
type TestBody =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, BoxError>>>>;

fn answer(
    status: u16,
    headers: &[(&'static str, &'static str)],
    frames: Frames,
) -> Response<TestBody> {
    let mut answer = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap();
    for &(name, value) in headers {
        answer
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    answer
}

fn data() -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from_static(b"data")))
}

fn trailers(fields: &[(&'static str, &'static str)]) -> Result<Frame<Bytes>, BoxError> {
    let fields = fields.iter().map(|&(name, value)| (name, value));
    let mut trailers = HeaderMap::new();
    for (name, value) in fields {
        trailers.insert(name, HeaderValue::from_static(value));
    }
    Ok(Frame::trailers(trailers))
}

/// Calls a service that answers so, and reads so many frames of the answer.
async fn read(breaker: &CircuitBreaker, answer: Response<TestBody>, frames: usize) -> StatusCode {
    let answer = Arc::new(Mutex::new(Some(answer)));
    let callee = service_fn(move |_: Request<()>| {
        let answer = answer.lock().unwrap().take().unwrap();
        ready(Ok::<_, Infallible>(answer))
    });
    let answer = breaker
        .layer(callee)
        .oneshot(Request::new(()))
        .await
        .unwrap();
    let status = answer.status();
    let mut body = answer.into_body();
    for _ in 0..frames {
        let _ = body.frame().await;
    }
    status
}

#[tokio::test(start_paused = true)]
async fn server_errors_count_and_clients_mistakes_do_not() {
    let breaker = breaker();
    for status in [404, 400, 401, 499, 200, 302] {
        for _ in 0..30 {
            read(&breaker, answer(status, &[], vec![data()]), 2).await;
        }
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.snapshot().time_window.unwrap().failed, 0);
    for status in [500, 502, 503, 504, 500] {
        read(&breaker, answer(status, &[], vec![data()]), 2).await;
    }
    let refused = read(&breaker, answer(200, &[], vec![]), 1).await;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn grpc_fails_in_its_trailers() {
    let breaker = breaker();
    let grpc = |status| {
        let head = [("content-type", "application/grpc")];
        answer(
            200,
            &head,
            vec![data(), trailers(&[("grpc-status", status)])],
        )
    };
    // NOT_FOUND and INVALID_ARGUMENT are the client's mistakes.
    for status in ["0", "5", "3"] {
        read(&breaker, grpc(status), 2).await;
    }
    for status in ["13", "14", "2", "4", "15"] {
        assert_eq!(breaker.state(), CircuitState::Closed);
        read(&breaker, grpc(status), 2).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);

    // RESOURCE_EXHAUSTED is too much, and counts for the rate.
    breaker.reset();
    for _ in 0..19 {
        read(&breaker, grpc("8"), 2).await;
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    read(&breaker, grpc("8"), 2).await;
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_says_when_to_come_back_is_not_probed_before() {
    let breaker = breaker();
    for _ in 0..4 {
        read(&breaker, answer(500, &[], vec![]), 1).await;
    }
    let with_a_date = answer(500, &[("retry-after", "40")], vec![data()]);
    read(&breaker, with_a_date, 0).await;
    assert_eq!(breaker.snapshot().retry_after, Some(40 * SECOND));

    breaker.reset();
    for _ in 0..4 {
        read(&breaker, answer(500, &[], vec![]), 1).await;
    }
    let head = [("content-type", "application/grpc")];
    let end = trailers(&[("grpc-status", "13"), ("grpc-retry-pushback-ms", "7500")]);
    read(&breaker, answer(200, &head, vec![end]), 1).await;
    let wait = breaker.snapshot().retry_after;
    assert_eq!(wait, Some(Duration::from_millis(7_500)));
}

#[tokio::test(start_paused = true)]
async fn bodies_that_break_off_count_and_those_that_are_left_do_not() {
    let breaker = breaker();
    for _ in 0..30 {
        read(&breaker, answer(200, &[], vec![data(), data()]), 1).await;
    }
    assert_eq!(breaker.snapshot().time_window.unwrap().calls, 0);
    for _ in 0..5 {
        let broken = vec![data(), Err("the connection broke".into())];
        read(&breaker, answer(200, &[], broken), 3).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// Every watcher of a stream leaves in the end. That must not open the breaker.
#[tokio::test(start_paused = true)]
async fn streams_that_are_left_after_long_are_no_failures() {
    let breaker = breaker();
    let endless = service_fn(|_: Request<()>| {
        let body = StreamBody::new(futures_util::stream::pending::<
            Result<Frame<Bytes>, BoxError>,
        >());
        ready(Ok::<_, Infallible>(Response::new(body)))
    });
    let service = breaker.layer(endless);
    for _ in 0..30 {
        let answer = service.clone().oneshot(Request::new(())).await.unwrap();
        tokio::time::advance(SECOND).await;
        drop(answer);
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Drops a probe's call after each poll and each frame: its slot is the next one's.
#[tokio::test(start_paused = true)]
async fn a_probe_that_is_cancelled_anywhere_gives_its_slot_back() {
    let breaker = breaker();
    for _ in 0..5 {
        read(&breaker, answer(500, &[], vec![]), 1).await;
    }
    tokio::time::advance(5 * SECOND).await;
    let slowly = |_: Request<()>| async {
        for _ in 0..3 {
            tokio::task::yield_now().await;
        }
        Ok::<_, Infallible>(answer(200, &[], vec![data(), data(), data()]))
    };
    let mut service = breaker.layer(service_fn(slowly));
    for polls in 0..=4 {
        for frames in 0..3 {
            let mut call = Box::pin(service.ready().await.unwrap().call(Request::new(())));
            assert_eq!(breaker.snapshot().probes, 1, "the slot is free");
            let mut response = None;
            for _ in 0..polls {
                if let Some(answer) = call.as_mut().now_or_never() {
                    response = Some(answer.unwrap());
                    break;
                }
            }
            drop(call);
            if let Some(response) = response {
                let mut body = response.into_body();
                for _ in 0..frames {
                    body.frame().await.unwrap().unwrap();
                }
            }
            assert_eq!(breaker.snapshot().probes, 0);
            assert_eq!(breaker.state(), CircuitState::HalfOpen);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_inside_are_responses_that_never_count() {
    let breaker = breaker();
    let slots = Bulkhead::builder(1)
        .waiting_room(64, SECOND)
        .build()
        .unwrap();
    let hangs = service_fn(|_: Request<()>| pending::<Result<Response<TestBody>, Infallible>>());
    let full = slots.layer(hangs);
    let held = tokio::spawn(full.clone().oneshot(Request::new(())));
    tokio::task::yield_now().await;
    let service = breaker.layer(full);
    for read in [false, true] {
        for _ in 0..30 {
            let answer = service.clone().oneshot(Request::new(())).await.unwrap();
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            tokio::time::advance(SECOND).await;
            if read {
                drop(answer.into_body().collect().await);
            }
        }
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.snapshot().time_window.unwrap().calls, 0);
    held.abort();
}

/// As if they had dropped their calls: a callee that hangs is noticed, callers in a hurry are not.
#[tokio::test(start_paused = true)]
async fn callers_who_give_little_time_open_nothing() {
    let attempt = Timeout::per_attempt(10 * SECOND).unwrap();
    let within = |time| {
        let mut request = Request::new(());
        Deadline::after(time).put(request.extensions_mut());
        request
    };
    for (time, state) in [
        (SECOND / 20, CircuitState::Closed),
        (SECOND, CircuitState::Open),
    ] {
        // Refusals are answers here,
        let answers = breaker();
        let hangs =
            service_fn(|_: Request<()>| pending::<Result<Response<TestBody>, Infallible>>());
        let service = answers.layer(attempt.layer(hangs));
        // errors here,
        let fails = breaker();
        let hangs = service_fn(|_: Request<()>| pending::<Result<Response<TestBody>, BoxError>>());
        let failing = fails.layer(attempt.layer(hangs));
        // and whatever they are in a service of any kind.
        let plain = breaker();
        let late = service_fn(move |_: u8| async move {
            tokio::time::sleep(time).await;
            let rejection = Rejection::new(Reason::DeadlinePassed, "inner");
            Err::<(), BoxError>(rejection.into())
        });
        let late = plain.protocol(Plain::new()).layer(late);
        let alone = breaker();
        for _ in 0..20 {
            let run = alone.run(async move {
                tokio::time::sleep(time).await;
                let rejection = Rejection::new(Reason::DeadlinePassed, "inner");
                Err::<(), BoxError>(rejection.into())
            });
            let _ = run.await;
            let _ = service.clone().oneshot(within(time)).await;
            let _ = failing.clone().oneshot(within(time)).await;
            let _ = late.clone().oneshot(1).await;
        }
        assert_eq!(
            [&answers, &fails, &plain, &alone].map(CircuitBreaker::state),
            [state; 4]
        );
    }
}

/// Or nobody would find out that the callee is dead.
#[tokio::test(start_paused = true)]
async fn a_probe_that_ends_at_its_callers_deadline_has_failed() {
    let breaker = breaker();
    let hangs = service_fn(|_: Request<()>| pending::<Result<Response<TestBody>, Infallible>>());
    let attempt = Timeout::per_attempt(SECOND).unwrap();
    let service = breaker.layer(attempt.layer(hangs));
    for _ in 0..5 {
        let _ = service.clone().oneshot(Request::new(())).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    while breaker.state() == CircuitState::Open {
        tokio::time::advance(SECOND).await;
        let mut request = Request::new(());
        Deadline::after(SECOND / 20).put(request.extensions_mut());
        let answer = service.clone().oneshot(request).await.unwrap();
        if answer.status() == StatusCode::GATEWAY_TIMEOUT {
            assert_eq!(breaker.state(), CircuitState::Open);
            return;
        }
    }
    panic!("no probe has failed");
}

/// As clients do it, an upload that breaks off fails the call.
#[tokio::test(start_paused = true)]
async fn uploads_that_break_off_are_no_failures_of_the_callee() {
    let breaker = breaker();
    let callee = service_fn(|request: Request<ReplayBody<TestBody>>| async {
        let sent = request.into_body().collect().await;
        sent.map_err(|error| BoxError::from(ClientError(error)))?;
        Ok::<_, BoxError>(answer(200, &[], vec![]))
    });
    let service = (Retry::new(), breaker.clone()).layer(callee);
    let upload = |frames: Frames| {
        let body = StreamBody::new(futures_util::stream::iter(frames));
        let request = Request::post("http://example.com/").body(body).unwrap();
        service.clone().oneshot(request)
    };
    for _ in 0..100 {
        let error = upload(vec![data(), Err("nonsense".into())])
            .await
            .unwrap_err();
        assert!(BrokenRequest::find(&*error).is_some(), "{error:?}");
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
    assert_eq!(upload(vec![data()]).await.unwrap().status(), 200);
}

/// An error of a client, as it tells what it is by.
#[derive(Debug)]
struct ClientError(BrokenRequest);

impl std::fmt::Display for ClientError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request could not be sent")
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}
