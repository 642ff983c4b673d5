//! The gRPC example over real sockets: grpc/grpc-rust#1935 among others.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{Http, Reason, Rejection, Timeout};
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use buttress_examples::grpc::{self, BURST, SLOTS};
use prost::Message;
use std::time::Duration;
use tokio::net::TcpListener;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tower::{BoxError, Layer, ServiceBuilder};

async fn serve() -> Endpoint {
    let (listener, url) = common::listen().await;
    tokio::spawn(grpc::serve(listener, std::future::pending()));
    Endpoint::from_shared(url).unwrap()
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

/// grpc/grpc-rust#1935: with `LoadShed` and `ConcurrencyLimit` around a tonic server, there was
/// nothing that turned the error into a status: axum's `HandleErrorLayer` does not fit, and the
/// call fails as `INTERNAL`. Here it is `UNAVAILABLE`, and the limit holds across connections.
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
    assert!((1..=10_000).contains(&wait), "{wait}");
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

/// The server keeps to the client's own deadline. The call is made by hand: tonic's channel would
/// keep to it by itself, and either may be first.
#[tokio::test]
async fn the_server_keeps_to_the_deadline_of_the_client() {
    let server = serve().await;
    let message = hello(60_000).encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    frame.extend(message);
    let call = http::Request::post(format!("{}greeter.v1.Greeter/SayHelloSlowly", server.uri()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", "50m")
        .body(frame.into())
        .unwrap();
    let response = common::http2().request(call).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "4");
    // In the words of our layer. Without it, tonic would say `CANCELLED`.
    assert_eq!(
        response.headers()["grpc-message"],
        "the deadline has passed"
    );
}

/// A server that accepts connections and never answers.
async fn hangs() -> (TcpListener, Channel) {
    let (listener, url) = common::listen().await;
    let channel = Endpoint::from_shared(url).unwrap().connect_lazy();
    (listener, channel)
}

// Neither request carries a deadline: tonic's channel would keep to it by itself, too, and either
// may be first.

#[tokio::test]
async fn a_client_gives_up_on_a_server_that_hangs() {
    let (_listener, channel) = hangs().await;
    let service = ServiceBuilder::new()
        .layer(Timeout::new(Duration::from_millis(50)).unwrap())
        .map_err(BoxError::from)
        .service(channel);
    let mut client = GreeterClient::new(service);
    let status = client.say_hello(hello(0)).await.unwrap_err();
    // tonic knows nothing about the error, so that the rejection says more than the code does.
    let rejection = Rejection::find(&status).expect("the client's own timeout");
    assert_eq!(rejection.reason(), Reason::TimedOut);
}

#[tokio::test]
async fn a_client_that_is_answered_gets_the_code() {
    let (_listener, channel) = hangs().await;
    let timeout = Timeout::new(Duration::from_millis(50)).unwrap();
    let timeout = timeout.protocol(Http::new().answering());
    let mut client = GreeterClient::new(timeout.layer(channel));
    let status = client.say_hello(hello(0)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}
