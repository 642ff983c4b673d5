//! Whose fault it is that there is no answer while a request's body is sent, on virtual time.
#![cfg(feature = "http")]
#![allow(clippy::unnecessary_wraps, reason = "frames come in results")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::repeat::ReplayBody;
use buttress::{CircuitBreaker, CircuitState, Deadline, Hedge, Reason, Rejection, Retry, Timeout};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, advance, sleep};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

type Part = Result<Frame<Bytes>, BoxError>;
type Upload = StreamBody<LocalBoxStream<'static, Part>>;
type Sent = Request<ReplayBody<Upload>>;
type Answered = Result<Response<Empty<Bytes>>, BoxError>;
type Answer = Pin<Box<dyn Future<Output = Answered>>>;

fn part() -> Part {
    Ok(Frame::data(Bytes::from_static(b"part")))
}

/// So many parts, each after a pause.
fn slowly(parts: u32, pause: Duration) -> Upload {
    let parts = stream::iter(0..parts).then(move |_| async move {
        sleep(pause).await;
        part()
    });
    StreamBody::new(parts.boxed_local())
}

/// What a test sends.
fn by_hand() -> (UnboundedSender<Part>, Upload) {
    let (sender, mut parts) = unbounded_channel();
    let parts = stream::poll_fn(move |context| parts.poll_recv(context));
    (sender, StreamBody::new(parts.boxed_local()))
}

fn put(body: Upload) -> Request<Upload> {
    Request::put("http://example.com/").body(body).unwrap()
}

fn breaker() -> CircuitBreaker {
    let builder = CircuitBreaker::builder("callee").jitter(0.0);
    builder.build().unwrap()
}

/// Attempts that may take 100 ms each, of a callee that does this.
fn guarded(
    breaker: &CircuitBreaker,
    callee: fn(Sent) -> Answer,
) -> impl Service<Request<Upload>, Response = Response<impl Sized>, Error = BoxError> + Clone {
    let retry = Retry::builder().attempts(1).build().unwrap();
    let attempt = Timeout::per_attempt(100 * MS).unwrap();
    (retry, breaker.clone(), attempt).layer(service_fn(callee))
}

fn reads_all(request: Sent) -> Answer {
    Box::pin(async {
        request.into_body().collect().await?;
        Ok(Response::new(Empty::new()))
    })
}

fn reads_all_and_hangs(request: Sent) -> Answer {
    Box::pin(async {
        request.into_body().collect().await?;
        pending().await
    })
}

fn reads_a_part_and_hangs(request: Sent) -> Answer {
    Box::pin(async {
        let mut body = request.into_body();
        let _ = body.frame().await;
        pending().await
    })
}

fn reason(error: &BoxError) -> Reason {
    Rejection::find(&**error).unwrap().reason()
}

fn failures(breaker: &CircuitBreaker) -> u32 {
    breaker.snapshot().consecutive_failures
}

#[tokio::test(start_paused = true)]
async fn a_slow_sender_is_waited_for() {
    let breaker = breaker();
    let mut service = guarded(&breaker, reads_all);
    for pause in [MS, 60 * MS, 99 * MS, 101 * MS, 1_000 * MS] {
        let answer = service.ready().await.unwrap().call(put(slowly(7, pause)));
        assert!(answer.await.is_ok(), "{pause:?}");
    }
    assert_eq!(failures(&breaker), 0);
}

