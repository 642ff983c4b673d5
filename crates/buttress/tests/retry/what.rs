//! What is retried, and what is not.

use crate::script::{Callee, Readiness, get, grpc, grpc_headers, grpc_trailers, status};
use buttress::repeat::AnswerKind;
use buttress::retry::is_worth_repeating;
use buttress::{Backoff, Bulkhead, Plain, Reason, Rejection, Retry, Timeout};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

fn retry() -> Retry {
    Retry::builder().build().unwrap()
}

/// How often a callee with one answer is asked.
async fn times(callee: Callee, request: Request<Empty<Bytes>>) -> usize {
    let _ = retry().layer(callee.clone()).oneshot(request).await;
    callee.times()
}

#[tokio::test(start_paused = true)]
async fn statuses_that_may_pass_are_retried_and_others_are_not() {
    for (code, expected) in [
        (200, 1),
        (301, 1),
        (400, 1),
        (404, 1),
        (408, 1),
        (429, 3),
        (500, 1),
        (501, 1),
        (502, 3),
        (503, 3),
        (504, 3),
    ] {
        let callee = Callee::new().then_status(code);
        assert_eq!(times(callee, get()).await, expected, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_break_are_tried_again() {
    let callee = Callee::new().then(|| Err("broken".into())).then_status(200);
    let answer = retry().layer(callee.clone()).oneshot(get()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(callee.times(), 2);
    let dead = Callee::new().then(|| Err("no route to host".into()));
    let error = retry()
        .layer(dead.clone())
        .oneshot(get())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "no route to host");
    assert_eq!(dead.times(), 3);
}

#[tokio::test(start_paused = true)]
async fn grpc_is_retried_where_its_status_is() {
    let safe = || Retry::builder().repeats_all().build().unwrap();
    for (code, pushback, expected) in [
        ("0", None, 1),
        ("1", None, 1),
        ("2", None, 1),
        ("4", None, 1),
        ("8", None, 1),
        ("8", Some("10"), 3),
        ("13", None, 1),
        ("14", None, 3),
        ("14", Some("10"), 3),
        ("14", Some("-1"), 1),
        ("14", Some("soon"), 1),
        ("no code", None, 1),
    ] {
        let answers = [grpc_headers, grpc_trailers];
        for answer in answers {
            let callee = Callee::new().then(move || {
                let mut fields = vec![("grpc-status", code)];
                fields.extend(pushback.map(|pushback| ("grpc-retry-pushback-ms", pushback)));
                Ok(answer(&fields))
            });
            let _ = safe().layer(callee.clone()).oneshot(grpc()).await.unwrap();
            assert_eq!(callee.times(), expected, "{code} with {pushback:?}");
        }
    }
}

/// A POST is not, by default: dotnet/extensions#5248.
#[tokio::test(start_paused = true)]
async fn only_what_is_safe_is_repeated() {
    let post = || Request::post("http://example.com/").body(Empty::new());
    let failing = || Callee::new().then_status(503);
    assert_eq!(times(failing(), post().unwrap()).await, 1);
    assert_eq!(times(failing(), grpc()).await, 1);
    let mut keyed = post().unwrap();
    let key = "\"8e03978e\"".parse().unwrap();
    keyed.headers_mut().insert("idempotency-key", key);
    assert_eq!(times(failing(), keyed).await, 3);

    let callee = failing();
    let all = Retry::builder().repeats_all().build().unwrap();
    let _ = all.layer(callee.clone()).oneshot(post().unwrap()).await;
    assert_eq!(callee.times(), 3);

    let some = Retry::builder()
        .repeats_if(|request: &Request<Empty<Bytes>>| request.uri().path() == "/search");
    let callee = failing();
    let service = some.build().unwrap().layer(callee.clone());
    let _ = service.clone().oneshot(get()).await;
    assert_eq!(callee.times(), 1);
    let search = Request::post("http://example.com/search").body(Empty::new());
    let _ = service.oneshot(search.unwrap()).await;
    assert_eq!(callee.times(), 4);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_our_own_layers_are_never_retried() {
    for reason in [
        Reason::BulkheadFull,
        Reason::CircuitOpen,
        Reason::RateLimited,
        Reason::Overloaded,
    ] {
        let refusal = move || Rejection::new(reason, "inner").retry_after(Duration::from_millis(5));
        let as_error = Callee::new().then(move || Err(refusal().into()));
        assert_eq!(times(as_error, get()).await, 1, "{reason:?}");
        let as_answer = Callee::new().then(move || {
            let mut answer = status(503, &[]);
            answer.extensions_mut().insert(refusal());
            Ok(answer)
        });
        assert_eq!(times(as_answer, get()).await, 1, "{reason:?}");
        let always = Retry::builder().retry_on(|_| true).build().unwrap();
        let as_error = Callee::new().then(move || Err(refusal().into()));
        let _ = always.layer(as_error.clone()).oneshot(get()).await;
        assert_eq!(as_error.times(), 1, "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_given_up_is_made_again() {
    let calls = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&calls);
    let hangs_once = service_fn(move |number: u32| {
        let first = seen.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if first {
                std::future::pending::<()>().await;
            }
            Ok::<_, BoxError>(number)
        }
    });
    let timeout = Timeout::per_attempt(Duration::from_millis(100)).unwrap();
    let service = timeout.protocol(Plain::new()).layer(hangs_once);
    let service = retry().protocol(Plain::new()).layer(service);
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
    assert_eq!(calls.load(Ordering::SeqCst), 2);
    // And not when it was the caller's deadline that passed.
    let late = Callee::new().then(|| Err(Rejection::new(Reason::DeadlinePassed, "inner").into()));
    assert_eq!(times(late, get()).await, 1);
}

#[tokio::test(start_paused = true)]
async fn the_rules_can_be_changed() {
    let also = AnswerKind::HttpStatus(StatusCode::INTERNAL_SERVER_ERROR);
    let retry =
        Retry::builder().retry_on(move |look| is_worth_repeating(look) || look.answer == also);
    let service = retry.build().unwrap();
    for (code, expected) in [(500, 3), (503, 3), (404, 1), (200, 1)] {
        let callee = Callee::new().then_status(code);
        let _ = service.layer(callee.clone()).oneshot(get()).await;
        assert_eq!(callee.times(), expected, "{code}");
    }
    for attempts in [1, 2, 10] {
        let callee = Callee::new().then_status(503);
        let retry = Retry::builder().attempts(attempts).build().unwrap();
        let _ = retry.layer(callee.clone()).oneshot(get()).await;
        assert_eq!(callee.times(), attempts as usize);
    }
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_is_not_ready_is_not_waited_for() {
    for readiness in [Readiness::Pending, Readiness::Fails] {
        let callee = Callee::new()
            .then_status(503)
            .readiness_for_retries(readiness);
        let answer = retry().layer(callee.clone()).oneshot(get()).await.unwrap();
        assert_eq!(answer.status(), 503, "{readiness:?}");
        assert_eq!(callee.times(), 1);
        // Nothing was retried, so whoever is further up may.
        assert!(answer.headers().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_answer_that_is_retried_is_gone_before_the_next_attempt() {
    // One slot, held by the answer's body; without it the retry would be refused.
    let callee = Callee::new()
        .then(|| Ok(status(503, &[]).map(|_| crate::bodies::text("try again"))))
        .then_status(200);
    let slots = Bulkhead::new(1).unwrap();
    let service = retry().layer(slots.layer(callee.clone()));
    let answer = service.oneshot(get()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(callee.times(), 2);
}

/// tower's limit gives its place back when the attempt's future is gone.
#[tokio::test(start_paused = true)]
async fn an_attempt_is_gone_before_the_next_one() {
    let callee = Callee::new()
        .then_status(503)
        .then_status(503)
        .then_status(200);
    let limit = tower::limit::GlobalConcurrencyLimitLayer::new(1);
    let service = retry().layer(limit.layer(callee.clone()));
    let answer = service.oneshot(get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), callee.times()), (200, 3));
}

/// tower-resilience #286 and #293: the clone that was called had never said that it is ready.
#[tokio::test(start_paused = true)]
async fn each_attempt_is_made_on_an_instance_that_is_ready() {
    let callee = Callee::new().then_status(503);
    let retry = Retry::builder().attempts(10).build().unwrap();
    let service = retry.layer(callee.clone());
    let _ = service.oneshot(get()).await.unwrap();
    assert_eq!((callee.times(), callee.unready_calls()), (10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_makes_no_more_attempts() {
    let callee = Callee::new().then_status(503);
    let retry = Retry::builder().backoff(Backoff::constant(Duration::from_secs(1)).unwrap());
    let call = retry.build().unwrap().layer(callee.clone()).oneshot(get());
    let _ = tokio::time::timeout(Duration::from_millis(1), call).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(callee.times(), 1);
}

/// Readiness is pending without a reason when a task has done much without a pause.
#[tokio::test(start_paused = true)]
async fn a_long_turn_of_the_task_loses_no_retry() {
    let callee = Callee::new().then_status(503).then_status(200);
    let callee = callee.readiness_for_retries(Readiness::AsTokioHasIt);
    let retry = Retry::builder().backoff(Backoff::constant(Duration::ZERO).unwrap());
    let service = retry.build().unwrap().layer(callee.clone());
    let answer = service.oneshot(get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), callee.times()), (200, 2));
    assert_eq!(callee.pauses(), 1);
}
