//! The gRPC example over real sockets: grpc/grpc-rust#1935 among others.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Reason, Rejection, Timeout};
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use buttress_examples::grpc::{self, BURST, SLOTS};
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tower::{BoxError, ServiceBuilder};

async fn serve() -> Endpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(grpc::serve(listener, std::future::pending()));
    Endpoint::from_shared(format!("http://{address}")).unwrap()
}

/// A connection of its own for each.
async fn client(server: &Endpoint) -> GreeterClient<Channel> {
    GreeterClient::new(server.connect().await.unwrap())
}

fn hello(delay_ms: u32) -> HelloRequest {
    HelloRequest {
        name: "test".to_owned(),
        delay_ms,
    }
}

/// A tonic server behind a concurrency limit answers `UNAVAILABLE`, and the limit holds across
/// connections (grpc/grpc-rust#1935: tower's made the connection hang or break).
#[tokio::test]
async fn a_full_bulkhead_is_unavailable_over_all_connections() {
    let server = serve().await;
    let mut streams = Vec::new();
    for _ in 0..SLOTS {
        let mut client = client(&server).await;
        let mut stream = client
            .keep_saying_hello(hello(0))
            .await
            .unwrap()
            .into_inner();
        assert!(stream.message().await.unwrap().is_some());
        streams.push(stream);
    }
    let refused = client(&server).await.keep_saying_hello(hello(0)).await;
    let status = refused.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "too many calls are under way");

    // A stream holds its slot until it ends. When its client goes away, the server hears of it
    // in its own time.
    streams.pop();
    let mut again = client(&server).await;
    while let Err(status) = again.say_hello(hello(0)).await {
        // However often it tries: a call without a slot uses up no quota.
        assert_eq!(status.code(), Code::Unavailable);
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_exhausted_quota_says_when_to_come_back() {
    let server = serve().await;
    for _ in 0..BURST {
        assert!(client(&server).await.say_hello(hello(0)).await.is_ok());
    }
    let status = client(&server).await.say_hello(hello(0)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    let wait = status.metadata().get("grpc-retry-pushback-ms").unwrap();
    let wait: u32 = wait.to_str().unwrap().parse().unwrap();
    assert!((1..=1_000).contains(&wait), "{wait}");
    // Each method has a quota of its own.
    let other = client(&server).await.say_hello_slowly(hello(0)).await;
    assert!(other.is_ok());
}

#[tokio::test]
async fn the_server_gives_nobody_more_time_than_its_bound() {
    let server = serve().await;
    let late = client(&server).await.say_hello_slowly(hello(60_000)).await;
    assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
}

#[tokio::test]
async fn a_timeout_that_cannot_be_read_is_an_invalid_argument() {
    let server = serve().await;
    let mut request = tonic::Request::new(hello(0));
    let value = "soon".parse().unwrap();
    request.metadata_mut().insert("grpc-timeout", value);
    let status = client(&server).await.say_hello(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_client_behind_layers_is_told_what_the_server_says() {
    let server = serve().await;
    let channel = server.connect().await.unwrap();
    let mut client = grpc::client(channel).unwrap();
    assert!(client.say_hello(hello(0)).await.is_ok());
    // The server's bound of a second is earlier than the client's two.
    let late = client.say_hello_slowly(hello(60_000)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
}

/// A listener that accepts and never answers.
#[tokio::test]
async fn a_client_gives_up_on_a_server_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let channel = Endpoint::from_shared(address).unwrap().connect_lazy();
    // Without a deadline in the request: tonic's channel keeps to that by itself, too, and either
    // may be first.
    let service = ServiceBuilder::new()
        .layer(Timeout::new(Duration::from_millis(50)).unwrap())
        .map_err(BoxError::from)
        .service(channel);
    let mut client = GreeterClient::new(service);
    let status = client.say_hello(hello(0)).await.unwrap_err();
    let rejection = Rejection::find(&status).expect("the client's own timeout");
    assert_eq!(rejection.reason(), Reason::TimedOut);
    drop(listener);
}
