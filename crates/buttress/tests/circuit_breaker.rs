//! Circuit breakers around services, on virtual time.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::circuit_breaker::{Cause, News};
use buttress::{
    Bulkhead, CircuitBreaker, CircuitState, Outcome, Plain, Reason, Rejection, Run, Timeout, by_fn,
    guard,
};
use std::future::pending;
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("callee")
        .jitter(0.0)
        .build()
        .unwrap()
}

async fn hangs(_: u32) -> Result<u32, BoxError> {
    pending().await
}

async fn fails(_: u32) -> Result<u32, BoxError> {
    Err("it failed".into())
}

async fn works(number: u32) -> Result<u32, BoxError> {
    Ok(number)
}

/// Why a call was refused; `None` if it was not.
fn refused<T>(result: &Result<T, BoxError>) -> Option<Reason> {
    let error = result.as_ref().err()?;
    Rejection::find(&**error).map(Rejection::reason)
}

async fn trip(breaker: &CircuitBreaker) {
    let mut service = breaker.protocol(Plain::new()).layer(service_fn(fails));
    while breaker.state() == CircuitState::Closed {
        let _ = service.ready().await.unwrap().call(1).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// The documented stack of others, in which 500 of 500 calls to a hung callee time out.
#[tokio::test(start_paused = true)]
async fn a_timeout_outside_does_not_hide_a_callee_that_hangs() {
    for timeout in [SECOND, SECOND / 4] {
        let breaker = breaker();
        let inside = breaker.protocol(Plain::new()).layer(service_fn(hangs));
        let timeout = Timeout::new(timeout).unwrap().protocol(Plain::new());
        let service = timeout.layer(inside);
        let (mut timed_out, mut spared) = (0, 0);
        for _ in 0..500 {
            match refused(&service.clone().oneshot(1).await) {
                Some(Reason::TimedOut) => timed_out += 1,
                Some(Reason::CircuitOpen) => spared += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((timed_out, spared), (5, 495));
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_towers_timeout_outside_of_many_calls_at_once() {
    let breaker = breaker();
    let inside = breaker.protocol(Plain::new()).layer(service_fn(hangs));
    let service = tower::timeout::TimeoutLayer::new(SECOND).layer(inside);
    let calls = (0..500).map(|number| tokio::spawn(service.clone().oneshot(number)));
    futures_util::future::join_all(calls).await;
    assert_eq!(breaker.state(), CircuitState::Open);
    assert_eq!(
        refused(&service.oneshot(1).await),
        Some(Reason::CircuitOpen)
    );
}

#[tokio::test(start_paused = true)]
async fn callers_that_change_their_minds_do_not_open_it() {
    let breaker = breaker();
    let service = breaker.protocol(Plain::new()).layer(service_fn(hangs));
    for _ in 0..500 {
        let call = service.clone().oneshot(1);
        assert!(tokio::time::timeout(SECOND / 5, call).await.is_err());
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.snapshot().time_window.unwrap().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn timeouts_inside_are_failures_and_panics_too() {
    let breaker = breaker();
    let timeout = Timeout::per_attempt(SECOND).unwrap().protocol(Plain::new());
    let inside = timeout.layer(service_fn(hangs));
    let service = breaker.protocol(Plain::new()).layer(inside);
    for _ in 0..5 {
        assert_eq!(
            refused(&service.clone().oneshot(1).await),
            Some(Reason::TimedOut)
        );
    }
    assert_eq!(breaker.state(), CircuitState::Open);

    breaker.reset();
    let panics = service_fn(|_: u32| async { panic!("in the callee") as Result<u32, BoxError> });
    let service = breaker.protocol(Plain::new()).layer(panics);
    for _ in 0..5 {
        assert!(tokio::spawn(service.clone().oneshot(1)).await.is_err());
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn an_open_one_says_when_to_come_back_and_the_callee_is_left_alone() {
    let breaker = breaker();
    trip(&breaker).await;
    let untouched = service_fn(|_: u32| async { panic!("called") as Result<u32, BoxError> });
    let service = breaker.protocol(Plain::new()).layer(untouched);
    tokio::time::advance(2 * SECOND).await;
    let error = service.oneshot(1).await.unwrap_err();
    let rejection = Rejection::find(&*error).unwrap();
    assert_eq!(rejection.reason(), Reason::CircuitOpen);
    assert_eq!(rejection.policy(), "callee");
    assert_eq!(rejection.wait(), Some(3 * SECOND));
    assert_eq!(breaker.snapshot().retry_after, Some(3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn it_recovers_by_a_probe() {
    let breaker = breaker();
    trip(&breaker).await;
    tokio::time::advance(5 * SECOND).await;
    assert_eq!(breaker.state(), CircuitState::HalfOpen);
    let service = breaker.protocol(Plain::new()).layer(service_fn(works));
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
    assert_eq!(breaker.state(), CircuitState::Closed);
}

/// Refusals further in say nothing about the callee, however long they took.
#[tokio::test(start_paused = true)]
async fn refusals_by_a_bulkhead_inside_never_count() {
    let breaker = breaker();
    let slots = Bulkhead::builder(1)
        .waiting_room(64, SECOND)
        .build()
        .unwrap();
    let full = slots.protocol(Plain::new()).layer(service_fn(hangs));
    let mut holder = full.clone();
    let held = tokio::spawn(holder.ready().await.unwrap().call(1));
    tokio::task::yield_now().await;
    assert_eq!(slots.in_flight(), 1);
    let service = breaker.protocol(Plain::new()).layer(full);
    for _ in 0..30 {
        let answer = service.clone().oneshot(1).await;
        assert_eq!(refused(&answer), Some(Reason::WaitedTooLong));
    }
    assert_eq!(breaker.state(), CircuitState::Closed);
    assert_eq!(breaker.snapshot().time_window.unwrap().calls, 0);
    held.abort();
}

#[tokio::test(start_paused = true)]
async fn a_later_policy_that_refuses_gives_the_probe_back() {
    let breaker = breaker();
    trip(&breaker).await;
    tokio::time::advance(5 * SECOND).await;
    let slots = Bulkhead::new(1).unwrap();
    let both = guard((breaker.clone(), slots.clone())).protocol(Plain::new());
    let busy = slots.protocol(Plain::new()).layer(service_fn(hangs));
    let held = tokio::spawn(busy.oneshot(1));
    tokio::task::yield_now().await;
    let service = both.layer(service_fn(works));
    let answer = service.clone().oneshot(1).await;
    assert_eq!(refused(&answer), Some(Reason::BulkheadFull));
    assert_eq!(breaker.snapshot().probes, 0);
    held.abort();
    let _ = held.await;
    assert!(service.oneshot(1).await.is_ok());
    assert_eq!(breaker.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_of_a_half_open_one_are_one_probe() {
    let breaker = breaker();
    trip(&breaker).await;
    tokio::time::advance(5 * SECOND).await;
    let service = breaker.protocol(Plain::new()).layer(service_fn(hangs));
    let calls: Vec<_> = (0..1_000)
        .map(|n| tokio::spawn(service.clone().oneshot(n)))
        .collect();
    tokio::time::sleep(SECOND / 10).await;
    assert_eq!(calls.iter().filter(|call| !call.is_finished()).count(), 1);
    assert_eq!(breaker.snapshot().probes, 1);
    for call in &calls {
        call.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn listeners_hear_what_changed_and_what_they_missed() {
    let breaker = breaker();
    let mut listener = breaker.transitions();
    let mut late = breaker.transitions();
    trip(&breaker).await;
    let Some(News::Transition(opened)) = listener.next().await else {
        panic!("it opened");
    };
    assert_eq!(
        (opened.from, opened.to),
        (CircuitState::Closed, CircuitState::Open)
    );
    assert_eq!(
        (opened.cause, opened.breaker),
        (Cause::ConsecutiveFailures, "callee")
    );
    assert_eq!(opened.open_for, Some(5 * SECOND));
    for _ in 0..50 {
        breaker.force_open();
        breaker.force_close();
    }
    // 101 changes, of which 32 are kept.
    assert_eq!(late.next().await, Some(News::Missed(69)));
    assert!(matches!(late.next().await, Some(News::Transition(_))));
    drop(breaker);
    while let Some(news) = late.next().await {
        assert!(matches!(news, News::Transition(_)));
    }
}

#[tokio::test(start_paused = true)]
async fn each_upstream_has_its_own() {
    let upstream = by_fn(|call: &(u32, bool)| Ok(call.0));
    let breakers = CircuitBreaker::builder("upstreams")
        .by(upstream)
        .build()
        .unwrap();
    let callee = service_fn(|(_, fails): (u32, bool)| async move {
        if fails {
            Err::<(), BoxError>("it failed".into())
        } else {
            Ok(())
        }
    });
    let service = breakers.protocol(Plain::new()).layer(callee);
    for _ in 0..5 {
        let _ = service.clone().oneshot((1, true)).await;
    }
    let answer = service.clone().oneshot((1, false)).await;
    assert_eq!(refused(&answer), Some(Reason::CircuitOpen));
    assert!(service.oneshot((2, false)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn code_without_a_service_is_guarded_too() {
    let breaker = breaker();
    for _ in 0..5 {
        let failed = breaker.run(async { Err::<u8, BoxError>("it failed".into()) });
        assert_eq!(refused(&failed.await), None);
    }
    let answer = breaker.run(async { Ok::<_, BoxError>(7) }).await;
    assert_eq!(refused(&answer), Some(Reason::CircuitOpen));
}

#[tokio::test(start_paused = true)]
async fn what_a_classifier_ignores_counts_as_nothing() {
    let breaker = breaker();
    let ignores = |_: Result<&u32, &BoxError>| Outcome::Cancelled;
    let service = breaker.protocol(Plain::new().classify(ignores));
    let service = service.layer(service_fn(|_: u32| async {
        tokio::time::sleep(SECOND).await;
        fails(1).await
    }));
    for _ in 0..30 {
        assert!(service.clone().oneshot(1).await.is_err());
    }
    assert_eq!(breaker.snapshot().time_window.unwrap().calls, 0);
}

/// On a busy service with long calls, successes leave the window no earlier than failures.
#[tokio::test(start_paused = true)]
async fn long_calls_weigh_the_same_whether_they_succeed_or_fail() {
    let breaker = CircuitBreaker::builder("slow")
        .failure_rate(0.2)
        .build()
        .unwrap();
    let service = breaker
        .protocol(Plain::new())
        .layer(service_fn(|number: u32| async move {
            tokio::time::sleep(25 * SECOND).await;
            if number.is_multiple_of(10) {
                fails(number).await
            } else {
                works(number).await
            }
        }));
    for number in 1..1_200 {
        tokio::spawn(service.clone().oneshot(number));
        tokio::time::sleep(SECOND / 10).await;
        assert_eq!(breaker.state(), CircuitState::Closed, "at call {number}");
    }
    let tally = breaker.snapshot().time_window.unwrap();
    assert!((0.08..0.12).contains(&tally.failure_rate()), "{tally:?}");
}
