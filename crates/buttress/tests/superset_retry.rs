//! Rule 17: what works with tower's retry works with ours.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Backoff, Plain, Retry, RetryBudget};
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tower::retry::budget::{Budget, TpsBudget};
use tower::retry::{Policy, RetryLayer};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// A policy as tower's documentation has it.
#[derive(Clone)]
struct Attempts {
    left: usize,
    budget: Arc<TpsBudget>,
}

impl Policy<u32, u32, BoxError> for Attempts {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u32, result: &mut Result<u32, BoxError>) -> Option<Ready<()>> {
        if result.is_ok() {
            self.budget.deposit();
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        self.budget.withdraw().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

/// What a call comes to that fails so often first, and how often the service is called.
async fn call<L, S>(layer: L, failures: u32) -> (Result<u32, String>, u32)
where
    L: Layer<tower::util::BoxCloneService<u32, u32, BoxError>, Service = S>,
    S: Service<u32, Response = u32, Error = BoxError>,
{
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let service = service_fn(move |number: u32| {
        let call = seen.fetch_add(1, Ordering::SeqCst);
        ready(if call < failures {
            Err(BoxError::from(format!("failure {call}")))
        } else {
            Ok(number)
        })
    });
    let service = layer.layer(tower::util::BoxCloneService::new(service));
    let answer = service.oneshot(7).await.map_err(|error| error.to_string());
    (answer, calls.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn a_retry_does_what_towers_does() {
    for (failures, retries) in (0..6).flat_map(|f| (0..4).map(move |retries| (f, retries))) {
        let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2));
        let theirs = RetryLayer::new(Attempts {
            left: retries as usize,
            budget,
        });
        let ours = Retry::builder()
            .attempts(retries + 1)
            .backoff(Backoff::constant(Duration::ZERO).unwrap());
        let ours = ours.build().unwrap().protocol(Plain::new());
        assert_eq!(
            call(theirs, failures).await,
            call(ours, failures).await,
            "{failures} failures, {retries} retries"
        );
    }
}

/// Both have a reserve that may be used up at once.
#[tokio::test(start_paused = true)]
async fn a_budget_does_what_towers_does() {
    let theirs = TpsBudget::new(Duration::from_secs(10), 2, 0.0);
    let theirs = (0..100).filter(|_| theirs.withdraw()).count();
    let ours = RetryBudget::share(0.0, 2).unwrap();
    let now = buttress::Now::lazy(|| tokio::time::Instant::now().into_std());
    let ours = (0..100).filter(|_| ours.withdraw(&now)).count();
    assert_eq!((theirs, ours), (20, 20));
}
