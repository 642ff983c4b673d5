//! What users of limits around tonic services ran into, each with our layers.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::key::{PeerAddress, peer};
use buttress::{Bulkhead, RateLimit};
use buttress_examples::grpc::Hello;
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use buttress_examples::grpc::greeter::greeter_server::GreeterServer;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::body::Body;
use tonic::service::{LayerExt, Routes};
use tonic::transport::Server;
use tonic::transport::server::TcpConnectInfo;
use tower::ServiceBuilder;

/// A call on a connection of its own.
async fn say_hello(url: &str) -> Code {
    let mut client = GreeterClient::connect(url.to_owned()).await.unwrap();
    match client.say_hello(HelloRequest::default()).await {
        Ok(_) => Code::Ok,
        Err(status) => status.code(),
    }
}

/// tower-rs/tower#794: a limit for one service among others must be `Clone`, which tower's rate
/// limit is not. With tonic's `named_layer` no wrapper is needed for the service's name, either.
#[tokio::test]
async fn a_service_can_have_limits_of_its_own() {
    let limit = RateLimit::per_hour(2).build().unwrap();
    let slots = Bulkhead::new(8).unwrap();
    let greeter = (limit, slots).named_layer(GreeterServer::new(Hello));
    let (listener, url) = common::listen().await;
    let server = Server::builder().add_routes(Routes::new(greeter));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    assert_eq!(say_hello(&url).await, Code::Ok);
    assert_eq!(say_hello(&url).await, Code::Ok);
    assert_eq!(say_hello(&url).await, Code::ResourceExhausted);
}

/// benwis/tower-governor#24: a limit per client around a tonic service did not compile, because
/// its body had to be axum's. tonic knows the peer by another name, which is told on.
#[tokio::test]
async fn a_limit_per_client_works_with_and_without_the_peers_address() {
    let limit = || RateLimit::per_hour(1).by(peer()).build().unwrap();
    let tell_peer = |mut request: http::Request<Body>| {
        let info: Option<&TcpConnectInfo> = request.extensions().get();
        if let Some(address) = info.and_then(TcpConnectInfo::remote_addr) {
            request.extensions_mut().insert(PeerAddress(address.ip()));
        }
        request
    };
    let (listener, with) = common::listen().await;
    let server = Server::builder()
        .layer(ServiceBuilder::new().map_request(tell_peer).layer(limit()))
        .add_service(GreeterServer::new(Hello));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    assert_eq!(say_hello(&with).await, Code::Ok);
    assert_eq!(say_hello(&with).await, Code::ResourceExhausted);

    let (listener, without) = common::listen().await;
    let server = Server::builder()
        .layer(limit())
        .add_service(GreeterServer::new(Hello));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    assert_eq!(say_hello(&without).await, Code::Unavailable);
}
