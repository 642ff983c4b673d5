//! What users of tower's limits ran into, each with our layers: over real sockets, in all three
//! places where axum takes layers, without `HandleErrorLayer` and without `Buffer`.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use buttress::{Bulkhead, RateLimit, Timeout, guard};
use common::{serve, serve_with_peers, status};
use reqwest::{Client, StatusCode};
use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::ServiceBuilder;

/// So many calls, and none to speak of while a test runs.
fn limit(calls: u32) -> RateLimit {
    RateLimit::per_hour(calls).build().unwrap()
}

async fn ok() -> &'static str {
    "ok"
}

async fn port(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    peer.port().to_string()
}

/// tokio-rs/axum#278: `Router::layer` with a `ServiceBuilder` that limits the rate did not
/// compile, because tower's `RateLimit` is not `Clone` (tower-rs/tower#794 asks for it).
#[tokio::test]
async fn a_rate_limit_compiles_everywhere_and_holds_over_all_connections() {
    let layer = || ServiceBuilder::new().layer(limit(5)).into_inner();
    for (place, app) in three_places!(port, layer()) {
        let url = serve_with_peers(app).await;
        let mut ports = HashSet::new();
        for _ in 0..5 {
            let response = common::get(&url).await;
            assert_eq!(response.status(), StatusCode::OK, "{place}");
            ports.insert(response.text().await.unwrap());
        }
        assert_eq!(ports.len(), 5, "each call came on a connection of its own");
        for _ in 0..3 {
            assert_eq!(status(&url).await, StatusCode::TOO_MANY_REQUESTS, "{place}");
        }
    }
}

/// tokio-rs/axum#876: the same with `MethodRouter::route_layer`, and tower-rs/tower#712: with
/// `Router::route_layer`, where what no route takes is not counted.
#[tokio::test]
async fn a_rate_limit_compiles_as_a_route_layer() {
    let app = Router::new()
        .route("/v1/signup", post(ok).route_layer(limit(1)))
        .merge(Router::new().route("/", get(ok)).route_layer(limit(1)));
    let url = serve(app).await;
    let signup = || Client::new().post(format!("{url}/v1/signup")).send();
    assert_eq!(signup().await.unwrap().status(), StatusCode::OK);
    let refused = signup().await.unwrap();
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);

    let nowhere = format!("{url}/nowhere");
    assert_eq!(status(&nowhere).await, StatusCode::NOT_FOUND);
    assert_eq!(status(&url).await, StatusCode::OK);
    assert_eq!(status(&url).await, StatusCode::TOO_MANY_REQUESTS);
}

/// tokio-rs/axum#2634 and tower-rs/tower#764: behind `HandleErrorLayer` and `Buffer` it compiled,
/// and limited nothing. A cap of 5 a second let 1500 concurrent calls pass (tokio-rs/axum#3682).
#[tokio::test]
async fn a_rate_limit_holds_against_concurrent_calls() {
    let timeout = Timeout::new(Duration::from_secs(60)).unwrap();
    let layer = || ServiceBuilder::new().layer(limit(5)).layer(timeout);
    for (place, app) in three_places!(ok, layer()) {
        let url = serve(app).await;
        let mut calls = JoinSet::new();
        for _ in 0..60 {
            let url = url.clone();
            calls.spawn(async move { status(&url).await });
        }
        let statuses = calls.join_all().await;
        let passed = statuses.iter().filter(|status| status.is_success()).count();
        assert_eq!(passed, 5, "{place}: {statuses:?}");
    }
}

/// One limit for several routes is one limit, wherever its handle is used.
#[tokio::test]
async fn a_handle_is_one_limit_in_all_places() {
    let limit = limit(3);
    let mut urls = Vec::new();
    for (_, app) in three_places!(ok, limit.clone()) {
        urls.push(serve(app).await);
    }
    for url in &urls {
        assert_eq!(status(url).await, StatusCode::OK);
    }
    for url in &urls {
        assert_eq!(status(url).await, StatusCode::TOO_MANY_REQUESTS);
    }
}

