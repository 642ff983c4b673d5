//! Calls that are made, or dropped, while another's body is sent.

use super::{Answered, MS, Sent, breaker, by_hand, failures, once, part, put, reads_all_and_hangs};
use buttress::repeat::ReplayBody;
use buttress::{CircuitBreaker, Hedge, Plain, Timeout};
use bytes::Bytes;
use futures_util::FutureExt;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use std::cell::RefCell;
use std::future::{Future, pending};
use std::pin::Pin;
use std::task::{Context, Waker};
use tokio::time::Instant;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// A callee that waits for the request's body, and calls another one meanwhile: each with its own
/// breaker and its own time.
#[tokio::test(start_paused = true)]
async fn a_call_within_an_attempt_knows_nothing_of_the_outer_ones_sender() {
    let inner = breaker();
    let auth = inner.clone();
    let callee = service_fn(move |request: Sent| {
        let auth = auth.clone();
        async move {
            let mut body = request.into_body();
            body.frame().await.unwrap()?;
            assert!(body.frame().now_or_never().is_none());
            let hangs = |_: Request<ReplayBody<Empty<Bytes>>>| pending::<Answered>();
            let attempt = Timeout::per_attempt(100 * MS).unwrap();
            let token = (once(), auth.clone(), attempt).layer(service_fn(hangs));
            let begun = Instant::now();
            let request = Request::get("/token").body(Empty::new())?;
            assert!(token.oneshot(request).await.is_err());
            let rows = (auth.protocol(Plain::new()), attempt.protocol(Plain::new()));
            let rows = rows.layer(service_fn(|_: u8| pending::<Result<u8, BoxError>>()));
            assert!(rows.clone().oneshot(1).await.is_err());
            // Dropped unanswered.
            assert!(
                tokio::time::timeout(
                    300 * MS,
                    auth.protocol(Plain::new())
                        .layer(service_fn(|_: u8| pending::<Result<u8, BoxError>>()))
                        .oneshot(1)
                )
                .await
                .is_err()
            );
            assert!(begun.elapsed() <= 510 * MS, "{:?}", begun.elapsed());
            drop(body);
            Ok::<_, BoxError>(Response::new(Empty::<Bytes>::new()))
        }
    });
    let service = (once(), Timeout::per_attempt(60_000 * MS).unwrap()).layer(callee);
    let (sender, body) = by_hand();
    sender.send(part()).unwrap();
    assert!(service.oneshot(put(body)).await.is_ok());
    assert_eq!(failures(&inner), 3);
}

#[tokio::test(start_paused = true)]
async fn every_bound_holds_whoever_is_waited_for() {
    let second = Timeout::new(1_000 * MS).unwrap();
    let (sender, body) = by_hand();
    sender.send(part()).unwrap();
    let hedge = Hedge::builder().after(10 * MS).build().unwrap();
    let hedged = (hedge, second).layer(service_fn(reads_all_and_hangs));
    let begun = Instant::now();
    assert!(hedged.oneshot(put(body)).await.is_err());
    assert!(begun.elapsed() <= 1_001 * MS, "{:?}", begun.elapsed());

    let attempt = Timeout::per_attempt(100 * MS).unwrap();
    let (sender, body) = by_hand();
    sender.send(part()).unwrap();
    let nested = (once(), second, once(), attempt).layer(service_fn(
        |request: Request<ReplayBody<ReplayBody<super::Upload>>>| async {
            request.into_body().collect().await?;
            pending::<Answered>().await
        },
    ));
    let begun = Instant::now();
    assert!(nested.oneshot(put(body)).await.is_err());
    assert!(begun.elapsed() <= 101 * MS, "{:?}", begun.elapsed());
}

thread_local! {
    static CALL: RefCell<Option<Pin<Box<dyn Future<Output = Answered>>>>> =
        const { RefCell::new(None) };
}

/// As those of a runtime that a thread-local holds.
#[test]
fn a_call_may_be_dropped_when_its_thread_ends() {
    let thread = std::thread::spawn(|| {
        // The first one is dropped before, so that what our thread-locals keep is there.
        for _ in 0..2 {
            let breaker = CircuitBreaker::new("callee").unwrap();
            let hangs = |request: Sent| async {
                let _ = request.into_body().collect().await;
                pending::<Answered>().await
            };
            let service = (once(), breaker).layer(service_fn(hangs));
            let (_sender, body) = by_hand();
            let mut call = Box::pin(async move {
                let answer = service.oneshot(put(body)).await?;
                drop(answer);
                Ok(Response::new(Empty::new()))
            });
            let mut context = Context::from_waker(Waker::noop());
            assert!(call.as_mut().poll(&mut context).is_pending());
            CALL.set(Some(call));
        }
    });
    assert!(thread.join().is_ok());
}
