//! Layers around clients, and bodies over real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress::{Bulkhead, Http, Plain, Reason, Rejection, Timeout};
use bytes::Bytes;
use common::{listen, serve};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tower::{BoxError, Layer, ServiceBuilder, ServiceExt, service_fn};

fn request(url: &str) -> Request<Empty<Bytes>> {
    Request::get(url).body(Empty::new()).unwrap()
}

#[tokio::test]
async fn a_hyper_client_fails_with_a_rejection() {
    let timeout = Timeout::new(Duration::from_millis(50)).unwrap();
    let slots = Bulkhead::new(1).unwrap();
    let client = ServiceBuilder::new()
        .layer((slots.clone(), timeout))
        .map_err(BoxError::from)
        .service(Client::builder(TokioExecutor::new()).build_http());
    let (_listener, url) = listen().await;
    let error = client.clone().oneshot(request(&url)).await.unwrap_err();
    assert_eq!(Rejection::find(&*error).unwrap().reason(), Reason::TimedOut);

    let url = serve(Router::new().route("/", get(|| async { "hello" }))).await;
    let response = client.oneshot(request(&url)).await.unwrap();
    assert_eq!(slots.in_flight(), 1);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "hello");
    assert_eq!(slots.in_flight(), 0);
}

#[tokio::test]
async fn a_client_that_wants_to_be_answered_is_answered() {
    let answering = Http::new().answering();
    let timeout = Timeout::new(Duration::from_millis(50)).unwrap();
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let client = timeout.protocol(answering).layer(client);
    let (_listener, url) = listen().await;
    let response = client.oneshot(request(&url)).await.unwrap();
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
}

/// reqwest's requests are not `http`'s, so it speaks `Plain`.
#[tokio::test]
async fn a_reqwest_client_fails_with_a_rejection() {
    let timeout = Timeout::new(Duration::from_millis(50)).unwrap();
    let client = ServiceBuilder::new()
        .layer(timeout.protocol(Plain::new()))
        .map_err(BoxError::from)
        .service(reqwest::Client::new());
    let (_listener, url) = listen().await;
    let request = reqwest::Request::new(reqwest::Method::GET, url.parse().unwrap());
    let error = client.oneshot(request).await.unwrap_err();
    assert_eq!(Rejection::find(&*error).unwrap().reason(), Reason::TimedOut);
}

/// hyper without axum: a service whose error is `Infallible` answers there, too.
#[tokio::test]
async fn a_hyper_server_answers() {
    let slots = Bulkhead::new(1).unwrap();
    let service = slots.layer(service_fn(|_: Request<hyper::body::Incoming>| async {
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    }));
    let (listener, url) = listen().await;
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(service.clone()),
            );
            tokio::spawn(connection);
        }
    });
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::OK);
    let held = buttress::guard(slots.clone()).protocol(Plain::new());
    let held = held.layer(service_fn(|(): ()| {
        std::future::pending::<Result<(), BoxError>>()
    }));
    let mut held = Box::pin(held.oneshot(()));
    assert!(futures_util::poll!(held.as_mut()).is_pending());
    let status = reqwest::get(&url).await.unwrap().status();
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
}

/// A streaming response holds its slot until its last byte.
#[tokio::test]
async fn a_slot_is_held_until_the_last_byte() {
    let slots = Bulkhead::new(1).unwrap();
    let (send, receive) = mpsc::unbounded_channel();
    let chunks = UnboundedReceiverStream::new(receive).map(Ok::<&'static str, Infallible>);
    let chunks = Arc::new(Mutex::new(Some(chunks)));
    let stream = || async move { Body::from_stream(chunks.lock().await.take().unwrap()) };
    let url = serve(Router::new().route("/", get(stream)).layer(slots.clone())).await;
    let call = tokio::spawn(reqwest::get(url.clone()));
    let mut response = call.await.unwrap().unwrap();
    for chunk in ["first", "second"] {
        send.send(chunk).unwrap();
        assert_eq!(response.chunk().await.unwrap().unwrap(), chunk);
        let refused = reqwest::get(&url).await.unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
    drop(send);
    assert_eq!(response.chunk().await.unwrap(), None);
    assert_eq!(slots.in_flight(), 0);
}

/// A client that goes away half-way frees the slot.
#[tokio::test]
async fn a_slot_is_free_when_the_client_goes_away() {
    let slots = Bulkhead::new(1).unwrap();
    let endless = || async {
        let chunks = tokio_stream::iter(std::iter::repeat_with(|| {
            Ok::<_, Infallible>(Bytes::from_static(&[0; 1024]))
        }));
        Body::from_stream(chunks)
    };
    let url = serve(Router::new().route("/", get(endless)).layer(slots.clone())).await;
    let mut response = reqwest::get(&url).await.unwrap();
    assert!(response.chunk().await.unwrap().is_some());
    let refused = reqwest::get(&url).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    drop(response);
    // The server hears of it when it writes next.
    while slots.in_flight() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::OK);
}
