//! A tonic client that retries by a gRPC service config, behind a breaker.

pub use crate::grpc::greeter::greeter_client::GreeterClient;
use crate::grpc::greeter::greeter_server::{Greeter, GreeterServer};
use crate::grpc::greeter::{HelloReply, HelloRequest};
use buttress::service_config::ServiceConfig;
use buttress::{CircuitBreaker, Http, OutgoingDeadline, Timeout};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::Stream;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::body::Body;
use tonic::transport::{Channel, Server};
use tonic::{Request, Response, Status};
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt};

/// What may be repeated is said by the service's owner, in the form that every gRPC client reads.
pub const SERVICE_CONFIG: &str = r#"{
    "methodConfig": [{
        "name": [{"service": "greeter.v1.Greeter"}],
        "retryPolicy": {
            "maxAttempts": 4,
            "initialBackoff": "0.01s",
            "maxBackoff": "0.1s",
            "backoffMultiplier": 2,
            "retryableStatusCodes": ["UNAVAILABLE"]
        }
    }],
    "retryThrottling": {"maxTokens": 100, "tokenRatio": 0.1}
}"#;

/// A client's channel behind the layers. It is answered, not failed: a refusal is a [`Status`].
pub type Protected = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, BoxError>;

/// Retries as the service config says, behind a breaker.
///
/// # Errors
///
/// The service config or a setting makes no sense.
pub fn client(
    channel: Channel,
    breaker: &CircuitBreaker,
) -> Result<GreeterClient<Protected>, BoxError> {
    let answering = Http::new().answering();
    let whole = Timeout::new(Duration::from_secs(2))?.sets_deadline();
    let attempt = Timeout::per_attempt(Duration::from_millis(500))?;
    let service = ServiceBuilder::new()
        .layer(whole.protocol(answering))
        .layer(SERVICE_CONFIG.parse::<ServiceConfig>()?.retry())
        .layer(breaker.protocol(answering))
        .layer(attempt.protocol(answering))
        .layer(OutgoingDeadline::grpc())
        .map_request(|request: http::Request<_>| request.map(Body::new))
        .map_err(BoxError::from)
        .service(channel)
        .map_response(|response: http::Response<_>| response.map(Body::new));
    Ok(GreeterClient::new(BoxCloneSyncService::new(service)))
}

/// A server whose calls fail so many times before one succeeds, in every way in which they can.
#[derive(Clone, Debug)]
pub struct Unreliable {
    failures: u32,
    calls: Arc<AtomicU32>,
}

impl Unreliable {
    /// `failures` calls fail, then one succeeds, and so on.
    pub fn new(failures: u32) -> Self {
        let calls = Arc::default();
        Self { failures, calls }
    }

    /// How many calls it has had.
    pub fn calls(&self) -> u32 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Serves for as long as the process runs, and returns the address.
    ///
    /// # Errors
    ///
    /// There is no port to listen on.
    pub async fn serve(&self) -> Result<std::net::SocketAddr, BoxError> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = Server::builder()
            .add_service(GreeterServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        Ok(address)
    }

    fn answer(&self, request: &HelloRequest) -> Result<HelloReply, Status> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call % (self.failures + 1) < self.failures {
            return Err(Status::unavailable("not now"));
        }
        Ok(HelloReply {
            message: format!("hello, {}", request.name),
        })
    }
}

#[tonic::async_trait]
impl Greeter for Unreliable {
    /// Fails with the headers.
    async fn say_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        self.answer(request.get_ref()).map(Response::new)
    }

    async fn say_hello_slowly(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<HelloReply>, Status> {
        tokio::time::sleep(Duration::from_millis(request.get_ref().delay_ms.into())).await;
        self.answer(request.get_ref()).map(Response::new)
    }

    type KeepSayingHelloStream = Pin<Box<dyn Stream<Item = Result<HelloReply, Status>> + Send>>;

    /// Fails in the trailers, as every stream does that fails.
    async fn keep_saying_hello(
        &self,
        request: Request<HelloRequest>,
    ) -> Result<Response<Self::KeepSayingHelloStream>, Status> {
        let answer = self.answer(request.get_ref());
        Ok(Response::new(Box::pin(tokio_stream::iter([answer]))))
    }
}
