//! A reverse proxy that is protected from a file.
//!
//! Which requests may come, how many, and how long they may take, the file says; and how the
//! upstreams are called. Of the fields that a file leaves to the application, this one has two:
//! `x-address`, where an upstream is, and `x-prefix`, which paths are for it. They are read once.
//! What is here besides is what a proxy does to a request (RFC 9110, section 7.6):
//!
//! - Fields between neighbours are removed, in both directions; `TE: trailers` stays, since gRPC
//!   asks for it. `Expect` ends here, because the client is told to go on from here.
//! - The upstream is called by its own address, over HTTP/1.1 and over HTTP/2 (gRPC) alike, and
//!   `X-Forwarded-Host` says for whom the request was. Were it called by the client's word,
//!   connections to it would be as many as there are names that clients make up.
//! - The client's address is added to `X-Forwarded-For`, and `Via` gets the proxy's name, to what is
//!   there already: count from the right. `X-Forwarded-Proto` and `X-Forwarded-Host` are replaced,
//!   and `Forwarded` is removed.
//! - A request for nobody in particular (no `Host`, two of them, one with a user's name) is refused
//!   with 400. Tunnels (`CONNECT`, websockets) are refused with 501, as a call through one has no
//!   end that a policy could see; other upgrades are not made, which HTTP allows.
//! - Bodies are streams, in both directions, and trailers pass. Interim answers (1xx) don't: hyper
//!   cannot send them.

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt as _;
use buttress::protocol::is_grpc;
use buttress::repeat::ReplayBody;
use buttress::{BrokenRequest, Http, Protocol, Reject, Rejection};
use buttress_config::{Document, Rules};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version, header};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::{Client, ResponseFuture};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::Value;
use std::cmp::Reverse;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// Serves HTTP/1 and HTTP/2, without TLS, for the upstreams of a file, by rules that may change.
///
/// # Errors
///
/// An upstream's `x-address` is missing or is not `HOST:PORT`, or its `x-prefix` is not a path.
pub fn serve(
    listener: TcpListener,
    rules: &Rules,
    file: &Document,
) -> Result<impl Future<Output = std::io::Result<()>> + Send + use<>, BoxError> {
    let mut upstreams = Vec::new();
    for (name, prefix, address) in upstreams_of(file)? {
        let origin = Arc::new(Origin::new(address));
        let origin = service_fn(move |request| origin.call(request));
        let origin = origin.map_err(BoxError::from);
        upstreams.push((prefix, rules.upstream(&name)?.layer(origin)));
    }
    upstreams.sort_by_key(|(prefix, _)| Reverse(prefix.len()));
    let upstreams: Arc<[_]> = upstreams.into();
    // Without axum's router, which gives answers to `HEAD` a length that they don't have.
    let app = service_fn(move |request| proxy(Arc::clone(&upstreams), request));
    let app = rules.server().layer(app);
    let app = app.map_response(|response: http::Response<_>| response.map(Body::new));
    let app = axum::ServiceExt::into_make_service_with_connect_info::<SocketAddr>(app);
    let listener = listener.tap_io(|connection| {
        // Parts of a stream must not wait for one another. If it fails, they may.
        let _ = connection.set_nodelay(true);
    });
    Ok(axum::serve(listener, app).into_future())
}

/// Each upstream's name, the beginning of its paths without the slash at its end, and its address.
fn upstreams_of(file: &Document) -> Result<Vec<(String, String, Authority)>, BoxError> {
    let file = Value::from(file.root());
    let all = file["upstream"].as_object().into_iter().flatten();
    let each = all.map(|(name, upstream)| {
        let wrong = |what| format!("upstream.{name}.{what}");
        let address = upstream["x-address"].as_str().unwrap_or_default();
        let address = address.parse().ok();
        let address = address.filter(|it: &Authority| !it.as_str().contains('@'));
        let address = address.ok_or_else(|| wrong("x-address must be \"HOST:PORT\""))?;
        let prefix = upstream.get("x-prefix").map_or(Some("/"), Value::as_str);
        let prefix = prefix.filter(|prefix| prefix.starts_with('/'));
        let prefix = prefix.ok_or_else(|| wrong("x-prefix must begin with \"/\""))?;
        Ok((name.clone(), prefix.trim_end_matches('/').into(), address))
    });
    each.collect()
}

/// Where an upstream is, and the connections to it: gRPC goes over HTTP/2, all else over HTTP/1.1.
struct Origin {
    address: Authority,
    http1: Client<HttpConnector, ReplayBody<Body>>,
    http2: Client<HttpConnector, ReplayBody<Body>>,
}

impl Origin {
    fn new(address: Authority) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new());
        Self {
            address,
            http1: builder.build(connector.clone()),
            http2: builder.http2_only(true).build(connector),
        }
    }

    fn call(&self, mut request: http::Request<ReplayBody<Body>>) -> ResponseFuture {
        let rest = request.uri().path_and_query().map_or("/", |it| it.as_str());
        let uri = Uri::builder().scheme(Scheme::HTTP).path_and_query(rest);
        // hyper refuses the one that is there instead of an invalid one.
        let uri = uri.authority(self.address.clone()).build();
        *request.uri_mut() = uri.unwrap_or_default();
        // hyper writes it from the address.
        request.headers_mut().remove(header::HOST);
        if is_grpc(request.headers()) {
            *request.version_mut() = Version::HTTP_2;
            return self.http2.request(request);
        }
        *request.version_mut() = Version::HTTP_11;
        if request.headers().contains_key(header::TE) {
            let named = HeaderValue::from_static("te");
            request.headers_mut().insert(header::CONNECTION, named);
        }
        // Or hyper would leave out the body of a GET.
        let body = request.body();
        if !body.is_end_stream() && body.size_hint().exact().is_none() {
            let chunked = HeaderValue::from_static("chunked");
            let headers = request.headers_mut();
            if !headers.contains_key(header::CONTENT_LENGTH) {
                headers.insert(header::TRANSFER_ENCODING, chunked);
            }
        }
        self.http1.request(request)
    }
}

