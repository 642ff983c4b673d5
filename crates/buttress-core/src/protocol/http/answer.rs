use super::dialect::Dialect;
use super::problem::{self, Meaning};
use super::quota_fields::announce;
use crate::quota::seconds_rounded_up;
use crate::rejection::{Reason, Rejection};
use ::http::{
    Extensions, HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header,
};
use bytes::Bytes;
use std::time::Duration;

/// What is remembered of a request in order to refuse it.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    dialect: Dialect,
}

impl Call {
    #[inline]
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        let dialect = Dialect::of(request.headers());
        Self { dialect }
    }

    /// The answer.
    pub(super) fn answer<B: From<Bytes>>(self, rejection: Rejection) -> Response<B> {
        self.answer_in(HeaderMap::new(), Extensions::new(), rejection)
    }

    /// The answer, made in the memory of a request that goes no further: it needs next to none of
    /// its own.
    pub(super) fn answer_to<B: From<Bytes>, C>(
        request: Request<C>,
        rejection: Rejection,
    ) -> Response<B> {
        let call = Self::of(&request);
        let (parts, body) = request.into_parts();
        drop(body);
        let (mut headers, mut extensions) = (parts.headers, parts.extensions);
        headers.clear();
        extensions.clear();
        call.answer_in(headers, extensions, rejection)
    }

    fn answer_in<B: From<Bytes>>(
        self,
        mut headers: HeaderMap,
        mut extensions: Extensions,
        rejection: Rejection,
    ) -> Response<B> {
        let dialect = self.dialect;
        headers.insert(header::CONTENT_TYPE, dialect.content_type());
        let meaning = problem::meaning(rejection.reason());
        let (status, body) = if dialect.is_grpc() {
            describe_in_grpc(&mut headers, &rejection, meaning);
            (StatusCode::OK, Bytes::new())
        } else {
            if let Some(wait) = rejection.wait() {
                headers.insert(header::RETRY_AFTER, retry_after(wait));
            }
            (meaning.status, problem::document(&rejection, meaning))
        };
        if let Some(quota) = rejection.exceeded() {
            announce(&mut headers, [*quota]);
        }
        extensions.insert(rejection);
        let mut response = Response::new(B::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        *response.extensions_mut() = extensions;
        response
    }
}

/// A trailers-only response: the status is in the headers, and there is no body.
fn describe_in_grpc(headers: &mut HeaderMap, rejection: &Rejection, meaning: &Meaning) {
    headers.insert(GRPC_STATUS, HeaderValue::from_static(meaning.grpc_status));
    headers.insert(GRPC_MESSAGE, grpc_message(rejection.reason()));
    if let Some(wait) = rejection.wait() {
        // A field of 32 bits (gRFC A6), rounded up like `Retry-After`.
        let milliseconds = wait.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
        headers.insert(GRPC_PUSHBACK, HeaderValue::from(milliseconds as u64));
    }
}

/// The message, percent-encoded as gRPC wants it. All of ours are printable ASCII without a
/// percent sign, which encode to themselves; a test holds them to it.
fn grpc_message(reason: Reason) -> HeaderValue {
    HeaderValue::from_static(reason.message())
}

/// Whole seconds, rounded up and at least 1: "try again at once" is never what a refusal means.
fn retry_after(wait: Duration) -> HeaderValue {
    let seconds = seconds_rounded_up(wait).max(1);
    match usize::try_from(seconds)
        .ok()
        .and_then(|index| SMALL.get(index))
    {
        Some(text) => HeaderValue::from_static(text),
        None => HeaderValue::from(seconds),
    }
}

/// The usual values, written already.
const SMALL: [&str; 61] = [
    "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15", "16",
    "17", "18", "19", "20", "21", "22", "23", "24", "25", "26", "27", "28", "29", "30", "31", "32",
    "33", "34", "35", "36", "37", "38", "39", "40", "41", "42", "43", "44", "45", "46", "47", "48",
    "49", "50", "51", "52", "53", "54", "55", "56", "57", "58", "59", "60",
];

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::Quota;

    fn refuse(content_type: Option<&str>, rejection: Rejection) -> Response<Bytes> {
        let mut request = Request::new(());
        if let Some(content_type) = content_type {
            let value = HeaderValue::from_str(content_type).unwrap();
            request.headers_mut().insert(header::CONTENT_TYPE, value);
        }
        request.extensions_mut().insert("the client's");
        Call::answer_to(request, rejection)
    }

    fn text(response: &Response<Bytes>, name: &str) -> Option<String> {
        let value = response.headers().get(name)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn http_is_answered_with_a_problem_document() {
        let rejection =
            Rejection::new(Reason::RateLimited, "pay").retry_after(Duration::from_millis(1_001));
        let response = refuse(Some("application/json"), rejection);
        assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(text(&response, "retry-after").unwrap(), "2");
        assert_eq!(
            text(&response, "content-type").unwrap(),
            "application/problem+json"
        );
        assert_eq!(response.extensions().get::<Rejection>(), Some(&rejection));
        assert_eq!(response.extensions().get::<&str>(), None);
        assert_eq!(response.headers().len(), 2);
    }

    #[test]
    fn grpc_is_answered_with_trailers_only() {
        let rejection =
            Rejection::new(Reason::RateLimited, "pay").retry_after(Duration::from_micros(1_500));
        let response = refuse(Some("application/grpc+proto"), rejection);
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(text(&response, "content-type").unwrap(), "application/grpc");
        assert_eq!(text(&response, "grpc-status").unwrap(), "8");
        assert_eq!(
            text(&response, "grpc-message").unwrap(),
            "the quota is used up"
        );
        assert_eq!(text(&response, "grpc-retry-pushback-ms").unwrap(), "2");
        assert!(response.body().is_empty());
    }

    #[test]
    fn a_quota_is_announced_in_structured_fields() {
        let quota = Quota {
            policy: "a \"quoted\" name",
            limit: 5,
            window: 10,
            remaining: 0,
            reset: 2,
        };
        let rejection = Rejection::new(Reason::RateLimited, quota.policy).quota(quota);
        let response = refuse(None, rejection);
        assert_eq!(
            text(&response, "ratelimit-policy").unwrap(),
            r#""a \"quoted\" name";q=5;w=10"#
        );
        assert_eq!(
            text(&response, "ratelimit").unwrap(),
            r#""a \"quoted\" name";r=0;t=2"#
        );
        assert_eq!(
            std::str::from_utf8(response.body()).unwrap(),
            r#"{"type":"https://iana.org/assignments/http-problem-types#quota-exceeded","title":"Too Many Requests","status":429,"detail":"the quota is used up","violated-policies":["a \"quoted\" name"]}"#
        );
    }

    #[test]
    fn long_waits_are_written_in_full() {
        assert_eq!(retry_after(Duration::from_secs(61)), "61");
        assert_eq!(retry_after(Duration::ZERO), "1");
        for (seconds, text) in SMALL.iter().enumerate() {
            assert_eq!(*text, seconds.to_string());
        }
    }
}
