//! A rolling restart under load, over real sockets: not one request fails.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_health::{Drain, DrainReport, Health};
use bytes::Bytes;
use common::PATIENCE;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Long enough for clients to look at readiness again, on a machine that is busy.
const NOTICE: Duration = Duration::from_secs(2);

const INSTANCES: usize = 3;
const CLIENTS: usize = 8;

/// A process, so to speak.
struct Instance {
    address: SocketAddr,
    drain: Drain,
    running: JoinHandle<DrainReport<bool>>,
}

/// How clients of a protocol call an instance.
#[derive(Clone, Copy)]
struct Protocol {
    http2: bool,
    start: fn(TcpListener, &Health, Drain) -> JoinHandle<DrainReport<bool>>,
}

async fn start(protocol: Protocol) -> Instance {
    let health = Health::builder().build().unwrap();
    let drain = Drain::builder(&health).notice(NOTICE).build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = (protocol.start)(listener, &health, drain.clone());
    Instance {
        address,
        drain,
        running,
    }
}

fn with_axum(
    listener: TcpListener,
    health: &Health,
    drain: Drain,
) -> JoinHandle<DrainReport<bool>> {
    let hello = async || {
        // So that some are always in flight.
        tokio::time::sleep(Duration::from_millis(5)).await;
        "hello"
    };
    let app: axum::Router = axum::Router::new()
        .route("/hello", axum::routing::get(hello))
        .layer(drain.clone())
        .fallback_service(health.endpoints());
    let server = axum::serve(listener, app).with_graceful_shutdown(drain.closing());
    tokio::spawn(async move { drain.run(async move { server.await.is_ok() }).await })
}

type Http = Client<HttpConnector, Empty<Bytes>>;

async fn get(client: &Http, address: SocketAddr, path: &str) -> Option<Response<Incoming>> {
    let request = Request::get(format!("http://{address}{path}"))
        .body(Empty::new())
        .unwrap();
    client.request(request).await.ok()
}

/// What all clients know.
struct Load {
    instances: Mutex<Vec<SocketAddr>>,
    stop: AtomicBool,
    served: AtomicUsize,
    failed: Mutex<Vec<String>>,
}

/// Calls ready instances in turn, and looks at their readiness again after each three calls.
async fn client(load: Arc<Load>, http2: bool, mut turn: usize) {
    let mut builder = Client::builder(TokioExecutor::new());
    // A call that fails shall fail, and not be hidden by another try.
    builder.retry_canceled_requests(false).http2_only(http2);
    let client: Http = builder.build_http();
    // Probes are not to warm the calls' connections up.
    let prober: Http = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http();
    while !load.stop.load(Ordering::Relaxed) {
        let known = load.instances.lock().clone();
        let mut ready = Vec::new();
        for address in known {
            let answer = get(&prober, address, "/readyz").await;
            if answer.is_some_and(|answer| answer.status() == StatusCode::OK) {
                ready.push(address);
            }
        }
        assert!(!ready.is_empty(), "nobody is ready");
        for _ in 0..3 {
            turn += 1;
            let address = ready[turn % ready.len()];
            match get(&client, address, "/hello").await {
                Some(answer) if answer.status() == StatusCode::OK => {
                    match answer
                        .into_body()
                        .collect()
                        .await
                        .map(http_body_util::Collected::to_bytes)
                    {
                        Ok(body) if body == "hello" => {
                            load.served.fetch_add(1, Ordering::Relaxed);
                        }
                        other => load.failed.lock().push(format!("{other:?}")),
                    }
                }
                other => load.failed.lock().push(format!("{other:?}")),
            }
        }
    }
}

