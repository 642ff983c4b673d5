//! Identical calls under way share one, and nobody waits for somebody who is gone.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod held;
mod http;
mod plain;

use buttress::{Coalesce, SettingError};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tower::{Service, ServiceExt};

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

/// Counts the calls that reach the callee.
#[derive(Clone, Default)]
struct Calls(Arc<AtomicUsize>);

impl Calls {
    fn one_more(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn made(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Calls a clone of `service` in a task of its own.
fn spawn<S, Req>(
    service: &S,
    request: Req,
) -> tokio::task::JoinHandle<Result<S::Response, S::Error>>
where
    S: Service<Req, Future: Send, Response: Send, Error: Send> + Clone + Send + 'static,
    Req: Send + 'static,
{
    tokio::spawn(service.clone().oneshot(request))
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |result: Result<_, SettingError>| result.map(drop).unwrap_err().field();
    let builder = Coalesce::builder;
    assert_eq!(field(builder().max_keys(0).build()), "max_keys");
    assert_eq!(field(builder().max_keys(u32::MAX).build()), "max_keys");
    assert_eq!(field(builder().max_body(0).build()), "max_body");
    assert_eq!(field(builder().max_body(u64::MAX).build()), "max_body");
    assert_eq!(field(builder().max_memory(5).build()), "max_memory");
    assert_eq!(
        field(builder().body_wait(Duration::ZERO).build()),
        "body_wait"
    );
    let error = builder().max_body(9).max_memory(5).build().map(drop);
    assert_eq!(
        error.unwrap_err().to_string(),
        "`max_memory` is 5, but must be from 9 to 1099511627776"
    );
}
