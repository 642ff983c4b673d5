//! The rivals, each doing the same job.
//!
//! They get the settings under which they do it fastest: no names, no listeners, and no waiting
//! unless waiting is the job.

use crate::inner;
use crate::measure::Runner;
use crate::ours::{scattered, scattered_request};
use axum::body::Body;
use governor::Quota;
use governor::middleware::NoOpMiddleware;
use http::StatusCode;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tower::limit::{GlobalConcurrencyLimitLayer, RateLimitLayer};
use tower::load_shed::LoadShedLayer;
use tower::timeout::TimeoutLayer;
use tower::{BoxError, Layer, Service, ServiceBuilder};
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::{GlobalKeyExtractor, PeerIpKeyExtractor};
use tower_resilience_bulkhead::BulkheadLayer;
use tower_resilience_ratelimiter::RateLimiterLayer;
use tower_resilience_timelimiter::TimeLimiterLayer;

const LIMIT: usize = 64;
const SECOND: Duration = Duration::from_secs(1);
const AMPLE: u32 = 1_000_000_000;

fn plain(number: u64) -> u64 {
    number
}

/// tower's bulkhead.
pub fn tower_bulkhead() -> Runner {
    Runner::new(
        GlobalConcurrencyLimitLayer::new(LIMIT).layer(inner::Plain),
        plain,
    )
}

/// tower-resilience's bulkhead.
pub fn resilience_bulkhead() -> Runner {
    let layer = BulkheadLayer::builder().max_concurrent_calls(LIMIT);
    let layer = layer.reject_when_full().build().unwrap();
    Runner::new(layer.layer(inner::Plain), plain)
}

/// tower's rate limit, which is not `Clone`: one thread only.
pub fn tower_rate_limit() -> Runner {
    let layer = RateLimitLayer::new(AMPLE.into(), SECOND);
    Runner::single(layer.layer(inner::Plain), plain)
}

/// tower-resilience's rate limit.
pub fn resilience_rate_limit() -> Runner {
    let layer = RateLimiterLayer::builder()
        .limit_for_period(AMPLE as usize)
        .refresh_period(SECOND)
        .timeout_duration(Duration::ZERO)
        .build()
        .unwrap();
    Runner::new(layer.layer(inner::Plain), plain)
}

/// `tower_governor` with one limit for all.
pub fn governor_rate_limit() -> Runner {
    let config = GovernorConfigBuilder::default()
        .per_nanosecond(1)
        .burst_size(AMPLE)
        .key_extractor(GlobalKeyExtractor)
        .finish()
        .unwrap();
    let layer: GovernorLayer<_, _, Body> = GovernorLayer::new(config);
    Runner::new(layer.layer(inner::Http), inner::request)
}

/// `tower_governor` with a limit for each peer, 100 000 of them.
pub fn governor_rate_limit_keyed() -> Runner {
    let config = GovernorConfigBuilder::default()
        .per_nanosecond(1)
        .burst_size(AMPLE)
        .key_extractor(PeerIpKeyExtractor)
        .finish()
        .unwrap();
    let layer: GovernorLayer<_, _, Body> = GovernorLayer::new(config);
    Runner::new(layer.layer(inner::Http), scattered_request)
}

/// governor's own limiter with a limit for each number, 100 000 of them, behind the thinnest
/// service.
pub fn governor_keyed_plain() -> Runner {
    #[derive(Clone)]
    struct Limited(Arc<governor::DefaultKeyedRateLimiter<u64>>);
    impl Service<u64> for Limited {
        type Response = u64;
        type Error = BoxError;
        type Future = std::future::Ready<Result<u64, BoxError>>;
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
            Poll::Ready(Ok(()))
        }
        fn call(&mut self, request: u64) -> Self::Future {
            std::future::ready(match self.0.check_key(&request) {
                Ok(()) => Ok(request),
                Err(_) => Err("refused".into()),
            })
        }
    }
    let quota = Quota::per_second(NonZeroU32::new(AMPLE).unwrap());
    Runner::new(
        Limited(Arc::new(governor::RateLimiter::keyed(quota))),
        scattered,
    )
}

/// tower's timeout, around what is ready.
pub fn tower_timeout_ready() -> Runner {
    Runner::new(TimeoutLayer::new(SECOND).layer(inner::Plain), plain)
}

