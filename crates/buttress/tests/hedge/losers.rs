//! What is left of those that lose.

use buttress::{Hedge, Plain};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// Counts those that are alive.
#[derive(Debug)]
struct Failure(#[expect(dead_code, reason = "it is there to be dropped")] Arc<()>);

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Failure {}

#[tokio::test(start_paused = true)]
async fn the_answer_of_an_attempt_that_failed_is_dropped_before_the_winner_returns() {
    let (alive, called) = (Arc::new(()), Arc::new(AtomicUsize::new(0)));
    let held = Arc::new(Arc::clone(&alive));
    let callee = service_fn(move |_: u32| {
        let first = called.fetch_add(1, Ordering::SeqCst) == 0;
        let failure = Failure(Arc::clone(&*held));
        async move {
            sleep(Duration::from_millis(20)).await;
            if first {
                return Err(BoxError::from(failure));
            }
            Ok("hedge")
        }
    });
    let hedge = Hedge::builder().repeats_all().extra_load(4.0);
    let hedge = hedge.after(Duration::from_millis(10)).build().unwrap();
    let mut service = hedge.protocol(Plain::new()).layer(callee);
    let mut call = pin!(service.ready().await.unwrap().call(1));
    assert_eq!(call.as_mut().await.unwrap(), "hedge");
    // The callee has one, and this; the call itself is still there.
    assert_eq!(Arc::strong_count(&alive), 2);
}
