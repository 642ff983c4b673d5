//! What policies learn from calls (rules 4 and 5), in every way in which a call can end.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]
#![allow(
    clippy::disallowed_types,
    reason = "the test's own records are not in a hot path"
)]
#![allow(clippy::unnecessary_wraps, reason = "frames come in results")]

use buttress::{
    Admission, Bulkhead, Guard, Http, Never, Now, Outcome, Permit, Plain, Policy, Rejection, Run,
    Timeout, guard,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// Writes down how calls went.
#[derive(Clone, Default)]
struct Record(Arc<Mutex<Vec<Outcome>>>);

impl Record {
    fn take(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Entry(Record, bool);

impl Permit for Entry {
    fn complete(mut self, outcome: Outcome, _: &Now) {
        self.1 = true;
        self.0.0.lock().unwrap().push(outcome);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if !self.1 {
            self.0.0.lock().unwrap().push(Outcome::Cancelled);
        }
    }
}

impl<C: ?Sized> Policy<C> for Record {
    type Permit = Entry;
    type Waiting = Never;

    fn admit(&self, _: &C, _: &Now) -> Admission<Entry, Never> {
        Admission::Admitted(Entry(self.clone(), false))
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<Entry, Rejection>> {
        match *waiting {}
    }
}

type Frames = Vec<Result<Frame<Bytes>, BoxError>>;
type TestBody =
    StreamBody<futures_util::stream::Iter<std::vec::IntoIter<Result<Frame<Bytes>, BoxError>>>>;

fn response(status: u16, frames: Frames) -> Response<TestBody> {
    let body = StreamBody::new(futures_util::stream::iter(frames));
    Response::builder().status(status).body(body).unwrap()
}

fn data() -> Result<Frame<Bytes>, BoxError> {
    Ok(Frame::data(Bytes::from_static(b"data")))
}

fn trailers(grpc_status: &'static str) -> Result<Frame<Bytes>, BoxError> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(grpc_status));
    Ok(Frame::trailers(trailers))
}

fn grpc(mut response: Response<TestBody>) -> Response<TestBody> {
    let content_type = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", content_type);
    response
}

/// Calls a service that answers so, and reads so many frames.
async fn outcome(response: Response<TestBody>, frames: usize) -> Vec<Outcome> {
    let record = Record::default();
    let response = Arc::new(parking(response));
    let inner = service_fn(move |_: Request<()>| {
        let response = response.lock().unwrap().take().unwrap();
        async move { Ok::<_, Infallible>(response) }
    });
    let mut service = guard(record.clone()).layer(inner);
    let response = service.ready().await.unwrap().call(Request::new(())).await;
    assert_eq!(record.take(), [], "the call is not over with the headers");
    let mut body = response.unwrap().into_body();
    for _ in 0..frames {
        let _ = body.frame().await;
    }
    drop(body);
    record.take()
}

fn parking<T>(value: T) -> Mutex<Option<T>> {
    Mutex::new(Some(value))
}

#[tokio::test]
async fn a_call_is_over_when_its_body_is() {
    let whole = outcome(response(200, vec![data(), data()]), 3).await;
    assert_eq!(whole, [Outcome::Success]);
    let half = outcome(response(200, vec![data(), data()]), 1).await;
    assert_eq!(half, [Outcome::Cancelled]);
    let unread = outcome(response(200, vec![data()]), 0).await;
    assert_eq!(unread, [Outcome::Cancelled]);
}

/// A retry drops the answer that it does not like. If that were a cancelled call, a breaker inside
/// of the retries would never open.
#[tokio::test]
async fn a_failure_whose_body_nobody_reads_is_a_failure() {
    let failure = outcome(response(500, vec![data()]), 0).await;
    assert_eq!(failure, [Outcome::Failure]);
    let overload = outcome(response(429, vec![data(), data()]), 1).await;
    assert_eq!(overload, [Outcome::Overload]);
}

/// Remembers what it is told besides outcomes: pushback, and how long the call ran.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<Told>>>);

type Told = (Outcome, Option<Duration>, Duration);

struct Heard(Listener, Option<Duration>, tokio::time::Instant);

impl Permit for Heard {
    fn pushback(&mut self, wait: Duration) {
        self.1 = Some(wait);
    }

    fn complete(self, outcome: Outcome, now: &Now) {
        let ran = now.instant() - self.2.into_std();
        self.0.0.lock().unwrap().push((outcome, self.1, ran));
    }
}

impl<C: ?Sized> Policy<C> for Listener {
    type Permit = Heard;
    type Waiting = Never;

    fn admit(&self, _: &C, _: &Now) -> Admission<Heard, Never> {
        let heard = Heard(self.clone(), None, tokio::time::Instant::now());
        Admission::Admitted(heard)
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<Heard, Rejection>> {
        match *waiting {}
    }
}

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_policy_hears_when_the_callee_wants_to_be_called_again() {
    let with = |mut answer: Response<TestBody>, name: &'static str, value: &'static str| {
        let value = HeaderValue::from_static(value);
        answer.headers_mut().insert(name, value);
        answer
    };
    let in_trailers = || {
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("8"));
        trailers.insert("grpc-retry-pushback-ms", HeaderValue::from_static("1000"));
        Ok(Frame::trailers(trailers))
    };
    let http = |status| with(response(status, vec![data()]), "retry-after", "1");
    let never = with(grpc(response(200, vec![])), "grpc-retry-pushback-ms", "-1");
    for (answer, outcome, wait) in [
        (http(503), Outcome::Overload, Some(SECOND)),
        (http(500), Outcome::Failure, Some(SECOND)),
        (http(202), Outcome::Success, None),
        (
            grpc(response(200, vec![data(), in_trailers()])),
            Outcome::Overload,
            Some(SECOND),
        ),
        (never, Outcome::Failure, None),
    ] {
        let listener = Listener::default();
        let answer = Arc::new(parking(answer));
        let inner = service_fn(move |_: Request<()>| {
            let answer = answer.lock().unwrap().take().unwrap();
            async move { Ok::<_, Infallible>(answer) }
        });
        // Through the permits of an `Option` and of a tuple.
        let service = guard((Some(listener.clone()), Bulkhead::new(1).unwrap())).layer(inner);
        let answer = service.oneshot(Request::new(())).await.unwrap();
        drop(answer.into_body().collect().await);
        let heard = listener.0.lock().unwrap().clone();
        assert_eq!(heard, [(outcome, wait, Duration::ZERO)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_hears_how_long_a_cancelled_call_had_been_running() {
    let listener = Listener::default();
    let hangs = service_fn(|_: u32| std::future::pending::<Result<u32, BoxError>>());
    let service = guard(listener.clone()).protocol(Plain::new()).layer(hangs);
    let timeout = Timeout::new(SECOND).unwrap().protocol(Plain::new());
    assert!(timeout.layer(service).oneshot(1).await.is_err());

    // Without a service, and in a body.
    let run = listener.run(std::future::pending::<Result<(), BoxError>>());
    assert!(tokio::time::timeout(SECOND, run).await.is_err());
    let streams = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(response(200, vec![data(), data()]))
    });
    let service = guard(listener.clone()).layer(streams);
    let answer = service.oneshot(Request::new(())).await.unwrap();
    tokio::time::advance(SECOND).await;
    drop(answer);

    let heard = listener.0.lock().unwrap().clone();
    assert_eq!(heard, [(Outcome::Cancelled, None, SECOND); 3]);
}

#[tokio::test]
async fn statuses_count_when_the_body_has_been_read() {
    for (status, expected) in [
        (200, Outcome::Success),
        (404, Outcome::Success),
        (429, Outcome::Overload),
        (500, Outcome::Failure),
        (503, Outcome::Failure),
    ] {
        assert_eq!(outcome(response(status, vec![data()]), 2).await, [expected]);
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    let broken = vec![data(), Err("the connection broke".into())];
    assert_eq!(outcome(response(200, broken), 3).await, [Outcome::Failure]);
    let broken = vec![data(), Err("the connection broke".into())];
    let broken = grpc(response(200, broken));
    assert_eq!(outcome(broken, 3).await, [Outcome::Failure]);
}

#[tokio::test]
async fn grpc_calls_are_judged_by_their_trailers() {
    for (status, expected) in [
        ("0", Outcome::Success),
        ("5", Outcome::Success),
        ("8", Outcome::Overload),
        ("13", Outcome::Failure),
        ("14", Outcome::Failure),
    ] {
        let answer = grpc(response(200, vec![data(), trailers(status)]));
        assert_eq!(outcome(answer, 2).await, [expected], "{status}");
    }
    let without = grpc(response(200, vec![data()]));
    assert_eq!(outcome(without, 2).await, [Outcome::Failure]);
}

/// Users' own rules come as classifiers of tower-http.
#[tokio::test]
async fn a_classifier_of_tower_http_decides_where_it_is_given() {
    use tower_http::classify::{GrpcErrorsAsFailures, SharedClassifier, StatusInRangeAsFailures};
    let record = Record::default();
    let of_clients = StatusInRangeAsFailures::new_for_client_and_server_errors();
    let protocol = Http::new().classify(SharedClassifier::new(of_clients));
    let not_found =
        service_fn(|_: Request<()>| async { Ok::<_, Infallible>(response(404, vec![data()])) });
    let service = guard(record.clone()).protocol(protocol).layer(not_found);
    let answer = service.oneshot(Request::new(())).await.unwrap();
    drop(answer.into_body().collect().await);
    assert_eq!(record.take(), [Outcome::Failure]);

    let protocol = Http::new().classify(SharedClassifier::new(GrpcErrorsAsFailures::new()));
    let unavailable = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(grpc(response(200, vec![data(), trailers("14")])))
    });
    let service = guard(record.clone()).protocol(protocol).layer(unavailable);
    let answer = service.oneshot(Request::new(())).await.unwrap();
    drop(answer.into_body().collect().await);
    assert_eq!(record.take(), [Outcome::Failure]);
}

fn plain<F>(record: &Record, inner: F) -> Guard<F, Record, Plain> {
    guard(record.clone()).protocol(Plain::new()).layer(inner)
}

#[test]
fn panics_are_failures() {
    let record = Record::default();
    let in_call = |_: u32| -> std::future::Ready<Result<u32, BoxError>> { panic!("in `call`") };
    let mut service = plain(&record, service_fn(in_call));
    let _ = catch_unwind(AssertUnwindSafe(|| drop(service.call(1))));
    assert_eq!(record.take(), [Outcome::Failure]);

    let in_future = |_: u32| async { panic!("in the future") as Result<u32, BoxError> };
    let mut service = plain(&record, service_fn(in_future));
    let mut future = Box::pin(service.call(1));
    let mut context = Context::from_waker(Waker::noop());
    let _ = catch_unwind(AssertUnwindSafe(|| {
        drop(future.as_mut().poll(&mut context));
    }));
    assert_eq!(record.take(), [Outcome::Failure]);
    drop(future);
    assert_eq!(record.take(), [], "a call is over once");
}

#[test]
fn a_call_that_is_dropped_is_cancelled() {
    let record = Record::default();
    let never = |_: u32| std::future::pending::<Result<u32, BoxError>>();
    let mut service = plain(&record, service_fn(never));
    drop(service.call(1));
    assert_eq!(record.take(), [Outcome::Cancelled]);
    {
        let mut future = pin!(service.call(1));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(record.take(), [Outcome::Cancelled]);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_further_in_is_no_failure_and_a_timeout_is() {
    let record = Record::default();
    let slots = Bulkhead::new(1).unwrap();
    let Admission::Admitted(_slot) =
        slots.admit(&(), &Now::at(tokio::time::Instant::now().into_std()))
    else {
        panic!("the bulkhead is new");
    };
    let ready = service_fn(|n: u32| async move { Ok::<_, BoxError>(n) });
    let full = slots.protocol(Plain::new()).layer(ready);
    assert!(plain(&record, full).oneshot(1).await.is_err());
    assert_eq!(record.take(), [Outcome::Cancelled]);

    // A breaker outside of a timeout must see a callee that hangs.
    let hangs = service_fn(|_: u32| std::future::pending::<Result<u32, BoxError>>());
    let timeout = Timeout::new(Duration::from_secs(1)).unwrap();
    let timed = timeout.protocol(Plain::new()).layer(hangs);
    let error = plain(&record, timed).oneshot(1).await.unwrap_err();
    assert!(Rejection::find(&*error).is_some());
    assert_eq!(record.take(), [Outcome::Failure]);

    // The same in HTTP, where the refusal is a response.
    let hangs = service_fn(|_: Request<()>| {
        std::future::pending::<Result<Response<http_body_util::Empty<Bytes>>, Infallible>>()
    });
    let service = guard(record.clone()).layer(timeout.layer(hangs));
    let late = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(late.status(), StatusCode::GATEWAY_TIMEOUT);
    drop(late.into_body().collect().await);
    assert_eq!(record.take(), [Outcome::Failure]);
}

#[tokio::test]
async fn code_without_a_service_is_run_under_a_policy() {
    let record = Record::default();
    let answer = record.run(async { Ok::<_, BoxError>(7) }).await;
    assert_eq!(answer.unwrap(), 7);
    let failed: Result<(), BoxError> = record.run(async { Err("no".into()) }).await;
    assert!(failed.is_err());
    drop(Box::pin(
        record.run(std::future::pending::<Result<(), BoxError>>()),
    ));
    assert_eq!(record.take(), [Outcome::Success, Outcome::Failure]);
    {
        let mut future = pin!(record.run(std::future::pending::<Result<(), BoxError>>()));
        let mut context = Context::from_waker(Waker::noop());
        assert!(future.as_mut().poll(&mut context).is_pending());
    }
    assert_eq!(record.take(), [Outcome::Cancelled]);
}
