//! The service, as it is and with the layers.

use super::{PATIENCE, SLOTS, WORK};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use buttress::{
    AdaptiveLimit, Carried, Discipline, IncomingDeadline, Prioritized, Rejection, SettingError,
    Timeout,
};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tower::BoxError;

/// The service as it is.
pub fn unprotected() -> Router {
    let slots = Arc::new(Semaphore::new(SLOTS));
    Router::new().route("/", get(work)).with_state(slots)
}

/// With the layers that this library recommends for a server.
///
/// # Errors
///
/// A setting makes no sense.
pub fn protected(meter: &Meter) -> Result<Router, SettingError> {
    // Finds out how many calls the service does at once. A burst waits for as long as a call takes.
    let limit = AdaptiveLimit::builder()
        .waiting_room(2 * SLOTS as u32, WORK)
        .discipline(Discipline::Priority)
        .looking(Carried)
        .build()?;
    let layers = (
        // Nobody is served who does not wait any more.
        IncomingDeadline::at_most(Duration::from_secs(1))?.header("x-request-timeout-ms")?,
        // If there is too much, the least critical are refused first.
        Prioritized::new(limit),
        // What hangs ends, and the limit sees it.
        Timeout::new(PATIENCE)?,
    );
    let meter = from_fn_with_state(meter.clone(), Meter::measure);
    Ok(unprotected().layer(layers).layer(meter))
}

async fn work(State(slots): State<Arc<Semaphore>>) -> String {
    let work = async move {
        let slot = slots.acquire_owned().await;
        let sum = compute();
        sleep(WORK.saturating_sub(TIMERS_TICK)).await;
        drop(slot);
        sum
    };
    // Of its own, so that it does not end with the caller's patience.
    let sum = tokio::spawn(work).await;
    format!("{:x}\n", sum.unwrap_or_default())
}

/// Timers count in milliseconds, and round up.
const TIMERS_TICK: Duration = Duration::from_millis(1);

/// Some tens of microseconds.
fn compute() -> u64 {
    let mut hasher = DefaultHasher::new();
    for number in 0..2_000_u64 {
        number.hash(&mut hasher);
    }
    hasher.finish()
}

/// Measures how long the layers take for what they refuse.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    refusals: Arc<Mutex<Vec<Duration>>>,
}

impl Meter {
    async fn measure(State(meter): State<Self>, request: Request, next: Next) -> Response {
        let start = Instant::now();
        let response = next.run(request).await;
        if response.extensions().get::<Rejection>().is_some() {
            let took = start.elapsed();
            meter.refusals.lock().push(took);
        }
        response
    }

    /// The middle one, if there were any.
    pub fn median(&self) -> Option<Duration> {
        let mut refusals = self.refusals.lock().clone();
        refusals.sort_unstable();
        refusals.get(refusals.len() / 2).copied()
    }
}

/// A server of HTTP/2, so that thousands of calls can be under way on a few connections.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves on a port of its own until it is dropped.
    ///
    /// # Errors
    ///
    /// There is no port to listen on.
    pub async fn start(app: Router) -> Result<Self, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                let mut server = http2::Builder::new(TokioExecutor::new());
                // Nobody is turned away or held up by the connection.
                server.max_concurrent_streams(u32::MAX);
                let service = TowerToHyperService::new(app.clone());
                tokio::spawn(server.serve_connection(TokioIo::new(socket), service));
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}