/// tower-http's timeout, around what is ready.
pub fn tower_http_timeout_ready() -> Runner {
    let status = StatusCode::GATEWAY_TIMEOUT;
    let layer = tower_http::timeout::TimeoutLayer::with_status_code(status, SECOND);
    Runner::new(layer.layer(inner::Http), inner::request)
}

/// tower-resilience's timeout, around what is ready.
pub fn resilience_timeout_ready() -> Runner {
    Runner::new(time_limiter(SECOND).layer(inner::Plain), plain)
}

/// tower's timeout, around what is pending once.
pub fn tower_timeout_pending() -> Runner {
    Runner::new(TimeoutLayer::new(SECOND).layer(inner::PlainPending), plain)
}

/// tower-resilience's timeout, around what is pending once.
pub fn resilience_timeout_pending() -> Runner {
    Runner::new(time_limiter(SECOND).layer(inner::PlainPending), plain)
}

/// Three of tower's timeouts, around what is pending once.
pub fn tower_deadlines_pending() -> Runner {
    let layers = (
        TimeoutLayer::new(3 * SECOND),
        TimeoutLayer::new(2 * SECOND),
        TimeoutLayer::new(SECOND),
    );
    Runner::new(layers.layer(inner::PlainPending), plain)
}

/// Three of tower-resilience's timeouts, around what is pending once.
pub fn resilience_deadlines_pending() -> Runner {
    let inner = time_limiter(SECOND).layer(inner::PlainPending);
    let service = time_limiter(3 * SECOND).layer(time_limiter(2 * SECOND).layer(inner));
    Runner::new(service, plain)
}

/// tower-resilience's timeout, bulkhead and rate limit.
pub fn resilience_stack_server() -> Runner {
    let limit = RateLimiterLayer::builder()
        .limit_for_period(AMPLE as usize)
        .refresh_period(SECOND)
        .timeout_duration(Duration::ZERO)
        .build()
        .unwrap();
    let slots = BulkheadLayer::builder().max_concurrent_calls(LIMIT);
    let slots = slots.reject_when_full().build().unwrap();
    let service = time_limiter(SECOND).layer(slots.layer(limit.layer(inner::Plain)));
    Runner::new(service, plain)
}

/// tower's timeout and bulkhead; its rate limit cannot be cloned, so it is left out.
pub fn tower_stack_server() -> Runner {
    let layers = (
        TimeoutLayer::new(SECOND),
        GlobalConcurrencyLimitLayer::new(LIMIT),
    );
    Runner::new(layers.layer(inner::Plain), plain)
}

/// tower-resilience's rate limit, used up.
pub fn resilience_refusal() -> Runner {
    let layer = RateLimiterLayer::builder()
        .limit_for_period(1)
        .refresh_period(Duration::from_secs(3_600))
        .timeout_duration(Duration::ZERO)
        .build()
        .unwrap();
    let mut runner = Runner::new(layer.layer(inner::Plain), plain);
    runner.one_thread(1);
    runner
}

/// tower's bulkhead, full, with load shedding.
pub fn tower_refusal() -> Runner {
    let mut full = ServiceBuilder::new()
        .layer(GlobalConcurrencyLimitLayer::new(1))
        .service(inner::Plain);
    let mut context = Context::from_waker(std::task::Waker::noop());
    assert!(Service::<u64>::poll_ready(&mut full.clone(), &mut context).is_ready());
    // The clone that is ready holds the slot for as long as the process runs.
    let mut holder = full.clone();
    assert!(Service::<u64>::poll_ready(&mut holder, &mut context).is_ready());
    std::mem::forget(holder);
    assert!(Service::<u64>::poll_ready(&mut full, &mut context).is_pending());
    Runner::new(LoadShedLayer::new().layer(full), plain)
}

/// `tower_governor`, used up, answering with its default response.
pub fn governor_refusal() -> Runner {
    let config = GovernorConfigBuilder::default()
        .period(Duration::from_secs(3_600))
        .burst_size(1)
        .key_extractor(GlobalKeyExtractor)
        .finish()
        .unwrap();
    let layer: GovernorLayer<GlobalKeyExtractor, NoOpMiddleware<_>, Body> =
        GovernorLayer::new(config);
    let mut runner = Runner::new(layer.layer(inner::Http), inner::request);
    runner.one_thread(1);
    runner
}

fn time_limiter(longest: Duration) -> TimeLimiterLayer {
    TimeLimiterLayer::builder()
        .timeout_duration(longest)
        .cancel_running_future(true)
        .build()
}