/// A handler that says when it was entered, and waits to be let go.
#[derive(Clone)]
struct Gate {
    entered: Arc<Semaphore>,
    leave: Arc<Semaphore>,
}

impl Gate {
    fn new() -> Self {
        let closed = || Arc::new(Semaphore::new(0));
        Self {
            entered: closed(),
            leave: closed(),
        }
    }

    fn handler(
        &self,
    ) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = &'static str> + Send>>
    + Clone
    + Send
    + Sync
    + 'static {
        let gate = self.clone();
        move || {
            let gate = gate.clone();
            Box::pin(async move {
                gate.entered.add_permits(1);
                gate.leave.acquire().await.unwrap().forget();
                "done"
            })
        }
    }

    async fn entered(&self, calls: u32) {
        self.entered.acquire_many(calls).await.unwrap().forget();
    }
}

/// tokio-rs/axum#2582: `get(handler).layer(ConcurrencyLimitLayer::new(5))` compiles and limits
/// nothing, because each call gets a semaphore of its own. tower-rs/tower#793: where it limits, it
/// lets calls queue without a bound, and there is no way to have them refused.
#[tokio::test]
async fn a_bulkhead_holds_over_all_connections_and_refuses_at_once() {
    let gate = Gate::new();
    for (place, app) in three_places!(gate.handler(), Bulkhead::new(2).unwrap()) {
        let url = serve(app).await;
        let mut held = JoinSet::new();
        for _ in 0..2 {
            let url = url.clone();
            held.spawn(async move { status(&url).await });
        }
        gate.entered(2).await;
        for _ in 0..3 {
            assert_eq!(
                status(&url).await,
                StatusCode::SERVICE_UNAVAILABLE,
                "{place}"
            );
        }
        gate.leave.add_permits(2);
        assert_eq!(held.join_all().await, [StatusCode::OK; 2], "{place}");
        gate.leave.add_permits(1);
        assert_eq!(status(&url).await, StatusCode::OK, "{place}");
        gate.entered(1).await;
    }
}

/// The same where all calls come on one HTTP/2 connection.
#[tokio::test]
async fn a_bulkhead_holds_over_the_streams_of_a_connection() {
    let gate = Gate::new();
    let app = Router::new()
        .route("/", get(gate.handler()))
        .layer(Bulkhead::new(2).unwrap());
    let url = serve(app).await;
    let client = common::http2();
    let uri: http::Uri = url.parse().unwrap();
    let mut held = JoinSet::new();
    for _ in 0..2 {
        let call = client.get(uri.clone());
        held.spawn(async move { call.await.unwrap().status() });
    }
    gate.entered(2).await;
    let refused = client.get(uri).await.unwrap();
    assert_eq!(refused.version(), http::Version::HTTP_2);
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    gate.leave.add_permits(2);
    assert_eq!(held.join_all().await, [StatusCode::OK; 2]);
}

/// tokio-rs/axum#345: `handler.layer(TimeoutLayer::new(…))` did not compile, because tower's
/// timeout turns the error into a `BoxError`, which needs `HandleErrorLayer`.
#[tokio::test]
async fn a_timeout_compiles_everywhere_and_answers_by_itself() {
    let timeout = Timeout::new(Duration::from_millis(50)).unwrap();
    for (place, app) in three_places!(std::future::pending::<&'static str>, timeout) {
        let url = serve(app).await;
        assert_eq!(status(&url).await, StatusCode::GATEWAY_TIMEOUT, "{place}");
    }
}

/// tokio-rs/axum#2292: a layer that a setting switches on and off did not compile, because
/// `optional_layer` changed the error type. Here `None` is a policy, too.
#[tokio::test]
async fn a_limit_can_be_optional() {
    for (setting, second) in [
        (None, StatusCode::OK),
        (Some(limit(1)), StatusCode::TOO_MANY_REQUESTS),
    ] {
        for (place, app) in three_places!(ok, guard(setting.as_ref().map(|_| limit(1)))) {
            let url = serve(app).await;
            assert_eq!(status(&url).await, StatusCode::OK, "{place}");
            assert_eq!(status(&url).await, second, "{place}");
        }
    }
}
