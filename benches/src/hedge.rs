//! Hedges and throttles, ours and the rivals'.

use crate::inner;
use crate::measure::Runner;
use buttress::{Hedge, Plain, Throttle};
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{Layer, Service};
use tower_resilience_hedge::HedgeLayer;

fn plain(number: u64) -> u64 {
    number
}

/// A hedge after the 95th percentile of the latencies seen, of calls that are answered at once.
pub fn hedge() -> Runner {
    let layer = Hedge::new().protocol(Plain::new());
    let mut runner = Runner::new(layer.layer(inner::Plain), plain);
    // Enough to know a percentile, and to have earned hedges.
    runner.one_thread(10_000);
    runner
}

/// A hedge after a fixed delay.
pub fn hedge_fixed() -> Runner {
    let hedge = Hedge::builder().after(Duration::from_millis(100));
    let layer = hedge.build().unwrap().protocol(Plain::new());
    let mut runner = Runner::new(layer.layer(inner::Plain), plain);
    runner.one_thread(10_000);
    runner
}

/// A throttle in front of a callee that is well.
pub fn throttle() -> Runner {
    let layer = Throttle::new().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// tower's hedge, by the same percentile. It cannot be cloned.
pub fn tower_hedge() -> Runner {
    // It looks at the period before the one that runs, so without these it would know nothing for
    // as long as this is measured, and would not do its job.
    let known: Vec<u64> = (1..=1_000).collect();
    let hedge = tower::hedge::Hedge::new_with_mock_latencies(
        inner::Plain,
        Everything,
        100,
        0.95,
        Duration::from_secs(60),
        &known,
    );
    Runner::single(hedge, plain)
}

/// tower-resilience's hedge. It knows fixed delays only.
pub fn resilience_hedge() -> Runner {
    let layer = HedgeLayer::builder()
        .delay(Duration::from_millis(100))
        .max_hedged_attempts(2)
        .build();
    Runner::new(layer.layer(CannotFail), plain)
}

#[derive(Clone, Copy, Debug)]
struct Everything;

impl tower::hedge::Policy<u64> for Everything {
    fn clone_request(&self, request: &u64) -> Option<u64> {
        Some(*request)
    }

    fn can_retry(&self, _: &u64) -> bool {
        true
    }
}

/// Answers at once, with an error type that is `Clone`, as tower-resilience needs it.
#[derive(Clone, Copy, Debug)]
struct CannotFail;

impl Service<u64> for CannotFail {
    type Response = u64;
    type Error = Infallible;
    type Future = Ready<Result<u64, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        ready(Ok(request))
    }
}
