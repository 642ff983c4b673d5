//! Uploads whose sender, or whose callee, is slow.

use super::{
    Answer, MS, Sent, Upload, at_once, breaker, by_hand, failures, guarded, once, part, put,
    reads_a_part_and_hangs, reads_all, reads_all_and_hangs, reason, slowly,
};
use buttress::{
    CancelledCounts, CircuitBreaker, CircuitState, Deadline, Hedge, Reason, Rejection, Retry,
    Timeout,
};
use futures_util::FutureExt;
use http::Response;
use http_body_util::{BodyExt, Empty};
use std::future::pending;
use tokio::time::{Instant, advance};
use tower::{Layer, ServiceExt, service_fn};

#[tokio::test(start_paused = true)]
async fn a_slow_sender_runs_out_of_the_attempts_time_and_that_is_not_the_callees_failure() {
    let breaker = breaker();
    let service = guarded(&breaker, reads_all);
    for pause in [1, 10, 19] {
        let answer = service.clone().oneshot(put(slowly(5, pause * MS))).await;
        assert!(answer.is_ok(), "{pause}");
    }
    for pause in [21, 40, 99, 101, 1_000] {
        for _ in 0..5 {
            let begun = Instant::now();
            let error = service.clone().oneshot(put(slowly(5, pause * MS))).await;
            assert_eq!(reason(&error.err().unwrap()), Reason::TimedOut);
            assert!(begun.elapsed() <= 102 * MS, "{:?}", begun.elapsed());
        }
    }
    assert_eq!(failures(&breaker), 0);
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_has_the_whole_body_has_the_turn() {
    let breaker = breaker();
    let service = guarded(&breaker, reads_all_and_hangs);
    for body in [
        slowly(5, 19 * MS),
        slowly(1, MS),
        at_once([part()]),
        at_once([part(), part()]),
    ] {
        let begun = Instant::now();
        let error = service.clone().oneshot(put(body)).await.err().unwrap();
        assert_eq!(reason(&error), Reason::TimedOut);
        assert!(begun.elapsed() <= 102 * MS, "{:?}", begun.elapsed());
    }
    assert_eq!(failures(&breaker), 4);
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
            let error = service.clone().oneshot(put(body)).await.err().unwrap();
            assert_eq!(reason(&error), Reason::TimedOut);
        }
        assert_eq!(breaker.state(), CircuitState::Open);
    }
}

#[tokio::test(start_paused = true)]
async fn the_calls_own_time_that_a_sender_uses_up_is_not_the_callees_failure() {
    let breaker = breaker();
    let whole = Timeout::new(50 * MS).unwrap();
    let service = whole.layer(guarded(&breaker, reads_all));
    for _ in 0..30 {
        let (_sender, body) = by_hand();
        let error = service.clone().oneshot(put(body)).await.err().unwrap();
        assert_eq!(Rejection::find(&*error).unwrap().policy(), "timeout");
    }
    assert_eq!(failures(&breaker), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_passes_while_the_sender_is_waited_for_is_not_the_callees_failure() {
    // A deadline counts as if its caller had left then.
    let patience = CancelledCounts::AsFailureAfter(20 * MS);
    let breaker = CircuitBreaker::builder("callee").cancelled(patience);
    let breaker = breaker.build().unwrap();
    let late = |body| {
        let mut request = put(body);
        Deadline::after(50 * MS).put(request.extensions_mut());
        request
    };
    for _ in 0..30 {
        let (_sender, body) = by_hand();
        let answer = guarded(&breaker, reads_all).oneshot(late(body)).await;
        assert_eq!(reason(&answer.err().unwrap()), Reason::DeadlinePassed);
    }
    assert_eq!(failures(&breaker), 0);
    for body in [at_once([part()]), slowly(1, MS)] {
        let answer = guarded(&breaker, reads_all_and_hangs).oneshot(late(body));
        assert_eq!(reason(&answer.await.err().unwrap()), Reason::DeadlinePassed);
    }
    assert_eq!(failures(&breaker), 2);
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
    assert_eq!(failures(&breaker), 0);
    // After the end of the upload, and before it, with a callee that does not read.
    leave(&breaker, reads_all_and_hangs, slowly(5, 80 * MS), 9).await;
    assert_eq!(failures(&breaker), 1);
    leave(&breaker, reads_all_and_hangs, at_once([part()]), 3).await;
    assert_eq!(failures(&breaker), 2);
    let (sender, body) = by_hand();
    sender.send(part()).unwrap();
    leave(&breaker, reads_a_part_and_hangs, body, 5).await;
    assert_eq!(failures(&breaker), 3);
}

/// It may well be that it was told its deadline and has lost patience with the sender. But it may say
/// so for any reason, and nobody knows.
#[tokio::test(start_paused = true)]
async fn what_a_callee_answers_itself_counts_whoever_is_waited_for() {
    for (status, grpc) in [(504, None), (500, None), (200, Some("4"))] {
        let breaker = breaker();
        let answers = service_fn(move |request: Sent| async move {
            assert!(request.into_body().frame().now_or_never().is_none());
            let mut answer = Response::builder().status(status);
            if let Some(code) = grpc {
                let headers = [("content-type", "application/grpc"), ("grpc-status", code)];
                for (name, value) in headers {
                    answer = answer.header(name, value);
                }
            }
            Ok::<_, tower::BoxError>(answer.body(Empty::<bytes::Bytes>::new())?)
        });
        let service = (once(), breaker.clone()).layer(answers);
        let (_sender, body) = by_hand();
        assert!(service.oneshot(put(body)).await.is_ok());
        assert_eq!(failures(&breaker), 1, "{status} {grpc:?}");
    }
}

/// Each of them takes a probe, and tells nothing.
#[tokio::test(start_paused = true)]
async fn slow_senders_do_not_keep_a_breaker_from_closing() {
    let second = 1_000 * MS;
    let builder = CircuitBreaker::builder("callee").jitter(0.0);
    let breaker = builder.open_time(second, second).build().unwrap();
    let fails = guarded(&breaker, |_| Box::pin(async { Err("no".into()) }));
    while breaker.state() == CircuitState::Closed {
        assert!(fails.clone().oneshot(put(at_once([part()]))).await.is_err());
    }
    advance(second).await;
    let service = guarded(&breaker, reads_all);
    for _ in 0..30 {
        let (_sender, body) = by_hand();
        let error = service.clone().oneshot(put(body)).await.err().unwrap();
        assert_eq!(reason(&error), Reason::TimedOut);
    }
    while breaker.state() != CircuitState::Closed {
        assert!(
            service
                .clone()
                .oneshot(put(at_once([part()])))
                .await
                .is_ok()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn slow_senders_count_for_nothing_behind_a_hedge_too() {
    let breaker = breaker();
    let hedge = Hedge::builder().after(10 * MS).build().unwrap();
    let attempt = Timeout::per_attempt(100 * MS).unwrap();
    let service = (hedge, breaker.clone(), attempt).layer(service_fn(reads_all));
    for _ in 0..30 {
        let error = service.clone().oneshot(put(slowly(5, 90 * MS))).await;
        assert_eq!(reason(&error.err().unwrap()), Reason::TimedOut);
    }
    assert_eq!(failures(&breaker), 0);
}
