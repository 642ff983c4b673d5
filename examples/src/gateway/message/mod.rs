//! What HTTP demands of any proxy, whatever protects it (RFC 9110, section 7.6).
//!
//! - Fields between neighbours are removed, in both directions; `TE: trailers` stays, since gRPC
//!   asks for it. `Expect` ends here, as the upstream's word would not reach the client (1xx, see below). Over
//!   HTTP/1 the client is told to go on once its request is let in; over HTTP/2, for which hyper has no
//!   such word, it goes on when it has waited long enough.
//! - The upstream is called by its own address, in the version that the file says, whatever the
//!   client speaks, and `X-Forwarded-Host` says for whom the request was. Were it called by the client's word,
//!   connections to it would be as many as there are names that clients make up.
//! - The client's address is added to `X-Forwarded-For`, and `Via` gets the proxy's name, to what is
//!   there already: count from the right. `X-Forwarded-Proto` and `X-Forwarded-Host` are replaced,
//!   and `Forwarded` is removed. The former is the scheme of the target, and `http` where there is none,
//!   as over HTTP/1: in front of it there is nobody, or somebody who ends TLS and says so by the `:scheme`
//!   of HTTP/2.
//! - A request that is not for one host (no `Host`, two of them, one with a user's name) or not by
//!   `http` or `https` is refused with 400, and so is a target that is neither a path nor a URL (but for
//!   `OPTIONS *`).
//! - A head that is longer than an upstream of HTTP/2 takes would end the connection that everybody's
//!   calls to it share: it is refused with 431, or with 414 where it is the target.
//! - Tunnels (`CONNECT`, websockets) are refused with 501, as a call through one has no end that a
//!   policy could see, and so is `TRACE`. Other upgrades are not made, which HTTP allows. How many
//!   proxies an `OPTIONS` may still pass is counted down.
//! - Trailers pass as they are. A client can give any name to one, `X-Forwarded-For` too: an upstream
//!   must not take them for fields of the head (RFC 9110, section 6.5.1).
//! - Interim answers (1xx) don't pass: hyper cannot send them.

mod target;

use super::Upstream;
use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use buttress::protocol::is_grpc;
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http::{StatusCode, Uri, Version, header};
use std::mem;
use std::net::SocketAddr;

