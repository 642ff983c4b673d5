//! What a request is for, its target and its host (RFC 9112, section 3), and how long it may be.

use super::Refusal;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Version, header};

/// Refuses a target that cannot be passed on. Once it is on the way, whatever is wrong with it would
/// pass for the upstream's failure, and a few such requests cut the upstream off from everybody.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let path = request.uri().path();
    let of_all = path == "*" && *request.method() == Method::OPTIONS;
    let target = request.uri().path_and_query();
    let written = target.is_some_and(|target| target.as_str().is_ascii());
    if !written || !of_all && !path.starts_with('/') {
        let refusal = "the target must be a path or a URL, in ASCII";
        return Err((StatusCode::BAD_REQUEST, refusal));
    }
    Ok(())
}

/// Refuses a head that is too long, as HTTP/2 counts it (RFC 9113, section 6.5.2).
pub(super) fn check_length<B>(request: &Request<B>) -> Result<(), Refusal> {
    let target = request.uri().path_and_query();
    let target = target.map_or(0, |target| target.as_str().len());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| name.as_str().len() + value.len() + 32);
    if target > LONGEST_TARGET {
        let refusal = "the target may have 8 KiB";
        return Err((StatusCode::URI_TOO_LONG, refusal));
    }
    if target + fields.sum::<usize>() > LONGEST_HEAD {
        let refusal = "the head may have 15 KiB";
        return Err((StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, refusal));
    }
    Ok(())
}

const LONGEST_TARGET: usize = 8 * 1024;

/// Servers take 16 KiB as a rule. The layers of the upstream add to it, such as a deadline.
const LONGEST_HEAD: usize = 15 * 1024;

/// For whom a request is: by its target, or else by its only `Host` (RFC 9112, section 3.2).
pub(super) fn host_of<B>(request: &Request<B>) -> Result<Option<HeaderValue>, Refusal> {
    let uri = request.uri();
    let mut fields = request.headers().get_all(header::HOST).iter();
    let target = uri.authority().map(|target| target.as_str().as_bytes());
    let field = fields.next().map(HeaderValue::as_bytes);
    let host = target.or(field);
    let enough = match request.version() {
        Version::HTTP_10 => true,
        Version::HTTP_11 => field.is_some(),
        _ => host.is_some(),
    };
    let schemes = [None, Some(&Scheme::HTTP), Some(&Scheme::HTTPS)];
    let by_http = schemes.contains(&uri.scheme());
    let one =
        enough && fields.next().is_none() && target.iter().chain(&field).all(|host| is_host(host));
    match host.map(HeaderValue::from_bytes).transpose() {
        Ok(host) if one && by_http => Ok(host),
        _ => {
            let refusal = "the request must be for one host, by http";
            Err((StatusCode::BAD_REQUEST, refusal))
        }
    }
}

/// Whether it is the name of a host, with a port at most. Names with a comma are two.
fn is_host(host: &[u8]) -> bool {
    let Ok(authority) = Authority::try_from(host) else {
        return false;
    };
    let (host, port) = (authority.host(), authority.port());
    let digits = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    let valid = match port {
        Some(port) => digits(port.as_str()),
        None => authority.as_str() == host,
    };
    valid && !host.is_empty() && !host.contains(',') && !authority.as_str().contains('@')
}
