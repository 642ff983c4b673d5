//! Hedging of services that are neither HTTP nor gRPC.

use buttress::hedge::HedgeBuilder;
use buttress::retry::Everything;
use buttress::{Hedge, Now, Plain, RetryBudget};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, advance, sleep};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What an attempt does: it takes so long, and succeeds or fails.
type Act = (u64, Result<&'static str, &'static str>);

/// A service whose attempts do one act after the other, and that counts what it sees.
#[derive(Default)]
struct Callee {
    acts: Arc<Vec<Act>>,
    called: Arc<AtomicUsize>,
    alive: Arc<AtomicUsize>,
    /// Instances from the second on are never ready.
    only_first_is_ready: bool,
    /// Whether this very instance said that it is ready.
    ready: bool,
}

impl Clone for Callee {
    fn clone(&self) -> Self {
        Self {
            acts: Arc::clone(&self.acts),
            called: Arc::clone(&self.called),
            alive: Arc::clone(&self.alive),
            only_first_is_ready: self.only_first_is_ready,
            ready: false,
        }
    }
}

impl Callee {
    fn acting(acts: &[Act]) -> Self {
        Self {
            acts: Arc::new(acts.to_vec()),
            ..Self::default()
        }
    }

    fn called(&self) -> usize {
        self.called.load(Ordering::SeqCst)
    }

    fn alive(&self) -> usize {
        self.alive.load(Ordering::SeqCst)
    }
}

struct Alive(Arc<AtomicUsize>);

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Service<u32> for Callee {
    type Response = &'static str;
    type Error = BoxError;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<&'static str, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.only_first_is_ready && self.called() > 0 {
            return Poll::Pending;
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: u32) -> Self::Future {
        assert!(std::mem::take(&mut self.ready), "called while not ready");
        let index = self.called.fetch_add(1, Ordering::SeqCst);
        let (takes, ends) = self.acts[index % self.acts.len()];
        self.alive.fetch_add(1, Ordering::SeqCst);
        let alive = Alive(Arc::clone(&self.alive));
        Box::pin(async move {
            let _alive = alive;
            sleep(millis(takes)).await;
            ends.map_err(Into::into)
        })
    }
}

/// Hedges everything, as far as nothing else is said.
fn freely() -> HedgeBuilder<Everything> {
    Hedge::builder().repeats_all().extra_load(4.0)
}

fn after(milliseconds: u64) -> Hedge<Everything> {
    freely().after(millis(milliseconds)).build().unwrap()
}

