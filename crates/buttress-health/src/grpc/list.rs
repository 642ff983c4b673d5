use super::{Answers, LONGEST_REQUEST, response, serving};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use tonic::body::Body;
use tonic::codegen::StdError;
use tonic::server::{Grpc, UnaryService};
use tonic_health::pb::HealthCheckResponse;
use tonic_prost::ProstCodec;

pub(super) const PATH: &str = "/grpc.health.v1.Health/List";

pub(super) fn call<B>(
    answers: Arc<Answers>,
    request: Request<B>,
) -> BoxFuture<'static, Result<Response<Body>, Infallible>>
where
    B: http_body::Body + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    let codec = ProstCodec::<HealthListResponse, HealthListRequest>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(LONGEST_REQUEST);
    Box::pin(async move { Ok(grpc.unary(List(answers), request).await) })
}

struct List(Arc<Answers>);

impl UnaryService<HealthListRequest> for List {
    type Response = HealthListResponse;
    type Future = Ready<Result<tonic::Response<HealthListResponse>, tonic::Status>>;

    fn call(&mut self, _: tonic::Request<HealthListRequest>) -> Self::Future {
        ready(self.0.list().map(tonic::Response::new))
    }
}

impl Answers {
    fn list(&self) -> Result<HealthListResponse, tonic::Status> {
        if self.names.len() > MOST_SERVICES {
            let message = "there are more than 100 services";
            return Err(tonic::Status::resource_exhausted(message));
        }
        let board = self.shared.board();
        let statuses = self.names.iter().map(|(name, &endpoint)| {
            let status = serving(board.page(endpoint).status());
            (String::from(&**name), response(status))
        });
        Ok(HealthListResponse {
            statuses: statuses.collect(),
        })
    }
}

/// The protocol's bound.
const MOST_SERVICES: usize = 100;

#[derive(Clone, PartialEq, prost::Message)]
struct HealthListRequest {}

#[derive(Clone, PartialEq, prost::Message)]
struct HealthListResponse {
    #[prost(btree_map = "string, message", tag = "1")]
    statuses: BTreeMap<String, HealthCheckResponse>,
}
