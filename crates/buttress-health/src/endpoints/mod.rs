//! `/livez`, `/readyz` and `/startupz` over HTTP.

mod accept;
mod connections;
mod server;

pub use server::EndpointServer;

use crate::model::Endpoint;
use crate::page::Format;
use crate::shared::Shared;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body;
use http_body_util::Full;
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// The endpoints as a tower service.
///
/// | path | |
/// | --- | --- |
/// | `/livez` | 503 if the process should be restarted |
/// | `/readyz` | 503 if it should be sent no calls: a hard check is bad, it has not started, or it is shutting down |
/// | `/startupz` | 503 until it has started |
///
/// The answer is `ok`, or text as Kubernetes prints it if something is wrong or with `?verbose`;
/// `?exclude=name` leaves a check out, and names that there are not are warned of. With `Accept:
/// application/health+json` it is JSON. `HEAD` is answered without a body, and nothing is to be
/// cached.
///
/// Why a check failed is withheld, because it may tell addresses and versions to anyone who asks.
/// [`with_reasons`](Self::with_reasons) tells it: do that for a listener that only your own people
/// reach.
///
/// An answer is read from memory, and costs the same whatever the checks do.
#[derive(Clone, Debug)]
pub struct Endpoints {
    shared: Arc<Shared>,
    reasons: bool,
}

impl Endpoints {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            reasons: false,
        }
    }

    /// Tells the reasons of failures to everyone who reaches this.
    pub fn with_reasons(self) -> Self {
        Self {
            reasons: true,
            ..self
        }
    }

    /// The endpoints as a router to merge with yours.
    #[cfg(feature = "axum")]
    pub fn router<S: Clone + Send + Sync + 'static>(self) -> axum::Router<S> {
        axum::Router::new()
            .route_service("/livez", self.clone())
            .route_service("/readyz", self.clone())
            .route_service("/startupz", self)
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let asked = Endpoint::ALL.into_iter().find(|endpoint| {
            let name = path.strip_prefix('/');
            name == Some(endpoint.name())
        });
        let is_head = request.method() == Method::HEAD;
        let Some(endpoint) = asked else {
            let mut response = plain(StatusCode::NOT_FOUND, "not found");
            if is_head {
                without_body(&mut response);
            }
            return response;
        };
        if !is_head && request.method() != Method::GET {
            let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD");
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allowed);
            return response;
        }
        let mut wishes = Wishes::of(request);
        let excluded = std::mem::take(&mut wishes.excluded);
        let board = self.shared.board();
        let page = board.page(endpoint);
        let answer = if excluded.is_empty() {
            page.answer(wishes.format, self.reasons)
        } else {
            page.answer_without(excluded, wishes.format, self.reasons)
        };
        let mut response = Response::new(Full::new(answer.body));
        if !answer.status.is_ok() {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        let headers = response.headers_mut();
        *headers = common_headers(wishes.content_type);
        headers.insert(header::VARY, HeaderValue::from_static("accept"));
        if is_head {
            without_body(&mut response);
        }
        response
    }
}

impl<B> Service<Request<B>> for Endpoints {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer(&request)))
    }
}

/// How the probe wants its answer.
struct Wishes {
    format: Format,
    content_type: &'static str,
    excluded: BTreeSet<String>,
}

impl Wishes {
    fn of<B>(request: &Request<B>) -> Self {
        let mut verbose = false;
        let mut excluded = BTreeSet::new();
        let query = request.uri().query().unwrap_or_default();
        for (key, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*key {
                "verbose" => verbose = true,
                // Each is looked at once, and the length of a request's head is limited.
                "exclude" => _ = excluded.insert(value.into_owned()),
                _ => {}
            }
        }
        let json = accept::json(request.headers());
        let format = match json {
            Some(_) => Format::Json,
            None if verbose => Format::Verbose,
            None => Format::Text,
        };
        Self {
            format,
            content_type: json.unwrap_or(TEXT),
            excluded,
        }
    }
}

fn plain(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    *response.headers_mut() = common_headers(TEXT);
    response
}

/// For HEAD: only how long it would be.
fn without_body(response: &mut Response<Full<Bytes>>) {
    let body = std::mem::take(response.body_mut());
    if let Some(length) = body.size_hint().exact() {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn common_headers(content_type: &'static str) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(5);
    let content_type = HeaderValue::from_static(content_type);
    headers.insert(header::CONTENT_TYPE, content_type);
    let no_store = HeaderValue::from_static("no-store");
    headers.insert(header::CACHE_CONTROL, no_store);
    // Names to exclude are repeated in the answer. No browser shall take it for HTML.
    let no_sniff = HeaderValue::from_static("nosniff");
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, no_sniff);
    headers
}

const TEXT: &str = "text/plain; charset=utf-8";
