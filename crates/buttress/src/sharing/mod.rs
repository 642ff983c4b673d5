//! Which answers may be given to somebody else, and which requests ask for the same.
//!
//! A service that gives one user's answer to another has a worse problem than the one that
//! coalescing or a cache solves. So the rules err on one side: what is not known to be meant for
//! everybody is not shared. They are those of RFC 9111 for a shared cache, and stricter where that
//! is simpler.

mod cache_control;

pub(crate) use cache_control::{CacheControl, seconds};

use buttress_core::protocol::is_grpc;
use http::{HeaderMap, HeaderName, Method, Request, header};
use http_body::Body;
use std::hash::{Hash, Hasher};

/// Whether a request is one whose answer everybody may have who asks the same: a GET or HEAD
/// without a body, credentials, conditions, ranges, or the wish for an answer of its own.
#[inline]
pub(crate) fn is_anybodys<B: Body>(request: &Request<B>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
        && request.body().is_end_stream()
        && !request
            .uri()
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        && request.headers().iter().all(|(name, value)| match *name {
            header::AUTHORIZATION
            | header::PROXY_AUTHORIZATION
            | header::COOKIE
            | header::RANGE
            | header::IF_RANGE
            | header::IF_MATCH
            | header::IF_NONE_MATCH
            | header::IF_MODIFIED_SINCE
            | header::IF_UNMODIFIED_SINCE
            | header::UPGRADE
            | header::EXPECT
            | header::TRANSFER_ENCODING
            | header::PRAGMA => false,
            header::CONTENT_LENGTH => value == "0",
            header::CACHE_CONTROL => {
                let control = CacheControl::parse([value.as_bytes()]);
                !control.no_store && !control.no_cache && control.max_age != Some(0)
            }
            _ => true,
        })
        && !is_grpc(request.headers())
}

/// Whether a response is meant for everybody who asks the same, as [`Variant`] sees it: it sets no
/// cookie, is not `private` or `no-store`, and varies only with header fields that are compared.
pub(crate) fn is_for_everybody(headers: &HeaderMap, control: &CacheControl) -> bool {
    !control.no_store
        && !control.private
        && !headers.contains_key(header::SET_COOKIE)
        && headers.get_all(header::VARY).iter().all(|value| {
            value.as_bytes().split(|byte| *byte == b',').all(|name| {
                // A star would make a name, too, and means that nothing that can be compared decides.
                let name = name.trim_ascii();
                name != b"*" && HeaderName::from_bytes(name).is_ok_and(|name| is_compared(&name))
            })
        })
        && !is_grpc(headers)
}

/// What a request is for: its URI and its host.
#[derive(Debug)]
pub(crate) struct Resource<'a, B>(pub(crate) &'a Request<B>);

impl<B> Hash for Resource<'_, B> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self(request) = self;
        request.uri().hash(state);
        // No URI holds this byte.
        state.write_u8(0xff);
        if let Some(host) = request.headers().get(header::HOST) {
            host.as_bytes().hash(state);
        }
        // Nested routers see shortened paths; their templates are whole.
        #[cfg(feature = "axum")]
        if let Some(path) = request.extensions().get::<axum::extract::MatchedPath>() {
            path.as_str().hash(state);
        }
    }
}

/// How it is asked for: the header fields, but for those that are different each time and change
/// nothing, and `Cache-Control`, which is about how old an answer may be and not about what it is.
#[derive(Debug)]
pub(crate) struct Variant<'a>(pub(crate) &'a HeaderMap);

impl Hash for Variant<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for (name, value) in self.0 {
            if is_compared(name) {
                name.as_str().hash(state);
                value.as_bytes().hash(state);
            }
        }
    }
}

