//! Something else answers in place of what failed, and nobody is told less than the truth.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use buttress::fallback::{Ended, StoodIn, head};
use buttress::{Bulkhead, Fallback, Plain, Reason, Rejection};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// Fails for odd numbers, is refused for even ones over 100, and echoes the others.
async fn plain(number: u64) -> Result<u64, BoxError> {
    match number {
        odd if odd % 2 == 1 => Err("odd".into()),
        refused if refused > 100 => Err(Rejection::new(Reason::CircuitOpen, "breaker").into()),
        number => Ok(number),
    }
}

type PlainEnd<'a> = Ended<'a, u64, BoxError>;

#[tokio::test]
async fn a_value_stands_in_for_errors_and_refusals_and_for_nothing_else() {
    let layer = Fallback::value(0).protocol(Plain::new());
    let service = layer.layer(service_fn(plain));
    for (request, answer) in [(4, 4), (3, 0), (102, 0)] {
        assert_eq!(service.clone().oneshot(request).await.unwrap(), answer);
    }
}

#[tokio::test]
async fn a_function_sees_the_error_and_the_refusal_and_may_leave_the_original() {
    let layer = Fallback::by(|ended: PlainEnd<'_>| match ended.rejection() {
        Some(rejection) if rejection.reason() == Reason::CircuitOpen => Some(7),
        _ => ended
            .result()
            .as_ref()
            .err()
            .is_some_and(|error| error.to_string() != "odd")
            .then_some(8),
    });
    let service = layer.protocol(Plain::new()).layer(service_fn(plain));
    assert_eq!(service.clone().oneshot(102).await.unwrap(), 7);
    let error = service.oneshot(3).await.unwrap_err();
    assert_eq!(error.to_string(), "odd");
}

