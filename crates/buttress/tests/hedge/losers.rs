//! What is left of those that lose.

use buttress::{Hedge, Plain};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::task::coop::poll_proceed;
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

/// Its first call runs until its task has to let others run, and then fails when it is polled
/// again; and until the others ran no clone says whether it is ready.
#[derive(Clone, Default)]
struct Busy {
    called: Arc<AtomicUsize>,
}

impl Service<u32> for Busy {
    type Response = usize;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<usize, BoxError>>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        ready!(poll_proceed(context)).made_progress();
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        let called = self.called.fetch_add(1, Ordering::SeqCst);
        let mut polled = 0;
        Box::pin(std::future::poll_fn(move |context| {
            polled += 1;
            if called > 0 {
                return Poll::Ready(Ok(called));
            }
            while let Poll::Ready(restore) = poll_proceed(context) {
                restore.made_progress();
            }
            if polled == 1 {
                return Poll::Pending;
            }
            Poll::Ready(Err("down".into()))
        }))
    }
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_only_has_to_let_others_run_is_waited_for() {
    let hedge = Hedge::builder().repeats_all().extra_load(4.0).attempts(2);
    let hedge = hedge.after(Duration::ZERO).build().unwrap();
    let service = hedge.protocol(Plain::new()).layer(Busy::default());
    assert_eq!(service.oneshot(1).await.unwrap(), 1);
}