/// Fields that say who passed the request on, who follows its trace and what sent it. A response
/// that varies with one of them is not shared.
fn is_compared(name: &HeaderName) -> bool {
    !matches!(
        name.as_str(),
        "accept-charset"
            | "b3"
            | "baggage"
            | "cache-control"
            | "connection"
            | "content-length"
            | "date"
            | "dnt"
            | "forwarded"
            | "keep-alive"
            | "priority"
            | "te"
            | "traceparent"
            | "tracestate"
            | "user-agent"
            | "via"
            | "x-amzn-trace-id"
            | "x-cloud-trace-context"
            | "x-correlation-id"
            | "x-forwarded-for"
            | "x-forwarded-port"
            | "x-request-id"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use buttress_core::digest::Digester;
    use http_body_util::Empty;
    use proptest::prelude::*;

    type Asked = Request<Empty<bytes::Bytes>>;

    fn get(headers: &[(&'static str, &'static str)]) -> Asked {
        let mut request = Request::get("http://example.com/a?b=c");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Empty::new()).unwrap()
    }

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        get(fields).headers().clone()
    }

    fn shared(fields: &[(&'static str, &'static str)]) -> bool {
        let headers = headers(fields);
        is_for_everybody(&headers, &CacheControl::of(&headers))
    }

    #[test]
    fn a_request_with_credentials_conditions_or_wishes_is_nobody_elses() {
        assert!(is_anybodys(&get(&[])));
        assert!(is_anybodys(&get(&[
            ("accept", "*/*"),
            ("cache-control", "max-age=5")
        ])));
        for (name, value) in [
            ("authorization", "Bearer x"),
            ("proxy-authorization", "Basic x"),
            ("cookie", "a=b"),
            ("range", "bytes=0-1"),
            ("if-none-match", "*"),
            ("if-modified-since", "yesterday"),
            ("upgrade", "websocket"),
            ("content-length", "5"),
            ("transfer-encoding", "chunked"),
            ("cache-control", "No-Cache"),
            ("cache-control", "max-age=0"),
            ("cache-control", "no-store"),
            ("pragma", "no-cache"),
            ("content-type", "application/grpc"),
        ] {
            assert!(!is_anybodys(&get(&[(name, value)])), "{name}: {value}");
        }
        let mut post = get(&[]);
        *post.method_mut() = Method::POST;
        assert!(!is_anybodys(&post));
        let mut named = get(&[]);
        *named.uri_mut() = http::Uri::from_static("http://user:word@example.com/");
        assert!(!is_anybodys(&named));
        assert!(!is_anybodys(&get(&[]).map(|_| "a body".to_owned())));
    }

    #[test]
    fn a_response_for_one_user_is_not_for_everybody() {
        assert!(shared(&[]));
        assert!(shared(&[(
            "vary",
            "accept, Accept-Encoding,accept-language"
        )]));
        for (name, value) in [
            ("set-cookie", "a=b"),
            ("cache-control", "private"),
            ("cache-control", "max-age=5, no-store"),
            ("vary", "*"),
            ("vary", "accept, user-agent"),
            ("vary", "accept,,"),
            ("content-type", "application/grpc+proto"),
        ] {
            let mut fields = HeaderMap::new();
            if let Ok(parsed) = http::HeaderValue::from_bytes(value.as_bytes()) {
                fields.insert(name, parsed);
                let control = CacheControl::of(&fields);
                assert!(!is_for_everybody(&fields, &control), "{name}: {value:?}");
            }
        }
    }

    #[test]
    fn requests_are_told_apart_by_uri_host_and_what_may_change_the_answer() {
        let digester = Digester::new();
        let same = |one: &Asked, other: &Asked| {
            let of =
                |request: &Asked| digester.digest(&(Resource(request), Variant(request.headers())));
            of(one) == of(other)
        };
        assert!(same(
            &get(&[]),
            &get(&[("user-agent", "x"), ("traceparent", "y")])
        ));
        for field in ["host", "accept", "accept-encoding", "x-api-key", "x-tenant"] {
            assert!(!same(&get(&[]), &get(&[(field, "x")])), "{field}");
            assert!(
                !same(&get(&[(field, "x")]), &get(&[(field, "y")])),
                "{field}"
            );
        }
        let mut elsewhere = get(&[]);
        *elsewhere.uri_mut() = http::Uri::from_static("http://example.com/a?b=d");
        assert!(!same(&get(&[]), &elsewhere));
        *elsewhere.uri_mut() = http::Uri::from_static("http://example.org/a?b=c");
        assert!(!same(&get(&[]), &elsewhere));
        *elsewhere.uri_mut() = http::Uri::from_static("http://EXAMPLE.com/a?b=c");
        assert!(same(&get(&[]), &elsewhere));
    }

    proptest! {
        #[test]
        fn no_vary_makes_it_panic(value: Vec<u8>) {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                let mut headers = HeaderMap::new();
                headers.insert("vary", value);
                let _ = is_for_everybody(&headers, &CacheControl::of(&headers));
            }
        }
    }
}
