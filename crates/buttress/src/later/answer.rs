//! Answers that are kept, and those that the layer gives itself.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A job's answer.
pub(super) struct Kept {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Kept {
    /// Why there is none of the service's own.
    pub(super) fn failed(problem: &'static Problem) -> Self {
        Self {
            status: problem.status,
            headers: HeaderMap::from_iter([(header::CONTENT_TYPE, PROBLEM)]),
            body: Bytes::from_static(problem.document.as_bytes()),
        }
    }

    /// The service's answer, unless its header fields are too long to be kept.
    pub(super) fn of(head: http::response::Parts, body: Bytes) -> Self {
        let mut headers = head.headers;
        // They tell of one transmission of the answer, and this is for others.
        for name in [
            header::CONNECTION,
            header::CONTENT_LENGTH,
            header::TRAILER,
            header::TRANSFER_ENCODING,
        ] {
            headers.remove(name);
        }
        let length = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
        if headers.iter().map(length).sum::<usize>() > MOST_HEADERS {
            return Self::failed(&RESULT_TOO_LARGE);
        }
        // A value may be a slice of all that was read from a connection, which it would keep.
        for value in headers.values_mut() {
            if let Ok(mut copy) = HeaderValue::from_bytes(value.as_bytes()) {
                copy.set_sensitive(value.is_sensitive());
                *value = copy;
            }
        }
        Self {
            status: head.status,
            headers,
            body,
        }
    }

    pub(super) fn response<B: From<Bytes>>(&self) -> Response<B> {
        let mut response = Response::new(B::from(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// A problem document (RFC 9457).
pub(super) struct Problem {
    status: StatusCode,
    document: &'static str,
}

macro_rules! problem {
    ($name:ident, $status:ident, $number:literal, $title:literal, $detail:literal) => {
        pub(super) static $name: Problem = Problem {
            status: StatusCode::$status,
            document: concat!(
                r#"{"type":"about:blank","title":""#,
                $title,
                r#"","status":"#,
                $number,
                r#","detail":""#,
                $detail,
                r#""}"#
            ),
        };
    };
}

problem!(
    BROKEN,
    INTERNAL_SERVER_ERROR,
    "500",
    "Internal Server Error",
    "the job broke off"
);
problem!(
    RESULT_TOO_LARGE,
    INTERNAL_SERVER_ERROR,
    "500",
    "Internal Server Error",
    "the job's result is too large to be kept"
);
problem!(
    WAITED_TOO_LONG,
    SERVICE_UNAVAILABLE,
    "503",
    "Service Unavailable",
    "the job waited too long for its turn"
);
problem!(
    UNKNOWN,
    NOT_FOUND,
    "404",
    "Not Found",
    "there is no such job, or its result has been forgotten"
);
problem!(
    ONLY_ASKING,
    METHOD_NOT_ALLOWED,
    "405",
    "Method Not Allowed",
    "a job's state can be asked for with GET and HEAD, and ended with DELETE"
);
problem!(
    REQUEST_TOO_LARGE,
    PAYLOAD_TOO_LARGE,
    "413",
    "Payload Too Large",
    "the request's body is too large"
);
problem!(
    REQUEST_BROKEN,
    BAD_REQUEST,
    "400",
    "Bad Request",
    "the request's body cannot be read"
);

/// To a method that has no meaning for a job.
pub(super) fn only_asking<B: From<Bytes>>() -> Response<B> {
    let mut response = Kept::failed(&ONLY_ASKING).response();
    let methods = HeaderValue::from_static("GET, HEAD, DELETE");
    response.headers_mut().insert(header::ALLOW, methods);
    response
}

/// The job has been forgotten as its caller wished.
pub(super) fn forgotten<B: From<Bytes>>() -> Response<B> {
    let mut response = Response::new(B::from(Bytes::new()));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// To a gRPC request of that content type: gRPC has no answer that says "later".
pub(super) fn not_in_grpc<B: From<Bytes>>(content_type: HeaderValue) -> Response<B> {
    let mut response = Response::new(B::from(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    // UNIMPLEMENTED
    headers.insert("grpc-status", HeaderValue::from_static("12"));
    let message = "this runs later, and gRPC has no way to be told so";
    headers.insert("grpc-message", HeaderValue::from_static(message));
    response
}

/// "Not yet", and where to ask again if that is new.
pub(super) fn accepted<B: From<Bytes>>(
    state: &'static str,
    location: Option<HeaderValue>,
) -> Response<B> {
    let mut response = Response::new(B::from(Bytes::from_static(state.as_bytes())));
    *response.status_mut() = StatusCode::ACCEPTED;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    if let Some(location) = location {
        headers.insert(header::LOCATION, location);
    }
    response
}

pub(super) const QUEUED: &str = r#"{"state":"queued"}"#;
pub(super) const RUNNING: &str = r#"{"state":"running"}"#;

/// The most bytes of a result's header fields.
const MOST_HEADERS: usize = 16 * 1024;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The body of a status URL's answer.
#[derive(Clone, Debug, Default)]
pub struct KeptBody(Bytes);

impl KeptBody {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<Bytes> for KeptBody {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}

impl Body for KeptBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.0);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// hyper's are slices of what was read from the connection.
    #[test]
    fn a_header_field_that_is_kept_does_not_keep_the_buffer_it_came_in() {
        let buffer = Bytes::from(vec![b'x'; 4096]);
        let mut value = HeaderValue::from_maybe_shared(buffer.slice(..8)).unwrap();
        value.set_sensitive(true);
        let response = Response::builder().header("x-report", value);
        let (head, ()) = response.body(()).unwrap().into_parts();
        assert_eq!(
            head.headers["x-report"].as_bytes().as_ptr(),
            buffer.as_ptr()
        );
        let kept = Kept::of(head, Bytes::new());
        let value = &kept.headers["x-report"];
        assert_ne!(value.as_bytes().as_ptr(), buffer.as_ptr());
        assert!(value == "xxxxxxxx" && value.is_sensitive());
    }
}
