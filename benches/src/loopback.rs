//! Hello-world over loopback: a closed loop of clients in the server's own process.

use crate::measure::median;
use axum::Router;
use axum::routing::get;
use buttress::key::peer;
use buttress::{Bulkhead, IncomingDeadline, RateLimit, Timeout};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};

/// What some seconds of load came to.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests in a second.
    pub per_second: f64,
    /// The median latency, in microseconds.
    pub p50: f64,
    /// The latency that one in a hundred exceeds, in microseconds.
    pub p99: f64,
}

const CONNECTIONS: usize = 32;

/// A service without any layer.
pub fn bare() -> Router {
    Router::new().route("/", get(|| async { "hello, world" }))
}

/// The same behind the full stack: a deadline, a rate limit for each client, a bulkhead and a
/// timeout.
pub fn protected() -> Router {
    let deadline = IncomingDeadline::at_most(Duration::from_secs(10)).unwrap();
    let limit = RateLimit::per_second(1_000_000_000)
        .by(peer())
        .build()
        .unwrap();
    let slots = Bulkhead::new(1_000).unwrap();
    let timeout = Timeout::new(Duration::from_secs(5)).unwrap();
    let handler = get(|| async { "hello, world" });
    Router::new().route("/", handler.layer((deadline, limit, slots, timeout)))
}

/// Rounds with and without the stack in turns: both loads by round.
pub async fn compare(rounds: usize, round: Duration) -> Vec<(Load, Load)> {
    let (bare, protected) = (serve(bare()).await, serve(protected()).await);
    let mut loads = Vec::new();
    load(bare, round / 4).await;
    load(protected, round / 4).await;
    for number in 0..rounds {
        loads.push(if number % 2 == 0 {
            let bare = load(bare, round).await;
            (bare, load(protected, round).await)
        } else {
            let protected = load(protected, round).await;
            (load(bare, round).await, protected)
        });
    }
    loads
}

/// What the rounds say, in words.
pub fn report(loads: &[(Load, Load)]) -> String {
    let middle = |of: fn(&(Load, Load)) -> f64| median(loads.iter().map(of).collect());
    format!(
        "bare:      {:.0} requests/s, p50 {:.0} us, p99 {:.0} us\n\
         protected: {:.0} requests/s, p50 {:.0} us, p99 {:.0} us\n\
         the full stack keeps {:.1} % of the requests per second (median of {} rounds)",
        middle(|(bare, _)| bare.per_second),
        middle(|(bare, _)| bare.p50),
        middle(|(bare, _)| bare.p99),
        middle(|(_, protected)| protected.per_second),
        middle(|(_, protected)| protected.p50),
        middle(|(_, protected)| protected.p99),
        100.0 * middle(|(bare, protected)| protected.per_second / bare.per_second),
        loads.len(),
    )
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    address
}

async fn load(address: SocketAddr, time: Duration) -> Load {
    let stop = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(client(address, Arc::clone(&stop))))
        .collect();
    tokio::time::sleep(time).await;
    stop.store(true, Ordering::Relaxed);
    let mut latencies = Vec::new();
    for client in clients {
        latencies.extend(client.await.unwrap());
    }
    let per_second = latencies.len() as f64 / start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |part: f64| {
        let index = (latencies.len() as f64 * part) as usize;
        let latency = latencies.get(index).copied().unwrap_or_default();
        latency.as_nanos() as f64 / 1e3
    };
    Load {
        per_second,
        p50: at(0.5),
        p99: at(0.99),
    }
}

async fn client(address: SocketAddr, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut latencies = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let request = Request::get("/")
            .header("host", "localhost")
            .body(Empty::<Bytes>::new())
            .unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body().collect().await.unwrap();
        latencies.push(start.elapsed());
    }
    latencies
}
