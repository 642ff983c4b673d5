//! A service that calls an upstream on a bad day, with and without the layers of a client.
//!
//! The upstream has eight workers and no limit to its queue. What it has begun it goes on with,
//! though the caller may have left: most services are like that, once a request has reached a thread
//! pool or a database. In the middle of the run it is slow for a while. A client that merely tries
//! again keeps it down for good after that: nearly all that it works on nobody waits for any more.

use crate::local::{connector, serve};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use buttress::deadline::OutgoingDeadline;
use buttress::{
    Backoff, Bulkhead, CircuitBreaker, RateLimit, Rejection, Retry, SettingError, Timeout,
};
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

/// How long a caller waits for one answer of the upstream.
const PATIENCE: Duration = Duration::from_millis(250);

/// Attempts of a call, with the layers and without.
const ATTEMPTS: u32 = 4;

/// An upstream, and what it sees.
#[derive(Clone)]
pub struct Upstream {
    workers: Arc<Semaphore>,
    slow: Arc<AtomicBool>,
    seen: Arc<AtomicU64>,
}

impl Upstream {
    /// Eight workers, 10 ms for each call.
    pub fn new() -> Self {
        Self {
            workers: Arc::new(Semaphore::new(8)),
            slow: Arc::default(),
            seen: Arc::default(),
        }
    }

    /// The service itself.
    pub fn app(&self) -> Router {
        Router::new()
            .route("/", get(Self::work))
            .with_state(self.clone())
    }

    /// From now on a call takes twenty times as long, or not any more.
    pub fn set_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }

    /// How many calls it has seen.
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    async fn work(State(upstream): State<Self>) -> StatusCode {
        // One in twenty fails at once, on good days, too.
        if upstream.seen.fetch_add(1, Ordering::Relaxed) % 20 == 19 {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        let work = async move {
            let Ok(_worker) = upstream.workers.acquire().await else {
                return;
            };
            let slow = upstream.slow.load(Ordering::Relaxed);
            let time = if slow { 200 } else { 10 };
            tokio::time::sleep(Duration::from_millis(time)).await;
        };
        // Of its own, so that it does not end with the caller's connection.
        match tokio::spawn(work).await {
            Ok(()) => StatusCode::OK,
            Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl Default for Upstream {
    fn default() -> Self {
        Self::new()
    }
}

/// A client of the upstream, however it is made up.
pub type UpstreamClient = BoxCloneSyncService<http::Request<Empty<Bytes>>, Response, BoxError>;

/// A client with everything that this library has for one.
///
/// # Errors
///
/// A setting makes no sense.
pub fn protected() -> Result<UpstreamClient, SettingError> {
    let breaker = CircuitBreaker::builder("upstream")
        .open_time(Duration::from_millis(200), Duration::from_secs(1))
        .build()?;
    let retry = Retry::builder()
        .attempts(ATTEMPTS)
        .backoff(Backoff::exponential(Duration::from_millis(20), PATIENCE)?)
        .build()?;
    let service = ServiceBuilder::new()
        // The whole call.
        .layer(Timeout::new(Duration::from_secs(1))?.sets_deadline())
        .layer(retry)
        // From here on, each attempt.
        .layer(breaker)
        .layer(Bulkhead::new(64)?)
        .layer(RateLimit::per_second(1_000).build()?)
        .layer(Timeout::per_attempt(PATIENCE)?)
        .layer(OutgoingDeadline::header("x-request-timeout-ms")?)
        .map_err(BoxError::from)
        .service(connector())
        .map_response(|response| response.map(Body::new));
    Ok(BoxCloneSyncService::new(service))
}

/// A client that tries again at once, which is what is written first.
pub fn naive() -> UpstreamClient {
    let client = connector();
    BoxCloneSyncService::new(service_fn(move |request: http::Request<Empty<Bytes>>| {
        let client = client.clone();
        async move {
            let mut last = Err(BoxError::from("no attempt was made"));
            for _ in 0..ATTEMPTS {
                let attempt = tokio::time::timeout(PATIENCE, client.request(request.clone()));
                last = match attempt.await {
                    Ok(Ok(response)) => Ok(response.map(Body::new)),
                    Ok(Err(error)) => Err(error.into()),
                    Err(late) => Err(late.into()),
                };
                if last
                    .as_ref()
                    .is_ok_and(|response| response.status().is_success())
                {
                    break;
                }
            }
            last
        }
    }))
}

/// The service in front: it answers with what the upstream answers.
pub fn front(client: UpstreamClient, upstream: Uri) -> Router {
    let call = move |State(client): State<UpstreamClient>, _: Request| async move {
        let mut request = http::Request::new(Empty::new());
        *request.uri_mut() = upstream;
        match client.oneshot(request).await {
            Ok(response) => response,
            Err(error) => answer_for(&error),
        }
    };
    Router::new().route("/", get(call)).with_state(client)
}

/// Why there is no answer of the upstream: a refusal of a layer of ours, or an error.
fn answer_for(error: &BoxError) -> Response {
    let status = match Rejection::find(&**error) {
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        None => StatusCode::BAD_GATEWAY,
    };
    (status, error.to_string()).into_response()
}

/// How a run is made up.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Calls a second, whatever becomes of them.
    pub rate: u32,
    /// How long all is well, then slow, then well again.
    pub well_slow_well: [Duration; 3],
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rate: 300,
            well_slow_well: [1, 1, 4].map(Duration::from_secs),
        }
    }
}

impl Plan {
    /// The number of calls.
    pub fn calls(&self) -> u64 {
        let seconds: Duration = self.well_slow_well.iter().sum();
        (seconds.as_secs_f64() * f64::from(self.rate)) as u64
    }
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The calls that were made.
    pub calls: u64,
    /// The attempts that the upstream saw.
    pub attempts: u64,
    /// The calls that succeeded.
    pub succeeded: u64,
}

/// Starts an upstream and the service in front of it, with this client, and calls that.
///
/// # Errors
///
/// There is no port to listen on.
pub async fn run(client: UpstreamClient, plan: Plan) -> Result<Report, BoxError> {
    let upstream = Upstream::new();
    let upstream_url = serve(upstream.app()).await?;
    let front = serve(front(client, upstream_url)).await?;
    let user = connector::<Empty<Bytes>>();
    let mut ticks = interval(Duration::from_secs(1) / plan.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let [well, slow, _] = plan.well_slow_well;
    let start = tokio::time::Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..plan.calls() {
        let now = ticks.tick().await - start;
        upstream.set_slow((well..well + slow).contains(&now));
        let (user, front) = (user.clone(), front.clone());
        calls.spawn(async move {
            let response = user.get(front).await.ok()?;
            let status = response.status();
            response.into_body().collect().await.ok()?;
            status.is_success().then_some(())
        });
    }
    let outcomes = calls.join_all().await;
    Ok(Report {
        calls: plan.calls(),
        attempts: upstream.seen(),
        succeeded: outcomes.into_iter().flatten().count() as u64,
    })
}
