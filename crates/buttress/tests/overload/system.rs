//! A service with a true capacity, its clients, and the recommended layers between them.

use crate::load::Random;
use buttress::{AdaptiveLimit, Carried, Discipline, IncomingDeadline, Prioritized, Timeout};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

pub(crate) const MILLI: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// How long a client waits for an answer.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

/// A client's way to the service: all but a success is an error.
pub(crate) type Client = BoxCloneSyncService<Request<()>, (), BoxError>;

/// 20 slots, and 10 ms of work for each call. What has been taken on is done, also when its caller
/// has left: so it is in most services, once a call has reached a pool or a database.
fn service()
-> impl Service<Request<()>, Response = Response<Empty<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    let slots = Arc::new(Semaphore::new(20));
    service_fn(move |_| {
        let slots = Arc::clone(&slots);
        let work = tokio::spawn(async move {
            let slot = slots.acquire_owned().await;
            sleep(10 * MILLI).await;
            drop(slot);
        });
        async move {
            let _ = work.await;
            Ok(Response::new(Empty::new()))
        }
    })
}

/// The service as it is.
pub(crate) fn without() -> Client {
    client(service())
}

/// With the layers that this library recommends for a server: what nobody waits for any more is not
/// run, what is too much is refused, the least critical first, a burst waits for as long as a call
/// takes, and what hangs ends.
pub(crate) fn with() -> Client {
    let limit = AdaptiveLimit::builder()
        .waiting_room(40, 10 * MILLI)
        .discipline(Discipline::Priority)
        .looking(Carried)
        .build()
        .unwrap();
    let deadlines = IncomingDeadline::at_most(SECOND).unwrap();
    let stack = (
        deadlines.header("x-request-timeout-ms").unwrap(),
        Prioritized::new(limit),
        Timeout::new(PATIENCE).unwrap(),
    );
    client(stack.layer(service()))
}

fn client<S, B>(service: S) -> Client
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
    B: 'static,
{
    BoxCloneSyncService::new(
        service.map_result(|answer: Result<Response<B>, Infallible>| {
            let status = match answer {
                Ok(response) => response.status(),
                Err(never) => match never {},
            };
            if status.is_success() {
                Ok(())
            } else {
                Err(BoxError::from(status.to_string()))
            }
        }),
    )
}

/// A call, when it was made, and how long it took if it was answered in time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    pub(crate) at: Duration,
    pub(crate) took: Option<Duration>,
}

/// Calls `rate(elapsed)` times a second at random times, whatever becomes of them. A client that has
/// no answer after its patience, or is refused, tries again at once, `retries` times.
pub(crate) async fn offer(
    client: &Client,
    time: Duration,
    retries: u32,
    rate: impl Fn(Duration) -> f64,
) -> Vec<Call> {
    let (begin, mut random) = (Instant::now(), Random(1));
    let mut at = Duration::ZERO;
    let mut calls = JoinSet::new();
    loop {
        at += Duration::from_secs_f64(-(1.0 - random.next()).ln() / rate(at));
        if at >= time {
            break;
        }
        sleep_until(begin + at).await;
        let client = client.clone();
        calls.spawn(async move {
            let start = Instant::now();
            for _ in 0..=retries {
                let attempt = client.clone().oneshot(request());
                if let Ok(Ok(())) = timeout(PATIENCE, attempt).await {
                    let took = Some(start.elapsed());
                    return Call { at, took };
                }
            }
            Call { at, took: None }
        });
    }
    calls.join_all().await
}

fn request() -> Request<()> {
    let patience = PATIENCE.as_millis().to_string();
    let request = Request::builder().header("x-request-timeout-ms", patience);
    request.body(()).unwrap()
}

/// What came of the calls that were made in a stretch of time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Went {
    pub(crate) offered: usize,
    pub(crate) answered: usize,
    /// How long the slowest hundredth of those took at least.
    pub(crate) p99: Duration,
}

impl Went {
    pub(crate) fn between(calls: &[Call], from: Duration, to: Duration) -> Self {
        let calls = calls.iter().filter(|call| (from..to).contains(&call.at));
        let all: Vec<Option<Duration>> = calls.map(|call| call.took).collect();
        let mut took: Vec<Duration> = all.iter().copied().flatten().collect();
        took.sort();
        Self {
            offered: all.len(),
            answered: took.len(),
            p99: took.get(took.len() * 99 / 100).copied().unwrap_or_default(),
        }
    }

    pub(crate) fn part(&self) -> f64 {
        self.answered as f64 / self.offered as f64
    }
}
