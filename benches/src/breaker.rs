//! Circuit breakers, ours and the rivals'.
//!
//! Each has a window of 100 calls and opens at half of them, unless the subject says otherwise.

use crate::inner;
use crate::measure::Runner;
use buttress::{CancelledCounts, CircuitBreaker, CircuitBreakerBuilder, CircuitState, Plain};
use failsafe::futures::CircuitBreaker as _;
use recloser::{AsyncRecloser, Recloser};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Layer, Service};
use tower_resilience_circuitbreaker::{CircuitBreakerLayer, SlidingWindowType};

const WINDOW: usize = 100;
const HOUR: Duration = Duration::from_secs(3_600);
const IN_THE_WINDOW: u64 = 100_000;

fn plain(number: u64) -> u64 {
    number
}

/// The last calls and nothing else, without a clock.
fn by_count() -> CircuitBreakerBuilder {
    CircuitBreaker::builder("bench")
        .no_consecutive_failures()
        .no_time_window()
        .count_window(WINDOW as u32)
        .cancelled(CancelledCounts::AsNothing)
}

fn around_plain(builder: CircuitBreakerBuilder) -> Runner {
    let layer = builder.build().unwrap().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// With all defaults.
pub fn defaults() -> Runner {
    around_plain(CircuitBreaker::builder("bench"))
}

/// A window of the last calls.
pub fn count() -> Runner {
    around_plain(by_count())
}

/// The same, which also looks for slow calls.
pub fn latency() -> Runner {
    around_plain(by_count().slow_calls(Duration::from_secs(1), 0.5))
}

/// A window of an hour with 100 000 calls in it.
pub fn time_100k() -> Runner {
    time_window(IN_THE_WINDOW)
}

/// A window of an hour with so many calls in it, one of which failed, so that it is looked at.
pub fn time_window(calls: u64) -> Runner {
    let builder = CircuitBreaker::builder("bench").no_consecutive_failures();
    let breaker = builder.time_window(HOUR).build().unwrap();
    let mut failing = breaker.protocol(Plain::new()).layer(inner::PlainFailing);
    crate::measure::call(&mut failing, 1);
    let layer = breaker.protocol(Plain::new());
    let mut runner = Runner::new(layer.layer(inner::Plain), plain);
    runner.one_thread(calls);
    runner
}

/// An open one, which says when to come back.
pub fn open() -> Runner {
    let builder = CircuitBreaker::builder("bench").consecutive_failures(1);
    let breaker = builder.open_time(HOUR, HOUR).build().unwrap();
    let mut failing = breaker.protocol(Plain::new()).layer(inner::PlainFailing);
    crate::measure::call(&mut failing, 1);
    assert_eq!(breaker.state(), CircuitState::Open);
    let layer = breaker.protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

fn resilience() -> tower_resilience_circuitbreaker::CircuitBreakerConfigBuilder<
    tower_resilience_circuitbreaker::DefaultClassifier,
> {
    CircuitBreakerLayer::builder()
        .failure_rate_threshold(0.5)
        .sliding_window_size(WINDOW)
}

/// tower-resilience's, with a window of the last calls.
pub fn resilience_count() -> Runner {
    let layer = resilience().build().unwrap();
    Runner::new(layer.layer(inner::Plain), plain)
}

/// tower-resilience's, which also looks for slow calls.
pub fn resilience_latency() -> Runner {
    let layer = resilience().slow_call_duration_threshold(Duration::from_secs(1));
    let layer = layer.slow_call_rate_threshold(0.5).build().unwrap();
    Runner::new(layer.layer(inner::Plain), plain)
}

/// tower-resilience's, with a window of an hour and 100 000 calls in it.
pub fn resilience_time_100k() -> Runner {
    let layer = resilience().sliding_window_type(SlidingWindowType::TimeBased);
    let layer = layer.sliding_window_duration(HOUR).build().unwrap();
    let mut runner = Runner::new(layer.layer(inner::Plain), plain);
    runner.one_thread(IN_THE_WINDOW);
    runner
}

/// tower-resilience's, open.
pub fn resilience_open() -> Runner {
    let layer = resilience().minimum_number_of_calls(1);
    let (layer, handle) = layer
        .wait_duration_in_open(HOUR)
        .build_with_handle()
        .unwrap();
    futures_util::FutureExt::now_or_never(handle.force_open()).unwrap();
    Runner::new(layer.layer(inner::Plain), plain)
}

/// recloser behind the thinnest service.
#[derive(Clone)]
struct Reclosed(AsyncRecloser);

impl Service<u64> for Reclosed {
    type Response = u64;
    type Error = recloser::Error<BoxError>;
    type Future =
        recloser::RecloserFuture<<inner::Plain as Service<u64>>::Future, recloser::AnyError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        self.0.call(inner::Plain.call(request))
    }
}

/// recloser's, with a window of the last calls.
pub fn recloser_count() -> Runner {
    let recloser = Recloser::custom().error_rate(0.5).closed_len(WINDOW);
    Runner::new(Reclosed(recloser.build().into()), plain)
}

/// recloser's, open.
pub fn recloser_open() -> Runner {
    let recloser = Recloser::custom().closed_len(1).open_wait(HOUR).build();
    for _ in 0..2 {
        assert!(recloser.call(|| Err::<(), ()>(())).is_err());
    }
    Runner::new(Reclosed(recloser.into()), plain)
}

type FailsafeMachine = failsafe::StateMachine<
    failsafe::failure_policy::ConsecutiveFailures<failsafe::backoff::Constant>,
    (),
>;

/// failsafe behind the thinnest service. It has no window of the last calls: it counts failures in
/// a row, which is the least work.
#[derive(Clone)]
struct Failsafed(FailsafeMachine);

impl Service<u64> for Failsafed {
    type Response = u64;
    type Error = failsafe::Error<BoxError>;
    type Future = failsafe::futures::ResponseFuture<
        <inner::Plain as Service<u64>>::Future,
        failsafe::failure_policy::ConsecutiveFailures<failsafe::backoff::Constant>,
        (),
        failsafe::Any,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u64) -> Self::Future {
        self.0.call(inner::Plain.call(request))
    }
}

fn failsafe(failures: u32) -> FailsafeMachine {
    let backoff = failsafe::backoff::constant(HOUR);
    let policy = failsafe::failure_policy::consecutive_failures(failures, backoff);
    failsafe::Config::new().failure_policy(policy).build()
}

/// failsafe's, with failures in a row.
pub fn failsafe_count() -> Runner {
    Runner::new(Failsafed(failsafe(5)), plain)
}

/// failsafe's, open.
pub fn failsafe_open() -> Runner {
    let machine = failsafe(1);
    let failed = failsafe::CircuitBreaker::call(&machine, || Err::<(), ()>(()));
    assert!(failed.is_err());
    Runner::new(Failsafed(machine), plain)
}
