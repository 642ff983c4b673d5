//! How many retries there are among many calls.

use crate::script::{Callee, get, grpc, grpc_headers};
use buttress::{Backoff, Retry, RetryBudget};
use std::time::Duration;
use tower::{Layer, ServiceExt};

async fn calls(retry: &Retry, callee: &Callee, number: usize) {
    for _ in 0..number {
        // A service of its own for each call: the budget is the retry's.
        let answer = retry.clone().layer(callee.clone()).oneshot(get()).await;
        // Never an error of its own.
        assert_eq!(answer.unwrap().status(), 503);
    }
}

fn at_once() -> buttress::RetryBuilder {
    Retry::builder().backoff(Backoff::constant(Duration::ZERO).unwrap())
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_calls_that_fail_no_more_than_a_fifth_are_made_again() {
    let callee = Callee::new().then_status(503);
    calls(&at_once().build().unwrap(), &callee, 1_000).await;
    assert_eq!(callee.times(), 1_200);
    let without = Callee::new().then_status(503);
    calls(&at_once().no_budget().build().unwrap(), &without, 1_000).await;
    assert_eq!(without.times(), 3_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_used_up_comes_back_with_time() {
    let budget = RetryBudget::share(0.0, 1).unwrap();
    let retry = at_once().budget(budget).build().unwrap();
    let callee = Callee::new().then_status(503);
    calls(&retry, &callee, 100).await;
    assert_eq!(callee.times(), 110);
    tokio::time::advance(Duration::from_secs(5)).await;
    calls(&retry, &callee, 100).await;
    assert_eq!(callee.times(), 210);
    tokio::time::advance(Duration::from_secs(5)).await;
    calls(&retry, &callee, 100).await;
    assert_eq!(callee.times(), 320);
}

/// failsafe-go#141: an exhausted budget failed the call.
#[tokio::test(start_paused = true)]
async fn an_exhausted_budget_returns_the_answer_at_once() {
    let budget = RetryBudget::share(0.0, 0).unwrap();
    let retry = Retry::builder().budget(budget).build().unwrap();
    let start = tokio::time::Instant::now();
    let callee = Callee::new().then(|| Err("broken".into()));
    let error = retry
        .layer(callee.clone())
        .oneshot(get())
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "broken");
    assert_eq!((callee.times(), start.elapsed()), (1, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn a_budget_can_be_shared_by_two_retries() {
    let budget = RetryBudget::share(0.5, 0).unwrap();
    let one = at_once().budget(budget.clone()).build().unwrap();
    let other = at_once()
        .budget(one.budget().unwrap().clone())
        .build()
        .unwrap();
    let callee = Callee::new().then_status(503);
    calls(&one, &callee, 10).await;
    assert_eq!(callee.times(), 15);
    calls(&other, &callee, 10).await;
    assert_eq!(callee.times(), 30);
}

/// gRPC's throttle: failures take tokens, successes give parts of them back.
#[tokio::test(start_paused = true)]
async fn tokens_are_taken_by_failures_that_would_be_retried_and_by_nothing_else() {
    let budget = RetryBudget::tokens(10_000, 500).unwrap();
    let retry = at_once().budget(budget).repeats_all().build().unwrap();
    let ask = async |code: &'static str, pushback: Option<&'static str>| {
        let callee = Callee::new().then(move || {
            let mut fields = vec![("grpc-status", code)];
            fields.extend(pushback.map(|pushback| ("grpc-retry-pushback-ms", pushback)));
            Ok(grpc_headers(&fields))
        });
        let _ = retry.layer(callee.clone()).oneshot(grpc()).await;
        callee.times()
    };
    let left = || {
        retry.budget().unwrap().left(&buttress::Now::lazy(|| {
            tokio::time::Instant::now().into_std()
        }))
    };
    // Not retried, and none of the throttle's business.
    assert_eq!(ask("3", None).await, 1);
    assert_eq!(left(), 4);
    // Three tokens, and one for a callee that wants no retries.
    assert_eq!(ask("14", None).await, 3);
    assert_eq!(ask("3", Some("-1")).await, 1);
    assert_eq!(ask("3", None).await, 1);
    // Six tokens are left, then five: no more than half.
    assert_eq!(ask("14", None).await, 1);
    assert_eq!(ask("0", None).await, 1);
    assert_eq!(ask("0", None).await, 1);
    assert_eq!(ask("0", None).await, 1);
    // 6.5, and 5.5 after a failure, which is enough for one retry.
    assert_eq!(ask("14", None).await, 2);
}