#[tokio::test]
async fn a_function_gets_what_was_kept_of_the_request() {
    let layer = Fallback::keeping(|number: &u64| number * 1_000)
        .by(|kept: u64, _: PlainEnd<'_>| Some(kept));
    let service = layer.protocol(Plain::new()).layer(service_fn(plain));
    assert_eq!(service.clone().oneshot(3).await.unwrap(), 3_000);
    assert_eq!(service.oneshot(4).await.unwrap(), 4);
}

#[tokio::test]
async fn the_user_says_when() {
    let layer =
        Fallback::value(0).when(|ended: PlainEnd<'_>| matches!(ended.result(), Ok(4) | Err(_)));
    let service = layer.protocol(Plain::new()).layer(service_fn(plain));
    for (request, answer) in [(4, 0), (6, 6), (3, 0)] {
        assert_eq!(service.clone().oneshot(request).await.unwrap(), answer);
    }
    let never = Fallback::value(0).when(|_: PlainEnd<'_>| false);
    let service = never.protocol(Plain::new()).layer(service_fn(plain));
    assert!(service.oneshot(3).await.is_err());
}

#[tokio::test]
async fn a_plain_protocols_own_classification_counts() {
    let protocol = Plain::new().classify(|result: Result<&u64, &BoxError>| match result {
        Ok(4) => buttress::Outcome::Overload,
        _ => buttress::Outcome::Success,
    });
    let service = Fallback::value(0)
        .protocol(protocol)
        .layer(service_fn(plain));
    assert_eq!(service.clone().oneshot(4).await.unwrap(), 0);
    assert!(service.oneshot(3).await.is_err());
}

#[tokio::test]
async fn a_callers_own_mistake_is_passed_on() {
    for reason in [Reason::KeyMissing, Reason::BadDeadline] {
        let refuse = move |_: u64| async move {
            Err::<u64, BoxError>(Rejection::new(reason, "policy").into())
        };
        let layer = Fallback::value(0).protocol(Plain::new());
        assert!(layer.layer(service_fn(refuse)).oneshot(1).await.is_err());
        let answered = Fallback::value(Response::new(Bytes::new())).layer(service_fn(
            move |_: Request<()>| async move { Ok::<_, Infallible>(refused(reason)) },
        ));
        let answer = answered.oneshot(Request::new(())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}

/// Another service that answers late, fails, or is never ready.
#[derive(Clone)]
struct Elsewhere {
    ready: bool,
    answer: Option<u64>,
    calls: Arc<AtomicUsize>,
    was_ready: bool,
}

impl Elsewhere {
    fn new(ready: bool, answer: Option<u64>) -> Self {
        Self {
            ready,
            answer,
            calls: Arc::default(),
            was_ready: false,
        }
    }
}

impl Service<u64> for Elsewhere {
    type Response = u64;
    type Error = BoxError;
    type Future = futures_util::future::BoxFuture<'static, Result<u64, BoxError>>;

    fn poll_ready(
        &mut self,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Result<(), BoxError>> {
        if !self.ready {
            return std::task::Poll::Pending;
        }
        self.was_ready = true;
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        assert!(
            std::mem::take(&mut self.was_ready),
            "an unready instance is called"
        );
        self.calls.fetch_add(1, Ordering::SeqCst);
        let (answer, under_way) = (self.answer, Arc::clone(&self.calls));
        Box::pin(async move {
            sleep(SECOND).await;
            drop(under_way);
            answer
                .map(|answer| answer + request)
                .ok_or("elsewhere, too".into())
        })
    }
}

fn asks(
    elsewhere: &Elsewhere,
) -> impl Service<u64, Response = u64, Error = BoxError, Future: Send> + Clone + use<> {
    Fallback::keeping(|number: &u64| *number)
        .service(elsewhere.clone())
        .protocol(Plain::new())
        .layer(service_fn(plain))
}

#[tokio::test(start_paused = true)]
async fn another_service_is_asked_only_after_a_failure() {
    let elsewhere = Elsewhere::new(true, Some(1_000));
    let service = asks(&elsewhere);
    assert_eq!(service.clone().oneshot(4).await.unwrap(), 4);
    assert_eq!(elsewhere.calls.load(Ordering::SeqCst), 0);
    assert_eq!(service.oneshot(3).await.unwrap(), 1_003);
}

#[tokio::test(start_paused = true)]
async fn the_original_failure_is_returned_if_the_other_service_fails_or_is_not_ready() {
    for elsewhere in [Elsewhere::new(true, None), Elsewhere::new(false, Some(1))] {
        let error = asks(&elsewhere).oneshot(3).await.unwrap_err();
        assert_eq!(error.to_string(), "odd");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_call_cancels_the_other_service() {
    let elsewhere = Elsewhere::new(true, Some(1));
    let held = Arc::downgrade(&elsewhere.calls);
    let call = tokio::spawn(asks(&elsewhere).oneshot(3));
    drop(elsewhere);
    tokio::task::yield_now().await;
    assert_eq!(
        held.upgrade().map(|calls| calls.load(Ordering::SeqCst)),
        Some(1)
    );
    call.abort();
    assert!(call.await.is_err());
    assert!(held.upgrade().is_none());
}

// HTTP

fn status(code: u16) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from("original"));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn refused(reason: Reason) -> Response<Full<Bytes>> {
    let mut response = status(503);
    let rejection = Rejection::new(reason, "policy");
    response.extensions_mut().insert(rejection);
    response
}

fn grpc(code: &'static str) -> Response<Full<Bytes>> {
    let mut response = status(200);
    let headers = response.headers_mut();
    headers.insert("content-type", "application/grpc".parse().unwrap());
    headers.insert("grpc-status", code.parse().unwrap());
    response
}

async fn text<B: Body<Data = Bytes, Error = Infallible>>(response: Response<B>) -> String {
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

fn value() -> Response<Bytes> {
    let response = Response::builder().header("x-fallback", "yes");
    response.body(Bytes::from_static(b"instead")).unwrap()
}

#[tokio::test]
async fn http_failures_are_5xx_refusals_and_grpc_statuses_of_an_unwell_callee() {
    let cases = [
        (status(200), false),
        (status(404), false),
        (status(429), false),
        (status(500), true),
        (status(503), true),
        (refused(Reason::BulkheadFull), true),
        (grpc("0"), false),
        (grpc("5"), false),
        (grpc("14"), true),
        (grpc("13"), true),
    ];
    for (original, stands_in) in cases {
        let (code, answer) = (original.status(), original.clone());
        let rejection = original.extensions().get().copied();
        let callee = service_fn(move |_: Request<()>| {
            let answer = answer.clone();
            async move { Ok::<_, Infallible>(answer) }
        });
        let service = Fallback::value(value()).layer(callee);
        let response = service.oneshot(Request::new(())).await.unwrap();
        let note = response.extensions().get::<StoodIn>().copied();
        assert_eq!(note.is_some(), stands_in, "{original:?}");
        if let Some(note) = note {
            // Who looks finds what there was.
            assert_eq!(
                (note.status(), note.rejection().copied()),
                (Some(code), rejection)
            );
            assert_eq!(response.headers()["x-fallback"], "yes");
            assert_eq!(response.body().size_hint().exact(), Some(7));
            assert_eq!(text(response).await, "instead");
        } else {
            assert_eq!(text(response).await, "original");
        }
    }
}

#[tokio::test]
async fn a_transport_error_is_a_failure_and_a_function_sees_it() {
    let callee = service_fn(|_: Request<()>| async {
        Err::<Response<Full<Bytes>>, BoxError>("connection refused".into())
    });
    let layer = Fallback::by(|ended: Ended<'_, Response<Full<Bytes>>, BoxError>| {
        let error = ended.result().as_ref().err()?;
        Some(Response::new(Bytes::from(error.to_string())))
    });
    let response = layer.layer(callee).oneshot(Request::new(())).await.unwrap();
    let note = response.extensions().get::<StoodIn>().copied().unwrap();
    assert_eq!((note.status(), note.rejection()), (None, None));
    assert_eq!(text(response).await, "connection refused");
}

#[tokio::test]
async fn another_http_service_gets_the_requests_head() {
    let elsewhere = service_fn(|request: Request<()>| async move {
        let path = request.uri().path().to_owned();
        let tenant = request.headers()["x-tenant"].to_str().unwrap().to_owned();
        Ok::<_, Infallible>(Response::new(Full::from(format!("{path} for {tenant}"))))
    });
    let callee = service_fn(|_: Request<Full<Bytes>>| async { Ok::<_, Infallible>(status(502)) });
    let service = Fallback::keeping(head).service(elsewhere).layer(callee);
    let request = Request::post("/a")
        .header("x-tenant", "b")
        .body(Full::from("body"));
    let response = service.oneshot(request.unwrap()).await.unwrap();
    assert!(response.extensions().get::<StoodIn>().is_some());
    assert_eq!(text(response).await, "/a for b");
}

#[tokio::test]
async fn another_http_service_that_answers_with_a_failure_does_not_hide_the_first_one() {
    let elsewhere = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(status(500)) });
    let callee = service_fn(|_: Request<()>| async { Ok::<_, Infallible>(status(503)) });
    let service = Fallback::keeping(head).service(elsewhere).layer(callee);
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.extensions().get::<StoodIn>().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_full_bulkhead_is_stood_in_for_and_its_refusal_is_noted() {
    let slots = Bulkhead::new(1).unwrap();
    let callee = service_fn(|_: Request<()>| async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(status(200))
    });
    let service = (Fallback::value(value()), slots.clone()).layer(callee);
    let first = tokio::spawn(service.clone().oneshot(Request::new(())));
    tokio::task::yield_now().await;
    let second = service.oneshot(Request::new(())).await.unwrap();
    let note = second.extensions().get::<StoodIn>().copied().unwrap();
    let reason = note.rejection().map(Rejection::reason);
    assert_eq!(reason, Some(Reason::BulkheadFull));
    let first = first.await.unwrap().unwrap();
    assert!(first.extensions().get::<StoodIn>().is_none());
    drop(first);
    assert_eq!(slots.in_flight(), 0);
}

#[tokio::test]
async fn the_request_is_not_held_while_the_call_runs() {
    let token = Arc::new(());
    let held = Arc::downgrade(&token);
    let callee = service_fn(|request: Request<Arc<()>>| async move {
        drop(request);
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(status(500))
    });
    let service = Fallback::keeping(head::<Arc<()>>)
        .by(|_: Request<()>, _: Ended<'_, Response<Full<Bytes>>, Infallible>| None)
        .layer(callee);
    let call = tokio::spawn(service.oneshot(Request::new(token)));
    tokio::task::yield_now().await;
    assert!(held.upgrade().is_none());
    assert_eq!(call.await.unwrap().unwrap().status(), 500);
}
