//! What a request is for: its target and its host (RFC 9112, section 3).

use super::Refusal;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Method, Request, StatusCode, Version, header};

/// Refuses a target that cannot be passed on. Once it is on the way, whatever is wrong with it would
/// pass for the upstream's failure, and a few such requests cut the upstream off from everybody.
pub(super) fn check<B>(request: &Request<B>) -> Result<(), Refusal> {
    let path = request.uri().path();
    let of_all = path == "*" && *request.method() == Method::OPTIONS;
    if !of_all && !path.starts_with('/') {
        let refusal = "the target must be a path or a URL";
        return Err((StatusCode::BAD_REQUEST, refusal));
    }
    Ok(())
}

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
    let valid = |host: &&[u8]| !host.contains(&b'@') && Authority::try_from(*host).is_ok();
    let by_http = uri.scheme().is_none_or(|scheme| *scheme == Scheme::HTTP);
    let one = enough && fields.next().is_none() && target.iter().chain(&field).all(valid);
    match host.map(HeaderValue::from_bytes).transpose() {
        Ok(host) if one && by_http => Ok(host),
        _ => {
            let refusal = "the request must be for one host, by http";
            Err((StatusCode::BAD_REQUEST, refusal))
        }
    }
}
