//! A reverse proxy that is protected from a file.
//!
//! Which requests may come, how many, and how long they may take, the file says; and how the
//! upstreams are called. What is here is what remains: which upstream a request is for, and what a
//! proxy does to headers.
//!
//! - Hop-by-hop fields are removed, in both directions (RFC 9110, section 7.6.1); `TE: trailers`
//!   stays, because gRPC asks for it.
//! - `Host` is passed on as the client sent it, whatever `Connection` says. An HTTP/2 request has it
//!   from its authority.
//! - The client's address is added to `X-Forwarded-For`, to what is there already; so an upstream
//!   must count hops from the right. `X-Forwarded-Proto` and `X-Forwarded-Host` are replaced.
//! - Bodies are streams, in both directions, and trailers pass.
//! - gRPC goes over HTTP/2, everything else over HTTP/1.1.

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::{IntoResponse, Response};
use buttress::protocol::is_grpc;
use buttress::repeat::ReplayBody;
use buttress::{Http, Protocol, Reject, Rejection};
use buttress_config::Rules;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, Version, header};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

/// The upstreams, by name. The first one gets what is for none of the others.
#[derive(Clone)]
struct Gateway {
    upstreams: Arc<[(String, Origin)]>,
}

type Origin = BoxCloneSyncService<Request, Response, BoxError>;

/// The gateway to some upstreams, each with its name in the file and its address. A request is for
/// the upstream whose name is the first segment of its path, or else for the first one.
///
/// # Errors
///
/// The file has no upstream of that name, or there are none at all.
pub fn app(rules: &Rules, upstreams: &[(String, Authority)]) -> Result<Router, BoxError> {
    if upstreams.is_empty() {
        return Err("there must be an upstream".into());
    }
    let protected = upstreams.iter().map(|(name, address)| {
        let layer = rules.upstream(name)?;
        let client = ServiceBuilder::new()
            .layer(layer)
            .service(client(address.clone()));
        let origin = client.map_response(|response: http::Response<_>| response.map(Body::new));
        Ok((name.clone(), BoxCloneSyncService::new(origin)))
    });
    let upstreams = protected.collect::<Result<_, BoxError>>()?;
    Ok(Router::new()
        .fallback(proxy)
        .layer(rules.server())
        .with_state(Gateway { upstreams }))
}

/// Serves the gateway, HTTP/1 and HTTP/2 without TLS.
///
/// # Errors
///
/// The listener fails.
pub async fn serve(listener: TcpListener, app: Router) -> std::io::Result<()> {
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, app).await
}

/// Calls one address: gRPC over HTTP/2, and everything else over HTTP/1.1.
fn client(
    address: Authority,
) -> impl tower::Service<
    http::Request<ReplayBody<Body>>,
    Response = http::Response<hyper::body::Incoming>,
    Error = BoxError,
    Future: Send + 'static,
> + Clone
+ Send
+ Sync
+ 'static {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let mut builder = Client::builder(TokioExecutor::new());
    builder
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new());
    let http1: Client<_, ReplayBody<Body>> = builder.build(connector.clone());
    let http2: Client<_, ReplayBody<Body>> = builder.http2_only(true).build(connector);
    service_fn(move |mut request: http::Request<ReplayBody<Body>>| {
        let over_http2 = is_grpc(request.headers());
        let target = target(request.uri(), &address);
        let called = target.map(|uri| {
            *request.uri_mut() = uri;
            let (client, version) = if over_http2 {
                (&http2, Version::HTTP_2)
            } else {
                (&http1, Version::HTTP_11)
            };
            *request.version_mut() = version;
            client.request(request)
        });
        async move { Ok(called?.await?) }
    })
}

fn target(uri: &Uri, address: &Authority) -> Result<Uri, http::Error> {
    let rest = uri.path_and_query().cloned();
    Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(address.clone())
        .path_and_query(rest.unwrap_or(PathAndQuery::from_static("/")))
        .build()
}

async fn proxy(
    State(gateway): State<Gateway>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
) -> Response {
    forward(&mut request, peer);
    let upstream = gateway.upstream(request.uri().path());
    let asked = Http::new().remember(&request);
    let error = match upstream.oneshot(request).await {
        Ok(mut response) => {
            remove_hop_by_hop(response.headers_mut());
            return response;
        }
        Err(error) => error,
    };
    let Some(rejection) = Rejection::find(&*error) else {
        return (StatusCode::BAD_GATEWAY, "the upstream cannot be reached").into_response();
    };
    let answer: Result<Response, Infallible> =
        Reject::<Request, _, _>::reject(&Http::new(), asked, *rejection);
    answer.unwrap_or_else(|never| match never {})
}

impl Gateway {
    fn upstream(&self, path: &str) -> Origin {
        let first = path.split('/').nth(1).unwrap_or_default();
        let named = self.upstreams.iter().find(|(name, _)| name == first);
        // There is a first one; `app` has seen to that.
        named.unwrap_or(&self.upstreams[0]).1.clone()
    }
}

/// Makes of a client's request a proxy's.
fn forward(request: &mut Request, peer: SocketAddr) {
    let authority = request.uri().authority().map(Authority::to_string);
    let headers = request.headers_mut();
    let host = authority.and_then(|host| host.parse().ok());
    let host = host.or_else(|| headers.get(header::HOST).cloned());
    let trailers = headers
        .get(header::TE)
        .is_some_and(|te| te.as_bytes().eq_ignore_ascii_case(b"trailers"));
    remove_hop_by_hop(headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    // What the client says there of itself must not pass, whether or not there is a better answer.
    headers.remove(FORWARDED_HOST);
    if let Some(host) = host {
        headers.insert(FORWARDED_HOST, host.clone());
        headers.insert(header::HOST, host);
    }
    if let Ok(client) = peer.ip().to_canonical().to_string().parse() {
        headers.append(FORWARDED_FOR, client);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
}

/// What is between two neighbours only.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        // It says for whom the request is, and that is not between neighbours, whoever says so.
        .filter(|name| name != header::HOST)
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
