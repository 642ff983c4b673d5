//! What a circuit breaker logs. It is alone here: other tests, whose threads listen to nothing, would
//! now and then have the whole process believe that nobody does.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{CircuitBreaker, CircuitState, Plain};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn breaker() -> CircuitBreaker {
    CircuitBreaker::builder("callee")
        .jitter(0.0)
        .build()
        .unwrap()
}

async fn fails(_: u32) -> Result<u32, BoxError> {
    Err("it failed".into())
}

async fn works(number: u32) -> Result<u32, BoxError> {
    Ok(number)
}

async fn trip(breaker: &CircuitBreaker) {
    let mut service = breaker.protocol(Plain::new()).layer(service_fn(fails));
    while breaker.state() == CircuitState::Closed {
        let _ = service.ready().await.unwrap().call(1).await;
    }
    assert_eq!(breaker.state(), CircuitState::Open);
}

/// Counts events of `tracing`.
#[derive(Clone, Default)]
struct Events(Arc<AtomicUsize>);

impl tracing::Subscriber for Events {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("buttress_core::breaker")
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        assert!(event.metadata().fields().field("message").is_some());
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn the_log_has_a_line_for_each_change_and_none_for_calls() {
    let events = Events::default();
    let _here = tracing::subscriber::set_default(events.clone());
    let breaker = breaker();
    let service = breaker.protocol(Plain::new()).layer(service_fn(works));
    for number in 0..100 {
        assert!(service.clone().oneshot(number).await.is_ok());
    }
    assert_eq!(events.0.load(Ordering::Relaxed), 0);
    trip(&breaker).await;
    for number in 0..100 {
        assert!(service.clone().oneshot(number).await.is_err());
    }
    assert_eq!(events.0.load(Ordering::Relaxed), 1);
    tokio::time::advance(5 * SECOND).await;
    assert!(service.oneshot(1).await.is_ok());
    assert_eq!(events.0.load(Ordering::Relaxed), 3);
}