async fn proxy<S, B>(
    upstreams: Arc<[(String, S)]>,
    mut request: Request,
) -> Result<Response, Infallible>
where
    S: Service<Request, Response = http::Response<B>, Error = BoxError> + Clone,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    if let Err(refusal) = forward(&mut request) {
        return Ok(refusal.into_response());
    }
    let path = request.uri().path();
    let upstream = upstreams.iter().find(|(prefix, _)| is_under(path, prefix));
    let Some((_, upstream)) = upstream else {
        return Ok((StatusCode::NOT_FOUND, "no upstream has this path").into_response());
    };
    let asked = Http::new().remember(&request);
    match upstream.clone().oneshot(request).await {
        // Nobody has asked for it, so there is nobody who could speak the other protocol.
        Ok(response) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {}
        Ok(response) if is_coded(response.headers()) => {}
        Ok(mut response) => {
            remove_hop_by_hop(response.headers_mut());
            return Ok(response.map(Body::new));
        }
        Err(error) => {
            if let Some(rejection) = Rejection::find(&*error) {
                return Reject::<Request, _, _>::reject(&Http::new(), asked, *rejection);
            }
            if BrokenRequest::find(&*error).is_some() {
                return Ok((StatusCode::BAD_REQUEST, "the body broke off").into_response());
            }
        }
    }
    Ok((StatusCode::BAD_GATEWAY, "the upstream does not answer").into_response())
}

fn is_under(path: &str, prefix: &str) -> bool {
    let rest = path.strip_prefix(prefix);
    rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

type Refusal = (StatusCode, &'static str);

/// Makes of a client's request a proxy's.
fn forward(request: &mut Request) -> Result<(), Refusal> {
    let websocket = has_member(request.headers(), header::UPGRADE, "websocket");
    if websocket || request.method() == Method::CONNECT {
        return Err((StatusCode::NOT_IMPLEMENTED, "tunnels are not made here"));
    }
    if is_coded(request.headers()) {
        return Err((StatusCode::NOT_IMPLEMENTED, "bodies are chunked at most"));
    }
    let host = host_of(request)?;
    let via = HeaderValue::from_static(match request.version() {
        Version::HTTP_10 => "1.0 gateway",
        Version::HTTP_2 => "2.0 gateway",
        _ => "1.1 gateway",
    });
    let peer: Option<&ConnectInfo<SocketAddr>> = request.extensions().get();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string());
    let headers = request.headers_mut();
    let trailers = has_member(headers, header::TE, "trailers");
    remove_hop_by_hop(headers);
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
    for name in ["expect", "forwarded", "x-forwarded-host"] {
        headers.remove(name);
    }
    // HTTP/2 may send each cookie in a field of its own, HTTP/1 must not (RFC 9113, section 8.2.3).
    let cookies = headers.get_all(header::COOKIE).iter();
    let cookies: Vec<_> = cookies.map(HeaderValue::as_bytes).collect();
    if let (2.., Ok(all)) = (cookies.len(), cookies.join(&b"; "[..]).try_into()) {
        headers.insert(header::COOKIE, all);
    }
    if let Some(host) = host {
        // The layers around the client tell requests apart by it.
        headers.insert(header::HOST, host.clone());
        headers.insert("x-forwarded-host", host);
    }
    if let Some(Ok(client)) = peer.map(HeaderValue::try_from) {
        headers.append("x-forwarded-for", client);
    }
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    headers.append(header::VIA, via);
    Ok(())
}

/// For whom a request is: by its target, or else by its only `Host` (RFC 9112, section 3.2).
fn host_of(request: &Request) -> Result<Option<HeaderValue>, Refusal> {
    let mut fields = request.headers().get_all(header::HOST).iter();
    let host = match (request.uri().authority(), fields.next(), fields.next()) {
        (Some(authority), _, _) => HeaderValue::from_str(authority.as_str()).ok(),
        (None, None, _) if request.version() == Version::HTTP_10 => return Ok(None),
        (None, only, None) => only.cloned(),
        _ => None,
    };
    let host = host.filter(|host| {
        !host.as_bytes().contains(&b'@') && Authority::try_from(host.as_bytes()).is_ok()
    });
    let refusal = (StatusCode::BAD_REQUEST, "the request must be for one host");
    host.map(Some).ok_or(refusal)
}

/// What a field says, member by member.
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = headers.get_all(name).into_iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

fn has_member(headers: &HeaderMap, name: HeaderName, member: &str) -> bool {
    members(headers, name).any(|each| each.eq_ignore_ascii_case(member))
}

/// Whether a body is more than chunked, which would be lost on the way (RFC 9112, section 6.1).
fn is_coded(headers: &HeaderMap) -> bool {
    members(headers, header::TRANSFER_ENCODING).any(|one| !one.eq_ignore_ascii_case("chunked"))
}

/// What is between two neighbours only.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = members(headers, header::CONNECTION).filter_map(|name| name.parse().ok());
    let named: Vec<HeaderName> = named.collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

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