#[tokio::test(start_paused = true)]
async fn a_callee_has_its_whole_time_from_the_end_of_the_body_on() {
    let breaker = breaker();
    let service = guarded(&breaker, reads_all_and_hangs);
    for pause in [3 * MS, 70 * MS, 130 * MS, 900 * MS] {
        let begun = Instant::now();
        let error = service.clone().oneshot(put(slowly(5, pause))).await;
        assert_eq!(reason(&error.err().unwrap()), Reason::TimedOut);
        let took = begun.elapsed();
        let due = 5 * pause + 100 * MS;
        assert!((due..=due + 2 * MS).contains(&took), "{took:?} for {due:?}");
    }
    assert_eq!(failures(&breaker), 4);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_there_at_once_puts_nothing_off() {
    let hangs = service_fn(|request: Request<ReplayBody<Full<Bytes>>>| async {
        request.into_body().collect().await?;
        pending::<Answered>().await
    });
    let service = (Retry::new(), Timeout::per_attempt(100 * MS).unwrap()).layer(hangs);
    let begun = Instant::now();
    let request = Request::post("/").body(Full::new(Bytes::from_static(b"all")));
    assert!(service.oneshot(request.unwrap()).await.is_err());
    assert!(begun.elapsed() <= 101 * MS, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_stops_reading_has_failed() {
    let never_reads = |_request: Sent| Box::pin(pending()) as Answer;
    for callee in [reads_a_part_and_hangs, never_reads as fn(Sent) -> Answer] {
        let breaker = breaker();
        let service = guarded(&breaker, callee);
        for _ in 0..5 {
            assert_eq!(breaker.state(), CircuitState::Closed);
            let (sender, body) = by_hand();
            for _ in 0..9 {
                sender.send(part()).unwrap();
            }
            let begun = Instant::now();
            let error = service.clone().oneshot(put(body)).await.err().unwrap();
            assert_eq!(reason(&error), Reason::TimedOut);
            assert!(begun.elapsed() <= 102 * MS, "{:?}", begun.elapsed());
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

/// The body is the connection's, which may drop it before there is an answer.
#[tokio::test(start_paused = true)]
async fn a_callee_that_wants_no_more_is_not_waited_for_longer() {
    let gives_up = |request: Sent| {
        Box::pin(async {
            let mut body = request.into_body();
            body.frame().await.unwrap()?;
            assert!(body.frame().now_or_never().is_none());
            sleep(250 * MS).await;
            drop(body);
            pending().await
        }) as Answer
    };
    let breaker = breaker();
    let (sender, body) = by_hand();
    sender.send(part()).unwrap();
    let begun = Instant::now();
    let answer = guarded(&breaker, gives_up).oneshot(put(body)).await;
    assert_eq!(reason(&answer.err().unwrap()), Reason::TimedOut);
    assert!(begun.elapsed() <= 352 * MS, "{:?}", begun.elapsed());
    assert_eq!(failures(&breaker), 1);
}

#[tokio::test(start_paused = true)]
async fn the_calls_own_time_bounds_the_sender_and_is_not_the_callees_failure() {
    let breaker = breaker();
    let whole = Timeout::new(1_000 * MS).unwrap();
    let service = whole.layer(guarded(&breaker, reads_all));
    for _ in 0..30 {
        let (_sender, body) = by_hand();
        let begun = Instant::now();
        let error = service.clone().oneshot(put(body)).await.err().unwrap();
        assert_eq!(Rejection::find(&*error).unwrap().policy(), "timeout");
        assert!(begun.elapsed() <= 1_001 * MS, "{:?}", begun.elapsed());
    }
    assert_eq!(failures(&breaker), 0);
}

#[tokio::test(start_paused = true)]
async fn the_callers_deadline_holds_and_is_not_the_callees_failure() {
    let breaker = breaker();
    for deadline in [50 * MS, 250 * MS] {
        let (_sender, body) = by_hand();
        let mut request = put(body);
        Deadline::after(deadline).put(request.extensions_mut());
        let begun = Instant::now();
        let answer = guarded(&breaker, reads_all).oneshot(request).await;
        assert_eq!(reason(&answer.err().unwrap()), Reason::DeadlinePassed);
        let took = begun.elapsed();
        assert!((deadline..=deadline + MS).contains(&took), "{took:?}");
    }
    assert_eq!(failures(&breaker), 0);
}

/// Begins an upload, lets time pass, and leaves.
async fn leave(breaker: &CircuitBreaker, callee: fn(Sent) -> Answer, body: Upload, after: u32) {
    let attempt = Timeout::per_attempt(60_000 * MS).unwrap();
    let service = (Retry::new(), breaker.clone(), attempt).layer(service_fn(callee));
    let mut call = Box::pin(service.oneshot(put(body)));
    for _ in 0..after {
        assert!(call.as_mut().now_or_never().is_none());
        advance(100 * MS).await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_the_callee_waits_for_them_says_nothing_about_it() {
    let breaker = breaker();
    let (_sender, body) = by_hand();
    leave(&breaker, reads_all, body, 30).await;
    // Just after the end of a long upload.
    leave(&breaker, reads_all_and_hangs, slowly(5, 80 * MS), 6).await;
    assert_eq!(failures(&breaker), 0);
    // Long after it, and before it, with a callee that does not read.
    leave(&breaker, reads_all_and_hangs, slowly(5, 80 * MS), 9).await;
    assert_eq!(failures(&breaker), 1);
    let (sender, body) = by_hand();
    sender.send(part()).unwrap();
    leave(&breaker, reads_a_part_and_hangs, body, 5).await;
    assert_eq!(failures(&breaker), 2);
}

/// As HTTP/2 tells it: the stream was reset, and nothing says by whom.
#[tokio::test(start_paused = true)]
async fn an_upload_that_breaks_off_is_recognised_without_its_error() {
    let reset = |request: Sent| {
        Box::pin(async {
            match request.into_body().collect().await {
                Ok(_) => Err("the connection broke".into()),
                Err(_) => Err("the stream was reset".into()),
            }
        }) as Answer
    };
    let breaker = breaker();
    let service = guarded(&breaker, reset);
    for _ in 0..30 {
        let parts = stream::iter([part(), Err("the client is gone".into())]);
        let body = StreamBody::new(parts.boxed_local());
        assert!(service.clone().oneshot(put(body)).await.is_err());
    }
    assert_eq!(failures(&breaker), 0);
    let whole = StreamBody::new(stream::iter([part()]).boxed_local());
    assert!(service.clone().oneshot(put(whole)).await.is_err());
    assert_eq!(failures(&breaker), 1);
}

/// A callee that is told its deadline answers so itself.
#[tokio::test(start_paused = true)]
async fn a_callee_that_runs_out_of_time_for_want_of_the_body_has_not_failed() {
    let impatient = |request: Sent| {
        Box::pin(async {
            let all = request.into_body().collect();
            let read = tokio::time::timeout(50 * MS, all).await.is_ok();
            let status = if read { 500 } else { 504 };
            Ok(Response::builder().status(status).body(Empty::new())?)
        }) as Answer
    };
    let breaker = breaker();
    let service = guarded(&breaker, impatient);
    for _ in 0..30 {
        let (_sender, body) = by_hand();
        assert!(service.clone().oneshot(put(body)).await.is_ok());
    }
    assert_eq!(failures(&breaker), 0);
    assert!(service.oneshot(put(slowly(1, MS))).await.is_ok());
    assert_eq!(failures(&breaker), 1);
}

#[tokio::test(start_paused = true)]
async fn hedges_wait_for_slow_senders_too() {
    let breaker = breaker();
    let hedge = Hedge::builder().after(10 * MS).build().unwrap();
    let attempt = Timeout::per_attempt(100 * MS).unwrap();
    let service = (hedge, breaker.clone(), attempt).layer(service_fn(reads_all));
    assert!(service.oneshot(put(slowly(5, 90 * MS))).await.is_ok());
    assert_eq!(failures(&breaker), 0);
}
