//! `grpc.health.v1`, from the same state as the endpoints.

mod list;
mod watch;

use crate::health::Health;
use crate::model::{Endpoint, Status};
use crate::shared::{News, Shared};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use http::{Request, Response};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::server::NamedService;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthMethods, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tower_service::Service;

/// The service `grpc.health.v1.Health` with Check, Watch and List, for tonic's `add_service`.
///
/// | service asked for | answered by |
/// | --- | --- |
/// | `""`, the whole server; `"readyz"`; each [`service`](Self::service) | `/readyz` |
/// | `"livez"` | `/livez` |
/// | `"startupz"` | `/startupz` |
///
/// A status with warnings is `SERVING`. Reasons are never told, since the protocol has no place for
/// them. Watchers are told of each change, and their streams end when listeners close: otherwise
/// they would keep a draining server waiting until its grace is over.
///
/// ```no_run
/// # async fn serve(health: buttress_health::Health) -> Result<(), tonic::transport::Error> {
/// tonic::transport::Server::builder()
///     .add_service(health.grpc().service("pay.v1.Pay"))
///     .serve("127.0.0.1:50051".parse().expect("an address"))
///     .await
/// # }
/// ```
#[derive(Clone)]
pub struct GrpcHealth {
    answers: Arc<Answers>,
}

impl Health {
    /// The gRPC health service.
    pub fn grpc(&self) -> GrpcHealth {
        let names = [
            ("", Endpoint::Ready),
            ("livez", Endpoint::Live),
            ("readyz", Endpoint::Ready),
            ("startupz", Endpoint::Started),
        ];
        let names = names.map(|(name, endpoint)| (name.into(), endpoint));
        let answers = Answers {
            shared: Arc::clone(self.shared()),
            names: names.into(),
        };
        GrpcHealth {
            answers: Arc::new(answers),
        }
    }
}

impl GrpcHealth {
    /// Also answers for a service of this name, as the whole server. A tonic service's is its
    /// `NamedService::NAME`.
    pub fn service(mut self, name: impl Into<Arc<str>>) -> Self {
        let answers = Arc::make_mut(&mut self.answers);
        answers.names.insert(name.into(), Endpoint::Ready);
        self
    }
}

impl fmt::Debug for GrpcHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcHealth").finish_non_exhaustive()
    }
}

impl NamedService for GrpcHealth {
    const NAME: &'static str = "grpc.health.v1.Health";
}

impl<B> Service<Request<B>> for GrpcHealth
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // tonic-health has the protocol without List.
        if request.uri().path() == list::PATH {
            return list::call(Arc::clone(&self.answers), request);
        }
        HealthServer::from_arc(Arc::clone(&self.answers))
            .max_decoding_message_size(LONGEST_REQUEST)
            .call(request)
    }
}

/// A service's name, with room to spare.
const LONGEST_REQUEST: usize = 16 * 1024;

/// What answers the three methods.
#[derive(Clone)]
struct Answers {
    shared: Arc<Shared>,
    names: BTreeMap<Arc<str>, Endpoint>,
}

impl Answers {
    fn endpoint(&self, request: &tonic::Request<HealthCheckRequest>) -> Option<Endpoint> {
        self.names.get(&*request.get_ref().service).copied()
    }
}

#[tonic::async_trait]
impl HealthMethods for Answers {
    async fn check(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<HealthCheckResponse>, tonic::Status> {
        let endpoint = self.endpoint(&request);
        let endpoint = endpoint.ok_or_else(|| tonic::Status::not_found("unknown service"))?;
        let status = self.shared.board().page(endpoint).status();
        Ok(tonic::Response::new(response(serving(status))))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, tonic::Status>>;

    async fn watch(
        &self,
        request: tonic::Request<HealthCheckRequest>,
    ) -> Result<tonic::Response<Self::WatchStream>, tonic::Status> {
        let endpoint = self.endpoint(&request);
        let stream = watch::stream(Arc::clone(&self.shared), endpoint);
        Ok(tonic::Response::new(Box::pin(stream)))
    }
}

fn serving(status: Status) -> ServingStatus {
    if status.is_ok() {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    }
}

fn of(news: News, endpoint: Option<Endpoint>) -> ServingStatus {
    endpoint.map_or(ServingStatus::ServiceUnknown, |endpoint| {
        serving(news.status(endpoint))
    })
}

fn response(status: ServingStatus) -> HealthCheckResponse {
    let mut response = HealthCheckResponse::default();
    response.set_status(status);
    response
}