async fn call(hedge: &Hedge<Everything>, callee: &Callee) -> (Result<&'static str, String>, u64) {
    let begin = Instant::now();
    let service = hedge.protocol(Plain::new()).layer(callee.clone());
    let answer = service.oneshot(1).await;
    assert_eq!(callee.alive(), 0, "whoever lost was dropped before");
    let took = begin.elapsed().as_millis() as u64;
    (answer.map_err(|error| error.to_string()), took)
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_answered_in_time_is_not_hedged() {
    let (hedge, callee) = (after(50), Callee::acting(&[(49, Ok("first"))]));
    assert_eq!(call(&hedge, &callee).await, (Ok("first"), 49));
    assert_eq!(callee.called(), 1);
    assert_eq!(hedge.snapshot().sent, 0);
}

#[tokio::test(start_paused = true)]
async fn the_first_success_wins_and_the_other_is_dropped_before() {
    let hedge = after(50);
    let callee = Callee::acting(&[(1_000, Ok("first")), (10, Ok("hedge"))]);
    assert_eq!(call(&hedge, &callee).await, (Ok("hedge"), 60));
    let callee = Callee::acting(&[(55, Ok("first")), (10, Ok("hedge"))]);
    assert_eq!(call(&hedge, &callee).await, (Ok("first"), 55));
    let snapshot = hedge.snapshot();
    assert_eq!((snapshot.sent, snapshot.won), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn the_first_attempt_wins_if_both_are_ready() {
    let callee = Callee::acting(&[(60, Ok("first")), (10, Ok("hedge"))]);
    assert_eq!(call(&after(50), &callee).await, (Ok("first"), 60));
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_fails_hurts_nobody() {
    let callee = Callee::acting(&[(100, Ok("first")), (10, Err("hedge"))]);
    assert_eq!(call(&after(50), &callee).await, (Ok("first"), 100));
}

#[tokio::test(start_paused = true)]
async fn a_first_attempt_that_fails_waits_for_a_hedge_that_is_out() {
    let callee = Callee::acting(&[(60, Err("first")), (100, Ok("hedge"))]);
    assert_eq!(call(&after(50), &callee).await, (Ok("hedge"), 150));
}

#[tokio::test(start_paused = true)]
async fn a_first_attempt_that_fails_early_is_not_retried() {
    let callee = Callee::acting(&[(10, Err("first")), (10, Ok("hedge"))]);
    let answer = call(&after(50), &callee).await;
    assert_eq!(answer, (Err("first".to_owned()), 10));
    assert_eq!(callee.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn if_all_fail_the_first_one_s_answer_is_returned() {
    let first = || Err("first".to_owned());
    let callee = Callee::acting(&[(60, Err("first")), (100, Err("hedge"))]);
    assert_eq!(call(&after(50), &callee).await, (first(), 150));
    let callee = Callee::acting(&[(100, Err("first")), (20, Err("hedge"))]);
    assert_eq!(call(&after(50), &callee).await, (first(), 100));
    // Nor is a third sent for failures' sake.
    let three = freely().after(millis(50)).attempts(3).build().unwrap();
    let callee = Callee::acting(&[(60, Err("first")), (20, Err("second"))]);
    assert_eq!(call(&three, &callee).await, (first(), 70));
    assert_eq!(callee.called(), 2);
}

#[tokio::test(start_paused = true)]
async fn each_copy_follows_after_the_same_delay() {
    let hedge = freely().after(millis(50)).attempts(4).build().unwrap();
    let callee = Callee::acting(&[(1_000, Ok("slow")), (1_000, Ok("slow")), (5, Ok("third"))]);
    assert_eq!(call(&hedge, &callee).await, (Ok("third"), 105));
    let callee = Callee::acting(&[(1_000, Ok("slow"))]);
    assert_eq!(call(&hedge, &callee).await, (Ok("slow"), 1_000));
    assert_eq!(callee.called(), 4);
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_all_are_sent_at_once() {
    let hedge = freely().after(Duration::ZERO).attempts(5).build().unwrap();
    let callee = Callee::acting(&[(90, Ok("slow")), (80, Ok("slow")), (70, Ok("third"))]);
    assert_eq!(call(&hedge, &callee).await, (Ok("third"), 70));
    assert_eq!(callee.called(), 5);
    // But for what is answered on the spot.
    let callee = Callee::default();
    let at_once = service_fn(|number: u32| {
        callee.called.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, BoxError>(number) }
    });
    let service = hedge.protocol(Plain::new()).layer(at_once);
    assert_eq!(service.oneshot(7).await.unwrap(), 7);
    assert_eq!(callee.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_that_is_not_ready_delays_nobody() {
    let callee = Callee {
        only_first_is_ready: true,
        ..Callee::acting(&[(100, Ok("first"))])
    };
    assert_eq!(call(&after(50), &callee).await, (Ok("first"), 100));
    // Nor is it waited for when the first attempt fails.
    let callee = Callee {
        acts: Arc::new(vec![(100, Err("first"))]),
        called: Arc::default(),
        ..callee
    };
    let answer = call(&after(50), &callee).await;
    assert_eq!(answer, (Err("first".to_owned()), 100));
    assert_eq!(callee.called(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_drops_all_attempts() {
    let callee = Callee::acting(&[(1_000, Ok("slow"))]);
    let service = after(50).protocol(Plain::new()).layer(callee.clone());
    let call = tokio::time::timeout(millis(100), service.oneshot(1));
    assert!(call.await.is_err());
    assert_eq!((callee.called(), callee.alive()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn one_call_in_a_hundred_is_hedged_at_most() {
    let hedge = Hedge::builder().repeats_all().after(millis(50));
    let hedge = hedge.build().unwrap();
    let callee = Callee::acting(&[(100, Ok("slow"))]);
    for calls in 1..=1_000 {
        assert_eq!(call(&hedge, &callee).await.0, Ok("slow"));
        assert_eq!(hedge.snapshot().sent, calls / 100);
    }
}

#[tokio::test(start_paused = true)]
async fn a_shared_budget_that_is_used_up_sends_no_hedge() {
    let budget = RetryBudget::share(0.5, 0).unwrap();
    let hedge = freely().after(millis(50)).budget(budget.clone());
    let hedge = hedge.build().unwrap();
    let callee = Callee::acting(&[(100, Ok("slow"))]);
    for _ in 0..4 {
        let _ = call(&hedge, &callee).await;
    }
    assert_eq!(hedge.snapshot().sent, 2);
    // Retries that took it are counted, too.
    let now = || Now::at(Instant::now().into_std());
    assert_eq!(budget.left(&now()), 0);
    budget.deposit(&now());
    budget.deposit(&now());
    assert!(budget.withdraw(&now()));
    let shared = freely().after(millis(50)).budget(budget.without_deposits());
    let _ = call(&shared.build().unwrap(), &callee).await;
    assert_eq!(budget.left(&now()), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_are_taken_by_failures_and_given_back_by_successes() {
    let budget = RetryBudget::tokens(4_000, 1_000).unwrap();
    let hedge = freely().after(millis(50)).budget(budget.clone());
    let hedge = hedge.build().unwrap();
    let fails = Callee::acting(&[(10, Err("broken"))]);
    let _ = call(&hedge, &fails).await;
    let _ = call(&hedge, &fails).await;
    let slow = Callee::acting(&[(100, Ok("slow"))]);
    let _ = call(&hedge, &slow).await;
    assert_eq!(slow.called(), 1, "half the tokens are gone");
    let _ = call(&hedge, &slow).await;
    assert_eq!(slow.called(), 3, "the success gave one back");
}

/// Latencies of 1 to 100 ms in turn.
async fn warm_up(hedge: &Hedge<Everything>, calls: usize) {
    let acts: Vec<Act> = (1..=100).map(|takes| (takes, Ok("usual"))).collect();
    let callee = Callee::acting(&acts);
    for _ in 0..calls {
        let _ = call(hedge, &callee).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_delay_is_a_quantile_of_what_was_seen() {
    let hedge = Hedge::builder().repeats_all().build().unwrap();
    warm_up(&hedge, 99).await;
    assert_eq!(hedge.snapshot().delay, None);
    warm_up(&hedge, 301).await;
    let delay = hedge.snapshot().delay.unwrap();
    // Half a dozen half-lives go by, so the last hundred weigh the most.
    assert!(delay >= millis(93) && delay <= millis(100), "{delay:?}");
    let callee = Callee::acting(&[(1_000, Ok("slow")), (10, Ok("hedge"))]);
    let (answer, took) = call(&hedge, &callee).await;
    assert_eq!(answer, Ok("hedge"));
    // tokio's timers round up to a millisecond.
    let delay = delay.as_millis() as u64;
    assert!((delay + 10..=delay + 12).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn the_delay_does_not_sink_because_slow_attempts_are_dropped() {
    let hedge = freely().quantile(0.9).build().unwrap();
    let turn = AtomicUsize::new(0);
    // First attempts take 1 to 100 ms in turn. Each hedge is quick, and wins.
    let service = service_fn(|attempts: Arc<AtomicUsize>| {
        let takes = match attempts.fetch_add(1, Ordering::SeqCst) {
            0 => 1 + 37 * turn.fetch_add(1, Ordering::SeqCst) as u64 % 100,
            _ => 0,
        };
        async move {
            sleep(millis(takes)).await;
            Ok::<_, BoxError>(())
        }
    });
    let service = hedge.protocol(Plain::new()).layer(service);
    for _ in 0..5_000 {
        service.clone().oneshot(Arc::default()).await.unwrap();
    }
    let delay = hedge.snapshot().delay.unwrap();
    assert!(delay >= millis(85) && delay <= millis(95), "{delay:?}");
    // All but the first calls, which were not hedged.
    let snapshot = hedge.snapshot();
    assert_eq!(snapshot.sent, snapshot.won);
    assert!((400..=550).contains(&snapshot.sent), "{snapshot:?}");
}

#[tokio::test(start_paused = true)]
async fn failures_tell_nothing_about_latency() {
    let hedge = freely().min_samples(1).build().unwrap();
    let callee = Callee::acting(&[(10, Err("broken"))]);
    for _ in 0..200 {
        let _ = call(&hedge, &callee).await;
    }
    assert_eq!(hedge.snapshot().delay, None);
    let _ = call(&hedge, &Callee::acting(&[(10, Ok("well"))])).await;
    assert!(hedge.snapshot().delay.is_some());
}

#[tokio::test(start_paused = true)]
async fn what_was_seen_long_ago_is_forgotten() {
    let hedge = freely().build().unwrap();
    warm_up(&hedge, 400).await;
    assert!(hedge.snapshot().delay.is_some());
    advance(Duration::from_secs(60)).await;
    assert_eq!(hedge.snapshot().delay, None);
}

#[tokio::test(start_paused = true)]
async fn clones_share_what_was_seen_and_what_was_earned() {
    let hedge = freely().after(millis(50)).extra_load(0.5).build().unwrap();
    let callee = Callee::acting(&[(100, Ok("slow"))]);
    for clone in [hedge.clone(), hedge.clone(), hedge.clone(), hedge.clone()] {
        let _ = call(&clone, &callee).await;
    }
    assert_eq!(hedge.snapshot().sent, 2);
    assert_eq!(callee.called(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_polled_without_need_is_hedged_once() {
    let callee = Callee::acting(&[(100, Ok("slow"))]);
    let hedge = after(50);
    let mut service = hedge.protocol(Plain::new()).layer(callee.clone());
    let mut call = pin!(service.ready().await.unwrap().call(1));
    let begin = Instant::now();
    let answer = poll_fn(|context| {
        if begin.elapsed() < millis(90) {
            context.waker().wake_by_ref();
        }
        call.as_mut().poll(context)
    });
    let ticks = async {
        loop {
            advance(millis(1)).await;
        }
    };
    tokio::select! {
        biased;
        answer = answer => assert_eq!(answer.unwrap(), "slow"),
        () = ticks => {}
    }
    assert_eq!(callee.called(), 2);
}
