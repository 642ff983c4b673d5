//! What the callee said when it was well stands in for it when it is not, and only then.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod bodies;
mod use_of_it;

use buttress::fallback::StoodIn;
use buttress::{Bulkhead, Reason, Rejection, SettingError, StaleIfError};
use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody};
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::advance;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

type Frames = StreamBody<stream::BoxStream<'static, Result<Frame<Bytes>, BoxError>>>;
type Asked = Request<Empty<Bytes>>;

const PERMITTED: &str = "max-age=60, stale-if-error=300";

fn body(parts: &[&'static str], end: Option<Result<Frame<Bytes>, BoxError>>) -> Frames {
    let parts: Vec<_> = parts
        .iter()
        .map(|part| Ok(Frame::data(Bytes::from_static(part.as_bytes()))))
        .collect();
    StreamBody::new(Box::pin(stream::iter(parts.into_iter().chain(end))))
}

fn answer(fields: &[(&'static str, &'static str)]) -> Response<Frames> {
    let mut response = Response::builder();
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(body(&["well, ", "thank you"], None)).unwrap()
}

/// A callee that can be unwell.
#[derive(Clone)]
struct Callee {
    layer: StaleIfError,
    well: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Callee {
    fn new(layer: StaleIfError) -> Self {
        Self {
            layer,
            well: Arc::new(AtomicBool::new(true)),
            calls: Arc::default(),
        }
    }

    fn is_well(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    /// Asks, and reads the body to its end. `well` is the answer if it is well, `unwell` else.
    async fn ask_for(
        &self,
        request: Asked,
        well: impl FnOnce() -> Response<Frames>,
        unwell: impl FnOnce() -> Result<Response<Frames>, BoxError>,
    ) -> Result<Response<String>, BoxError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let result = if self.well.load(Ordering::SeqCst) {
            Ok(well())
        } else {
            unwell()
        };
        let mut result = Some(result);
        let mut service = self
            .layer
            .layer(service_fn(move |_: Asked| ready(result.take().unwrap())));
        let response = service.ready().await?.call(request).await?;
        let (head, body) = response.into_parts();
        let body = body.collect().await?.to_bytes();
        Ok(Response::from_parts(
            head,
            String::from_utf8(body.to_vec())?,
        ))
    }

    async fn ask(
        &self,
        request: Asked,
        fields: &[(&'static str, &'static str)],
    ) -> Response<String> {
        let unwell = || Ok(status(503));
        self.ask_for(request, || answer(fields), unwell)
            .await
            .unwrap()
    }

    /// Whether something stale is given once the callee is unwell.
    async fn has_kept(&self, request: Asked) -> bool {
        self.is_well(false);
        let response = self.ask(request, &[]).await;
        self.is_well(true);
        response.status() == StatusCode::OK
    }
}

fn status(code: u16) -> Response<Frames> {
    let mut response = Response::new(body(&["unwell"], None));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn request(method: Method, fields: &[(&'static str, &'static str)]) -> Asked {
    let mut request = Request::builder()
        .method(method)
        .uri("http://example.com/how-are-you");
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Empty::new()).unwrap()
}

fn get(fields: &[(&'static str, &'static str)]) -> Asked {
    request(Method::GET, fields)
}

fn kept() -> Callee {
    Callee::new(StaleIfError::builder().build().unwrap())
}

const DIRECTIVE: &[(&str, &str)] = &[("cache-control", PERMITTED)];

#[test]
fn nonsense_is_refused_by_name() {
    let field = |result: Result<StaleIfError, SettingError>| result.map(drop).unwrap_err().field();
    let builder = StaleIfError::builder;
    let (second, too_long) = (
        Duration::from_secs(1),
        Duration::from_secs(400 * 24 * 60 * 60),
    );
    assert_eq!(field(builder().max_body(0).build()), "max_body");
    assert_eq!(field(builder().max_body(u64::MAX).build()), "max_body");
    assert_eq!(field(builder().max_bytes(1_000).build()), "max_bytes");
    assert_eq!(field(builder().max_bytes(u64::MAX).build()), "max_bytes");
    assert_eq!(field(builder().max_entries(0).build()), "max_entries");
    assert_eq!(field(builder().longest(Duration::ZERO).build()), "longest");
    assert_eq!(field(builder().longest(too_long).build()), "longest");
    assert_eq!(
        field(builder().unless_told(Duration::ZERO).build()),
        "unless_told"
    );
    let error = builder().longest(second).unless_told(2 * second).build();
    assert_eq!(
        error.map(drop).unwrap_err().to_string(),
        "`unless_told` is 2s, but must be at most `longest`, 1s"
    );
    let largest = builder()
        .max_entries(u32::MAX)
        .max_bytes(1 << 40)
        .max_body(1 << 39);
    assert!(largest.build().is_ok());
}