/// What the client gets instead of the upstream's answer.
pub(super) type Refusal = (StatusCode, &'static str);

/// Makes of a client's request a proxy's.
pub(super) fn from_client<B>(request: &mut Request<B>) -> Result<(), Refusal> {
    let (method, headers) = (request.method(), request.headers());
    let tunnel = *method == Method::CONNECT || has_member(headers, header::UPGRADE, "websocket");
    if tunnel || *method == Method::TRACE {
        let refusal = "neither tunnels nor traces are made here";
        return Err((StatusCode::NOT_IMPLEMENTED, refusal));
    }
    if is_coded(headers) {
        return Err((StatusCode::NOT_IMPLEMENTED, "bodies are chunked at most"));
    }
    target::check(request)?;
    let host = target::host_of(request)?;
    let secure = request.uri().scheme() == Some(&Scheme::HTTPS);
    let proto = HeaderValue::from_static(if secure { "https" } else { "http" });
    let via = HeaderValue::from_static(match request.version() {
        Version::HTTP_10 => "1.0 gateway",
        Version::HTTP_2 => "2.0 gateway",
        _ => "1.1 gateway",
    });
    let peer: Option<&ConnectInfo<SocketAddr>> = request.extensions().get();
    let peer = peer.map(|ConnectInfo(peer)| peer.ip().to_canonical().to_string());
    let may_end_here = *method == Method::OPTIONS;
    let headers = request.headers_mut();
    if may_end_here {
        count_down(headers)?;
    }
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
    headers.insert("x-forwarded-proto", proto);
    headers.append(header::VIA, via);
    target::check_length(request)
}

/// Whether a call is gRPC's own, and so needs HTTP/2. That of browsers, gRPC-Web, does not.
pub(super) fn needs_http2(headers: &HeaderMap) -> bool {
    let content_type = headers.get(header::CONTENT_TYPE);
    let start = content_type.and_then(|it| it.as_bytes().get(..WEB.len()));
    is_grpc(headers) && !start.is_some_and(|start| start.eq_ignore_ascii_case(WEB))
}

const WEB: &[u8] = b"application/grpc-web";

/// What a client of gRPC gets from an upstream that has none: `UNIMPLEMENTED`.
pub(super) fn no_grpc() -> Response<Body> {
    let status = [
        ("content-type", "application/grpc"),
        ("grpc-status", "12"),
        ("grpc-message", "this upstream has no gRPC"),
    ];
    (status, ()).into_response()
}

/// Addresses a proxy's request to an upstream.
pub(super) fn to_upstream<B: HttpBody>(request: &mut Request<B>, upstream: &Upstream) {
    let mut uri = mem::take(request.uri_mut()).into_parts();
    (uri.scheme, uri.authority) = (Some(Scheme::HTTP), Some(upstream.address.clone()));
    // It is valid, as only targets are passed on that are paths.
    *request.uri_mut() = Uri::from_parts(uri).unwrap_or_default();
    let version = if upstream.http2 {
        Version::HTTP_2
    } else {
        Version::HTTP_11
    };
    *request.version_mut() = version;
    let body = request.body();
    let unknown_length = !body.is_end_stream() && body.size_hint().exact().is_none();
    let headers = request.headers_mut();
    // hyper writes it from the address.
    headers.remove(header::HOST);
    if version == Version::HTTP_11 {
        if headers.contains_key(header::TE) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
        // Or hyper would leave out the body of a GET.
        if unknown_length && !headers.contains_key(header::CONTENT_LENGTH) {
            let chunked = HeaderValue::from_static("chunked");
            headers.insert(header::TRANSFER_ENCODING, chunked);
        }
    }
}

/// Makes of an upstream's answer a proxy's.
pub(super) fn from_upstream<B>(response: &mut Response<B>) -> Result<(), Refusal> {
    // Nobody has asked for it, so there is nobody who could speak the other protocol.
    let switched = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if switched || is_coded(response.headers()) {
        return Err((StatusCode::BAD_GATEWAY, NO_ANSWER));
    }
    let headers = response.headers_mut();
    if headers.contains_key(header::TRANSFER_ENCODING) {
        // It does not hold, and hyper leaves it there (RFC 9112, section 6.3).
        headers.remove(header::CONTENT_LENGTH);
    }
    if !has_one_length(headers) {
        return Err((StatusCode::BAD_GATEWAY, NO_ANSWER));
    }
    remove_hop_by_hop(headers);
    // Of the connection to the upstream, and none of the client's business.
    *response.version_mut() = Version::HTTP_11;
    Ok(())
}

const NO_ANSWER: &str = "the upstream's answer is none that could be passed on";

/// Whether the length is one number, if there is any. The client would have to guess.
fn has_one_length(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let first = lengths.next();
    first.is_none_or(|length| number(length).is_some()) && lengths.next().is_none()
}

/// A number as HTTP writes it, in digits.
fn number(value: &HeaderValue) -> Option<u64> {
    let digits = value.to_str().ok()?;
    let digits = Some(digits).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    digits?.parse().ok()
}

/// How many proxies an `OPTIONS` may still pass (RFC 9110, section 7.6.2).
fn count_down(headers: &mut HeaderMap) -> Result<(), Refusal> {
    let mut fields = headers.get_all(header::MAX_FORWARDS).iter();
    let most = match (fields.next(), fields.next()) {
        (None, _) => return Ok(()),
        (Some(most), None) => number(most),
        (Some(_), Some(_)) => None,
    };
    let refusal = (StatusCode::BAD_REQUEST, "Max-Forwards must be one number");
    let others = most.ok_or(refusal)?.checked_sub(1);
    let others = others.ok_or((StatusCode::OK, "it ends here"))?;
    headers.insert(header::MAX_FORWARDS, others.into());
    Ok(())
}

/// Whether a field's list has this member, whose case does not matter.
fn has_member(headers: &HeaderMap, name: HeaderName, member: &str) -> bool {
    members(headers, name).any(|each| each.eq_ignore_ascii_case(member.as_bytes()))
}

/// In bytes, as one that is no text must not hide the members beside it.
fn members(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name).into_iter();
    let members = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    members.map(<[u8]>::trim_ascii)
}

/// Whether a body is more than chunked once, which would be lost on the way (RFC 9112, section 6.1).
fn is_coded(headers: &HeaderMap) -> bool {
    let codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let chunked = |coding: &HeaderValue| coding.as_bytes().eq_ignore_ascii_case(b"chunked");
    codings
        .enumerate()
        .any(|(index, coding)| index > 0 || !chunked(coding))
}

/// What is between two neighbours only.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named = members(headers, header::CONNECTION);
    let named: Vec<_> = named.flat_map(HeaderName::from_bytes).collect();
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
