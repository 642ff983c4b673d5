//! A tonic service and its client, protected by the same layers.

use buttress::deadline::OutgoingDeadlineService;
use buttress::key::grpc_method;
use buttress::timeout::TimeoutService;
use buttress::{
    Bulkhead, IncomingDeadline, OutgoingDeadline, RateLimit, SettingError, Timeout, guard,
};
use std::pin::Pin;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tower::util::MapErr;
use tower::{BoxError, ServiceBuilder};

/// The generated code.
pub mod greeter {
    #![allow(missing_docs, clippy::pedantic, reason = "it is generated")]
    tonic::include_proto!("greeter.v1");
}

use greeter::greeter_client::GreeterClient;
use greeter::greeter_server::{Greeter, GreeterServer};
use greeter::{HelloReply, HelloRequest};

/// How many calls the server takes at once.
pub const SLOTS: u32 = 2;

/// How many calls of each method the server takes in a burst.
pub const BURST: u32 = 5;

/// Serves, with the three limits above, until `stop` resolves.
///
/// # Errors
///
/// A setting makes no sense, or the listener fails.
pub async fn serve(
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), BoxError> {
    // `grpc-timeout` is kept to, and nobody gets more than a second.
    let deadlines = IncomingDeadline::at_most(Duration::from_secs(1))?;
    // Each method five calls at once, and then one every ten seconds.
    let limit = RateLimit::per_minute(6)
        .burst(BURST)
        .by(grpc_method())
        .build()?;
    // Two calls at once; a stream holds its slot until it ends.
    let slots = Bulkhead::new(SLOTS)?;
    Server::builder()
        // In one guard: a call that finds no slot gets what it took of its quota back.
        .layer((deadlines, guard((limit, slots))))
        .add_service(GreeterServer::new(Hello))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
        .await?;
    Ok(())
}

/// A client that waits for two seconds at most, and tells the server so.
///
/// # Errors
///
/// A setting makes no sense.
pub fn client(channel: Channel) -> Result<GreeterClient<Protected>, SettingError> {
    let service = ServiceBuilder::new()
        .layer(Timeout::new(Duration::from_secs(2))?.sets_deadline())
        .layer(OutgoingDeadline::grpc())
        .map_err(BoxError::from as fn(tonic::transport::Error) -> BoxError)
        .service(channel);
    Ok(GreeterClient::new(service))
}

/// A channel behind the client's layers.
pub type Protected = TimeoutService<OutgoingDeadlineService<Fallible>>;

/// A channel whose errors are boxed, so that a refusal can be one of them.
pub type Fallible = MapErr<Channel, fn(tonic::transport::Error) -> BoxError>;

/// Says hello.
#[derive(Clone, Copy, Debug)]
pub struct Hello;

#[tonic::async_trait]
impl Greeter for Hello {
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        Ok(Response::new(reply(&request.into_inner())))
    }

    async fn say_hello_slowly(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        let request = request.into_inner();
        tokio::time::sleep(Duration::from_millis(request.delay_ms.into())).await;
        Ok(Response::new(reply(&request)))
    }

    type KeepSayingHelloStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    async fn keep_saying_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::KeepSayingHelloStream>, Status> {
        let reply = reply(&request.into_inner());
        let ticks = tokio::time::interval(Duration::from_millis(100));
        let stream = tokio_stream::wrappers::IntervalStream::new(ticks);
        Ok(Response::new(Box::pin(
            stream.map(move |_| Ok(reply.clone())),
        )))
    }
}

fn reply(request: &HelloRequest) -> HelloReply {
    HelloReply {
        message: format!("hello, {}", request.name),
    }
}
