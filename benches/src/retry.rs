//! Retries with a budget, around a service that succeeds.

use crate::inner;
use crate::measure::Runner;
use buttress::{Plain, Retry};
use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::Duration;
use tower::retry::budget::{Budget, TpsBudget};
use tower::retry::{Policy, RetryLayer};
use tower::{BoxError, Layer};
use tower_resilience_retry::RetryBudgetBuilder;

fn plain(number: u64) -> u64 {
    number
}

/// Ours.
pub fn ours() -> Runner {
    let layer = Retry::new().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// tower's, with a policy as its documentation has it.
pub fn tower() -> Runner {
    let budget = Arc::new(TpsBudget::new(Duration::from_secs(10), 10, 0.2));
    let layer = RetryLayer::new(Budgeted { budget });
    Runner::new(layer.layer(inner::Plain), plain)
}

#[derive(Clone)]
struct Budgeted {
    budget: Arc<TpsBudget>,
}

impl Policy<u64, u64, BoxError> for Budgeted {
    type Future = Ready<()>;

    fn retry(&mut self, _: &mut u64, result: &mut Result<u64, BoxError>) -> Option<Ready<()>> {
        match result {
            Ok(_) => {
                self.budget.deposit();
                None
            }
            Err(_) => self.budget.withdraw().then(|| ready(())),
        }
    }

    fn clone_request(&mut self, request: &u64) -> Option<u64> {
        Some(*request)
    }
}

/// tower-resilience's.
pub fn resilience() -> Runner {
    let budget = RetryBudgetBuilder::new()
        .token_bucket()
        .tokens_per_second(10.0)
        .max_tokens(100)
        .build()
        .unwrap();
    let layer = tower_resilience_retry::RetryLayer::<u64, u64, BoxError>::builder()
        .max_attempts(3)
        .budget(budget)
        .build();
    Runner::new(layer.layer(inner::Plain), plain)
}
