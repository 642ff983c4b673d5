//! What the tests share: services on real sockets, and calls to them.
#![allow(dead_code, reason = "not every test uses all of it")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

pub(crate) mod process;

use axum::Router;
use bytes::Bytes;
use http_body_util::Full;
use hyper_util::client::legacy::{self, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use reqwest::{Client, Response, StatusCode};
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// Serves on a port of its own, and returns the URL.
pub(crate) async fn serve(app: Router) -> String {
    let (listener, url) = listen().await;
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

/// The same, such that the service knows its peers.
pub(crate) async fn serve_with_peers(app: Router) -> String {
    let (listener, url) = listen().await;
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    url
}

/// A listener, which accepts connections even if nobody answers on them.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

/// A call on a connection of its own.
pub(crate) async fn get(url: &str) -> Response {
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    client.get(url).send().await.unwrap()
}

/// The status of a call on a connection of its own.
pub(crate) async fn status(url: &str) -> StatusCode {
    get(url).await.status()
}

/// A client whose calls are streams of one HTTP/2 connection.
pub(crate) fn http2() -> legacy::Client<HttpConnector, Full<Bytes>> {
    let mut builder = legacy::Client::builder(TokioExecutor::new());
    builder.http2_only(true).build_http()
}

/// A client of HTTP/1 that sends what it is told to.
pub(crate) fn http1() -> legacy::Client<HttpConnector, Full<Bytes>> {
    legacy::Client::builder(TokioExecutor::new()).build_http()
}

/// A handler's router with the layer in each of the three places where axum takes one. The layer
/// is made anew for each.
#[macro_export]
macro_rules! three_places {
    ($handler:expr, $layer:expr) => {
        [
            (
                "Router::layer",
                axum::Router::new()
                    .route("/", axum::routing::get($handler))
                    .layer($layer),
            ),
            (
                "MethodRouter::layer",
                axum::Router::new().route("/", axum::routing::get($handler).layer($layer)),
            ),
            (
                "Handler::layer",
                axum::Router::new().route(
                    "/",
                    axum::routing::get(axum::handler::Handler::layer($handler, $layer)),
                ),
            ),
        ]
    };
}