async fn restarts(protocol: Protocol) {
    let load = Arc::new(Load {
        instances: Mutex::default(),
        stop: AtomicBool::new(false),
        served: AtomicUsize::new(0),
        failed: Mutex::default(),
    });
    let mut old = Vec::new();
    for _ in 0..INSTANCES {
        let instance = start(protocol).await;
        load.instances.lock().push(instance.address);
        old.push(instance);
    }
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| tokio::spawn(client(Arc::clone(&load), protocol.http2, number)))
        .collect();
    let served = async |more: usize| {
        let until = load.served.load(Ordering::Relaxed) + more;
        while load.served.load(Ordering::Relaxed) < until && load.failed.lock().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, served(100)).await.unwrap();
    for instance in old {
        let new = start(protocol).await;
        load.instances.lock().push(new.address);
        instance.drain.begin();
        let report = timeout(PATIENCE, instance.running).await.unwrap().unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(report.output, Some(true));
        // It is really gone.
        assert!(
            tokio::net::TcpStream::connect(instance.address)
                .await
                .is_err()
        );
        load.instances
            .lock()
            .retain(|address| *address != instance.address);
        timeout(PATIENCE, served(50)).await.unwrap();
    }
    load.stop.store(true, Ordering::Relaxed);
    for client in clients {
        timeout(PATIENCE, client).await.unwrap().unwrap();
    }
    assert_eq!(*load.failed.lock(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_http_1_request_fails_in_a_rolling_restart() {
    restarts(Protocol {
        http2: false,
        start: with_axum,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_http_2_request_fails_in_a_rolling_restart() {
    restarts(Protocol {
        http2: true,
        start: with_axum,
    })
    .await;
}

/// tonic's server, with a service next to gRPC's that answers as the others do.
#[cfg(feature = "grpc")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grpc_call_fails_in_a_rolling_restart() {
    use tokio_stream::wrappers::TcpListenerStream;
    use tonic::transport::{Channel, Server};
    use tonic_health::pb::HealthCheckRequest;
    use tonic_health::pb::health_check_response::ServingStatus::Serving;
    use tonic_health::pb::health_client::HealthClient;

    fn with_tonic(
        listener: TcpListener,
        health: &Health,
        drain: Drain,
    ) -> JoinHandle<DrainReport<bool>> {
        let server = Server::builder()
            .layer(drain.clone())
            .add_service(health.grpc())
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), drain.closing());
        tokio::spawn(async move { drain.run(async move { server.await.is_ok() }).await })
    }

    async fn check(channel: &Channel, service: &str) -> Option<bool> {
        let service = service.to_owned();
        let request = HealthCheckRequest { service };
        let mut client = HealthClient::new(channel.clone());
        let answer = timeout(PATIENCE, client.check(request)).await.unwrap();
        answer
            .ok()
            .map(|answer| answer.into_inner().status() == Serving)
    }

    let protocol = Protocol {
        http2: true,
        start: with_tonic,
    };
    let connect = async |address: SocketAddr| {
        Channel::from_shared(format!("http://{address}"))
            .unwrap()
            .connect()
            .await
            .unwrap()
    };
    let mut instances = Vec::new();
    for _ in 0..INSTANCES {
        let instance = start(protocol).await;
        instances.push((connect(instance.address).await, instance));
    }
    // The load is one loop of bounded length, with the restarts in between.
    let mut leaving: Option<JoinHandle<DrainReport<bool>>> = None;
    let mut channels: Vec<Channel> = instances
        .iter()
        .map(|(channel, _)| channel.clone())
        .collect();
    let mut calls = 0;
    // Until all are replaced and there was a load worth the name.
    while !instances.is_empty() || leaving.is_some() || calls < 100 {
        let mut ready = Vec::new();
        for channel in &channels {
            if check(channel, "readyz").await == Some(true) {
                ready.push(channel);
            }
        }
        assert!(!ready.is_empty(), "nobody is ready");
        for channel in ready {
            assert_eq!(check(channel, "livez").await, Some(true), "call {calls}");
            calls += 1;
        }
        match leaving.take() {
            Some(running) if !running.is_finished() => leaving = Some(running),
            Some(running) => assert!(running.await.unwrap().is_clean()),
            None => {}
        }
        if leaving.is_none()
            && let Some((_, instance)) = instances.pop()
        {
            let new = start(protocol).await;
            channels.push(connect(new.address).await);
            // It goes on to the end of the test.
            drop(new.running);
            instance.drain.begin();
            leaving = Some(instance.running);
        }
    }
}
