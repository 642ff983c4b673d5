//! Probes over loopback: a server on one thread, and as many clients as keep it busy on another.

use buttress_health::{Check, Endpoints, Health};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::future::{Ready, pending, ready};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};

/// Checks, of which each hangs.
const HANGING: usize = 10;

const CONNECTIONS: usize = 16;

/// A handle whose checks hang.
pub fn hanging() -> Health {
    let mut builder = Health::builder();
    for number in 0..HANGING {
        let check = Check::readiness(format!("hangs-{number}"), pending::<Result<(), Infallible>>);
        let check = check.every(Duration::from_millis(20));
        builder = builder.check(check);
    }
    builder.build().unwrap()
}

/// The least that a probe can be answered with.
pub fn bare<B>(_: Request<B>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(Bytes::from_static(b"ok")))))
}

/// A runtime on one thread.
pub fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Probes that a service answered in a second, ours and the bare one, for each round.
pub fn rounds(count: usize, round: Duration) -> Vec<(f64, f64)> {
    let ours = on_a_thread(|| {
        let health = hanging();
        move |listener| async move {
            // It keeps the checks running.
            let health = health;
            health.endpoints().serve(listener).await;
        }
    });
    let bare = on_a_thread(|| serve_bare);
    let load = |address| one_thread().block_on(load(address, round));
    load(ours);
    load(bare);
    (0..count).map(|_| (load(ours), load(bare))).collect()
}

fn on_a_thread<S, F>(make: impl FnOnce() -> S + Send + 'static) -> SocketAddr
where
    S: FnOnce(TcpListener) -> F,
    F: Future<Output = ()>,
{
    let (send, address) = std::sync::mpsc::channel();
    thread::spawn(move || {
        one_thread().block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            send.send(listener.local_addr().unwrap()).unwrap();
            make()(listener).await;
        });
    });
    address.recv().unwrap()
}

async fn serve_bare(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        stream.set_nodelay(true).unwrap();
        let service = TowerToHyperService::new(tower::service_fn(bare));
        tokio::spawn(
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service),
        );
    }
}

async fn load(address: SocketAddr, time: Duration) -> f64 {
    let start = Instant::now();
    let clients: Vec<_> = (0..CONNECTIONS)
        .map(|_| tokio::spawn(client(address, start + time)))
        .collect();
    let mut probes = 0;
    for client in clients {
        probes += client.await.unwrap();
    }
    f64::from(probes) / start.elapsed().as_secs_f64()
}

async fn client(address: SocketAddr, until: Instant) -> u32 {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    let mut probes = 0;
    while Instant::now() < until {
        let request = Request::get("/readyz").header("host", "localhost");
        let request = request.body(Empty::<Bytes>::new()).unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.into_body().collect().await.unwrap().to_bytes(),
            "ok"
        );
        probes += 1;
    }
    probes
}

/// For measuring without a network.
pub fn endpoints(runtime: &Runtime) -> (Health, Endpoints) {
    let health = runtime.block_on(async { hanging() });
    let endpoints = health.endpoints();
    (health, endpoints)
}
