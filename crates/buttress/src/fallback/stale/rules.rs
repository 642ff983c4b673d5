//! What may be stored, for how long, and what is an error: RFC 9111 and RFC 5861.

use super::layer::Limits;
use crate::sharing::{CacheControl, is_for_everybody, seconds};
use buttress_core::Rejection;
use http::{HeaderMap, Method, Response, StatusCode, header};
use std::time::Duration;

/// For how long a response can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    /// Its age when it arrived.
    pub(super) age: Duration,
    /// The age up to which it is fresh.
    pub(super) fresh: Duration,
    /// For how long it can be used after that.
    pub(super) stale: Duration,
}

/// For how long a response may be stored for everybody, if it may.
pub(super) fn lifetime<B>(response: &Response<B>, limits: &Limits) -> Option<Lifetime> {
    if response.status() != StatusCode::OK {
        return None;
    }
    let headers = response.headers();
    let control = CacheControl::of(headers);
    let forbidden = control.no_cache || control.must_revalidate;
    if forbidden || !is_for_everybody(headers, &control) {
        return None;
    }
    let stale = match control.stale_if_error {
        Some(seconds) => Duration::from_secs(seconds.into()),
        // `s-maxage` alone forbids shared caches to use what is stale (RFC 9111, section 5.2.2.10).
        None if control.s_maxage.is_some() => return None,
        None => limits.unless_told?,
    };
    let stale = stale.min(limits.longest);
    if stale.is_zero() {
        return None;
    }
    let fresh = control.s_maxage.or(control.max_age).unwrap_or(0);
    let age = headers
        .get(header::AGE)
        .map_or(0, |age| seconds(age.as_bytes()));
    Some(Lifetime {
        age: Duration::from_secs(age.into()),
        fresh: Duration::from_secs(fresh.into()),
        stale,
    })
}

/// Whether the call ended in an error for which something stale may be used: where the answer is
/// or would be a 500, 502, 503 or 504 (RFC 5861, section 4), or a refusal.
pub(super) fn is_error<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Rejection>().is_some()
        || matches!(response.status().as_u16(), 500 | 502 | 503 | 504)
}

/// Whether what is stored is out of date with this answer to a later request for it.
pub(super) fn replaces<B>(response: &Response<B>) -> bool {
    let status = response.status();
    status.is_success()
        || status.is_redirection()
        || matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE)
}

/// Whether a request with this method may change what it is for (RFC 9110, section 9.2.1).
pub(super) fn is_unsafe(method: &Method) -> bool {
    !matches!(
        *method,
        Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE
    )
}

/// What is stored of the header fields: not those of the connection (RFC 9111, section 3.1), nor
/// the age, which is told anew. The values are copied, since each may be a part of a whole
/// connection's buffer.
pub(super) fn stored_fields(headers: &HeaderMap) -> HeaderMap {
    let mut stored = HeaderMap::with_capacity(headers.len());
    let named = |name: &http::HeaderName| {
        headers.get_all(header::CONNECTION).iter().any(|value| {
            let names = value.as_bytes().split(|byte| *byte == b',');
            names
                .map(<[u8]>::trim_ascii)
                .any(|connection| connection.eq_ignore_ascii_case(name.as_str().as_bytes()))
        })
    };
    for (name, value) in headers {
        let of_the_connection = matches!(
            *name,
            header::CONNECTION
                | header::PROXY_AUTHENTICATE
                | header::TE
                | header::TRAILER
                | header::TRANSFER_ENCODING
                | header::UPGRADE
                | header::AGE
        ) || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "proxy-authentication-info"
        ) || named(name);
        if !of_the_connection && let Ok(copy) = http::HeaderValue::from_bytes(value.as_bytes()) {
            stored.append(name.clone(), copy);
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LIMITS: Limits = Limits {
        longest: Duration::from_secs(1_000),
        unless_told: None,
    };

    fn response(fields: &[(&'static str, &str)]) -> Response<()> {
        let mut response = Response::builder();
        for (name, value) in fields {
            response = response.header(*name, *value);
        }
        response.body(()).unwrap()
    }

    fn usable(fields: &[(&'static str, &str)], limits: &Limits) -> Option<(u64, u64)> {
        let lifetime = lifetime(&response(fields), limits)?;
        let usable = lifetime.fresh + lifetime.stale;
        Some((lifetime.age.as_secs(), usable.as_secs()))
    }

    #[test]
    fn a_lifetime_is_what_the_response_says_and_the_user_allows() {
        let control = |value| usable(&[("cache-control", value)], &LIMITS);
        assert_eq!(control("max-age=60, stale-if-error=300"), Some((0, 360)));
        assert_eq!(control("stale-if-error=300"), Some((0, 300)));
        assert_eq!(
            control("stale-if-error=9999999, max-age=5"),
            Some((0, 1005))
        );
        assert_eq!(
            control("s-maxage=7, max-age=5, stale-if-error=1"),
            Some((0, 8))
        );
        let aged = [("cache-control", "stale-if-error=5"), ("age", "3")];
        assert_eq!(usable(&aged, &LIMITS), Some((3, 5)));
        for not_stored in [
            "max-age=60",
            "stale-if-error=0",
            "stale-if-error=x",
            "stale-if-error=5, private",
            "stale-if-error=5, no-store",
            "stale-if-error=5, no-cache",
            "stale-if-error=5, must-revalidate",
            "stale-if-error=5, proxy-revalidate",
        ] {
            assert_eq!(control(not_stored), None, "{not_stored}");
        }
        let told = Limits {
            unless_told: Some(Duration::from_secs(100)),
            ..LIMITS
        };
        assert_eq!(usable(&[], &told), Some((0, 100)));
        assert_eq!(usable(&[("cache-control", "s-maxage=9")], &told), None);
        let cookie = [("set-cookie", "a=b")];
        assert_eq!(usable(&cookie, &told), None);
        let mut created = response(&[("cache-control", "stale-if-error=300")]);
        *created.status_mut() = StatusCode::PARTIAL_CONTENT;
        assert_eq!(lifetime(&created, &told), None);
    }

    #[test]
    fn fields_of_the_connection_and_the_age_are_not_stored() {
        let response = response(&[
            ("connection", "close, X-Hop"),
            ("x-hop", "gone"),
            ("keep-alive", "gone"),
            ("transfer-encoding", "gone"),
            ("age", "5"),
            ("etag", "\"kept\""),
            ("x-kept", "one"),
            ("x-kept", "two"),
        ]);
        let stored = stored_fields(response.headers());
        let kept = stored.get_all("x-kept").iter().count();
        assert_eq!((stored.len(), kept), (3, 2));
        assert_eq!(stored["etag"], "\"kept\"");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(name in "cache-control|age|vary|connection", value: Vec<u8>) {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                let mut response = Response::new(());
                let name = http::HeaderName::from_bytes(name.as_bytes()).unwrap();
                response.headers_mut().insert(name, value);
                let _ = lifetime(&response, &LIMITS);
                let _ = stored_fields(response.headers());
            }
        }
    }
}
