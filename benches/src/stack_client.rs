//! What a client of an unreliable service puts around it: a timeout of the whole call, retries with a
//! budget, a breaker, a bulkhead and a rate limit, around a service that succeeds.
//!
//! Each has the settings that it has in the subject of its own.

use crate::inner;
use crate::measure::Runner;
use buttress::{Bulkhead, CircuitBreaker, Plain, RateLimit, Retry, Timeout, guard};
use std::time::Duration;
use tower::{BoxError, Layer};
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_circuitbreaker::CircuitBreakerLayer;
use tower_resilience_ratelimiter::RateLimiterLayer;
use tower_resilience_retry::{RetryBudgetBuilder, RetryLayer};
use tower_resilience_timelimiter::TimeLimiterLayer;

const SECOND: Duration = Duration::from_secs(1);
const LIMIT: u32 = 64;
const AMPLE: u32 = 1_000_000_000;

fn plain(number: u64) -> u64 {
    number
}

/// Ours. The three that admit share a guard, as the documentation recommends.
pub fn ours() -> Runner {
    let admission = (
        CircuitBreaker::new("bench").unwrap(),
        Bulkhead::new(LIMIT).unwrap(),
        RateLimit::per_second(AMPLE).build().unwrap(),
    );
    let guarded = guard(admission).protocol(Plain::new()).layer(inner::Plain);
    let retried = Retry::new().protocol(Plain::new()).layer(guarded);
    let timeout = Timeout::new(SECOND).unwrap().protocol(Plain::new());
    Runner::new(timeout.layer(retried), plain)
}

/// tower-resilience's.
pub fn resilience() -> Runner {
    let limit = RateLimiterLayer::builder()
        .limit_for_period(AMPLE as usize)
        .refresh_period(SECOND)
        .timeout_duration(Duration::ZERO)
        .build()
        .unwrap();
    let slots = BulkheadLayer::builder()
        .max_concurrent_calls(LIMIT as usize)
        .reject_when_full()
        .build()
        .unwrap();
    let breaker = CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .build()
        .unwrap();
    let budget = RetryBudgetBuilder::new()
        .token_bucket()
        .tokens_per_second(10.0)
        .max_tokens(100)
        .build()
        .unwrap();
    let retry = RetryLayer::<u64, u64, BoxError>::builder()
        .max_attempts(3)
        .budget(budget)
        .build();
    let timeout = TimeLimiterLayer::builder()
        .timeout_duration(SECOND)
        .cancel_running_future(true)
        .build();
    let guarded = breaker.layer(slots.layer(limit.layer(inner::Plain)));
    // Each layer has an error type of its own; the retries' is `BoxError` here.
    let guarded = tower::util::MapErr::new(guarded, |error| BoxError::from(format!("{error:?}")));
    Runner::new(timeout.layer(retry.layer(guarded)), plain)
}
