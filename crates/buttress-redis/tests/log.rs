//! What the log says of outages. Alone in its process, since subscribers are not.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::RateLimit;
use buttress_redis::{BuildOn, Fleet};
use common::call;
use common::wire::{Is, Wire};
use parking_lot::Mutex;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

#[test]
fn it_says_once_that_the_store_is_lost_and_once_that_it_is_back() {
    let log = Log::default();
    let _on = tracing::subscriber::set_default(log.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let wire = Wire::new();
        let fleet = Fleet::on(Arc::clone(&wire)).start().unwrap();
        let limit = RateLimit::per_second(40).build_on(&fleet).unwrap();
        sleep(2 * SECOND).await;
        wire.set(Is::Cut);
        let start = Instant::now();
        while start.elapsed() < 5 * SECOND {
            call(&limit).await.ok();
            sleep(MS).await;
        }
        assert_eq!(
            log.lines(),
            ["WARN the store of rate limits is lost, and they are decided here: cut"]
        );
        wire.set(Is::Up);
        sleep(SECOND).await;
        assert_eq!(log.lines().len(), 2);
        assert_eq!(
            log.lines()[1],
            "INFO the store of rate limits answers again"
        );
        // One that comes and goes does not fill the log.
        for _ in 0..50 {
            wire.set(Is::Cut);
            call(&limit).await.ok();
            wire.set(Is::Up);
            sleep(SECOND / 2).await;
        }
        let lines = log.lines().len();
        assert!((4..=10).contains(&lines), "{lines}");
    });
}

/// Keeps what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>, Arc<AtomicU32>);

impl Log {
    fn lines(&self) -> Vec<String> {
        self.0.lock().clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("buttress_redis")
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(u64::from(self.1.fetch_add(1, Ordering::Relaxed)) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Message(String);
        impl Visit for Message {
            fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
                if field.name() == "message" {
                    self.0 = format!("{value:?}");
                }
            }
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        let line = format!("{} {}", event.metadata().level(), message.0);
        self.0.lock().push(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
