//! A service with a true capacity, and open-loop load on it, on virtual time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower::{BoxError, Service, ServiceExt, service_fn};

/// 20 calls at once of 10 ms each: 2000 a second.
pub(crate) const CAPACITY: f64 = 2_000.0;

/// How calls of one kind went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) offered: usize,
    /// How long those took that were answered, sorted.
    pub(crate) answered: Vec<Duration>,
}

impl Tally {
    pub(crate) fn part(&self) -> f64 {
        self.answered.len() as f64 / self.offered as f64
    }

    #[allow(dead_code, reason = "not every test asks for it")]
    pub(crate) fn quantile(&self, quantile: f64) -> Duration {
        let index = (self.answered.len() - 1) as f64 * quantile;
        self.answered[index as usize]
    }
}

/// The service. A call whose future is dropped leaves its slot, or its place in the queue.
pub(crate) fn service<C: Send + 'static>()
-> impl Service<C, Response = (), Error = BoxError, Future: Send> + Clone {
    let slots = Arc::new(Semaphore::new(20));
    service_fn(move |_: C| {
        let slots = Arc::clone(&slots);
        async move {
            let _slot = slots.acquire().await?;
            sleep(Duration::from_millis(10)).await;
            Ok(())
        }
    })
}

/// A random sequence that is always the same (Knuth's MMIX).
pub(crate) struct Random(pub u64);

impl Random {
    /// From 0.0 to 1.0.
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// So many calls a second come at random times, each of a kind that `call` makes of a number from
/// 0.0 to 1.0, whatever becomes of them.
pub(crate) async fn offer<S, C, K>(
    service: &S,
    rate: f64,
    time: Duration,
    random: &mut Random,
    call: impl Fn(f64) -> (K, C),
) -> BTreeMap<K, Tally>
where
    S: Service<C, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static,
    C: Send + 'static,
    K: Ord + Copy + Send + 'static,
{
    let mut at = Instant::now();
    let end = at + time;
    let mut calls = JoinSet::new();
    let mut tallies = BTreeMap::<K, Tally>::new();
    loop {
        at += Duration::from_secs_f64(-(1.0 - random.next()).ln() / rate);
        if at >= end {
            break;
        }
        sleep_until(at).await;
        let (kind, call) = call(random.next());
        tallies.entry(kind).or_default().offered += 1;
        let service = service.clone();
        calls.spawn(async move {
            let start = Instant::now();
            let answer = service.oneshot(call).await;
            (kind, answer.is_ok().then(|| start.elapsed()))
        });
    }
    while let Some(done) = calls.join_next().await {
        if let Ok((kind, Some(took))) = done {
            tallies.entry(kind).or_default().answered.push(took);
        }
    }
    for tally in tallies.values_mut() {
        tally.answered.sort();
    }
    tallies
}
