use super::judge::of_error;
use super::peek::PeekBody;
use super::replay::{KeptBody, ReplayBody};
use super::{AnswerKind, Judge, Look, Repeat, Upload};
use crate::clock;
use crate::deadline::Deadline;
use ::http::{HeaderMap, HeaderName, Request, Response, request};
use buttress_core::deadline_header::parse_grpc_timeout;
use buttress_core::protocol::is_grpc;
use buttress_core::pushback::Pushback;
use buttress_core::setting::LONGEST;
use buttress_core::{Http, Outcome, Rejection};
use http_body::Body;
use std::fmt::Display;
use std::task::Context;
use std::time::Instant;
use tower_http::classify::{ClassifiedResponse, ClassifyEos, ClassifyResponse, MakeClassifier};

/// What is kept of an HTTP request in order to repeat it: a copy of its head, and the parts of its
/// body.
#[derive(Clone, Debug)]
pub struct Kept {
    head: request::Parts,
    body: KeptBody,
}

/// Safe are the idempotent methods (RFC 9110, section 9.2.2) and requests with an
/// `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header). gRPC, whose method is always
/// POST, has neither: there the user says which methods are safe.
impl<B, C, M> Repeat<Request<B>> for Http<C, M>
where
    B: Body,
    C: Clone,
    M: Clone,
{
    type Attempt = Request<ReplayBody<B>>;
    type Kept = Kept;

    fn is_safe(&self, request: &Request<B>) -> bool {
        request.method().is_idempotent() || request.headers().contains_key(IDEMPOTENCY_KEY)
    }

    /// The [`Deadline`] of the request, or what its `grpc-timeout` says if that is earlier.
    #[inline]
    fn deadline(&self, request: &Request<B>) -> Option<Instant> {
        let carried = Deadline::of(request.extensions()).map(Deadline::instant);
        match request.headers().get(GRPC_TIMEOUT) {
            None => carried,
            Some(timeout) => {
                let timeout = parse_grpc_timeout(timeout.as_bytes()).ok();
                // A year at most, so that this does not overflow any platform's clock.
                let stated = timeout.map(|time| clock::at_arrival() + time.min(LONGEST));
                carried.into_iter().chain(stated).min()
            }
        }
    }

    #[inline]
    fn once(&self, request: Request<B>) -> Self::Attempt {
        request.map(ReplayBody::once)
    }

    fn keep(&self, request: Request<B>, limit: usize) -> (Self::Attempt, Kept) {
        let (head, body) = request.into_parts();
        let (body, kept) = ReplayBody::keep(body, limit);
        let kept = Kept {
            head: head.clone(),
            body: kept,
        };
        (Request::from_parts(head, body), kept)
    }

    #[inline]
    fn upload(&self, attempt: &Self::Attempt) -> Upload {
        attempt.body().upload()
    }

    fn again(&self, kept: &Kept) -> Option<Self::Attempt> {
        let body = kept.body.again()?;
        Some(Request::from_parts(kept.head.clone(), body))
    }
}

impl<Req, B, Err, C, M> Judge<Request<Req>, Response<B>, Err> for Http<C, M>
where
    B: Body + Unpin,
    Err: Display + 'static,
    C: MakeClassifier,
    C::FailureClass: Into<Outcome>,
{
    type Observer = C::Classifier;
    type Response = Response<PeekBody<B>>;

    #[inline]
    fn observe(&self, attempt: &Request<Req>) -> C::Classifier {
        self.classifier().make_classifier(attempt)
    }

    fn look(
        classifier: C::Classifier,
        result: Result<Response<B>, Err>,
        context: &mut Context<'_>,
    ) -> (Result<Self::Response, Err>, Look) {
        let response = match result {
            Ok(response) => response,
            Err(error) => {
                let look = Look::new(classifier.classify_error(&error).into(), of_error(&error));
                return (Err(error), look);
            }
        };
        let classified = classifier.classify_response(&response);
        let mut response = response.map(PeekBody::new);
        let look = if let Some(rejection) = response.extensions().get::<Rejection>() {
            let answer = AnswerKind::Rejected(*rejection);
            with_pushback(judge(classified, None), answer, response.headers())
        } else if !is_grpc(response.headers()) {
            let answer = AnswerKind::HttpStatus(response.status());
            with_pushback(judge(classified, None), answer, response.headers())
        } else if let Some(code) = grpc_code(response.headers()) {
            let answer = AnswerKind::GrpcStatus(code);
            with_pushback(judge(classified, None), answer, response.headers())
        } else {
            let answer = AnswerKind::HttpStatus(response.status());
            match peek_trailers(response.body_mut(), context) {
                Some(trailers) => {
                    let answer = grpc_code(trailers).map_or(answer, AnswerKind::GrpcStatus);
                    with_pushback(judge(classified, Some(trailers)), answer, trailers)
                }
                None => Look::new(judge(classified, None), answer),
            }
        };
        (Ok(response), look)
    }
}

/// The trailers, if they are there already and nothing comes before them.
fn peek_trailers<'a, B: Body + Unpin>(
    body: &'a mut PeekBody<B>,
    context: &mut Context<'_>,
) -> Option<&'a HeaderMap> {
    body.peek(context)?.trailers_ref()
}

fn judge<E>(classified: ClassifiedResponse<E::FailureClass, E>, end: Option<&HeaderMap>) -> Outcome
where
    E: ClassifyEos<FailureClass: Into<Outcome>>,
{
    match classified {
        ClassifiedResponse::Ready(Ok(())) => Outcome::Success,
        ClassifiedResponse::Ready(Err(class)) => class.into(),
        ClassifiedResponse::RequiresEos(_) if end.is_none() => Outcome::Success,
        ClassifiedResponse::RequiresEos(eos) => eos
            .classify_eos(end)
            .map_or_else(Into::into, |()| Outcome::Success),
    }
}

fn with_pushback(outcome: Outcome, answer: AnswerKind, headers: &HeaderMap) -> Look {
    // Of answers that count as a success there are some that are none: 409, ABORTED.
    let pushback = match answer {
        AnswerKind::GrpcStatus(0) => None,
        AnswerKind::HttpStatus(status) if status.is_success() => None,
        _ => Pushback::of(headers),
    };
    Look {
        pushback,
        ..Look::new(outcome, answer)
    }
}

/// The status of a call that is over. What cannot be read is UNKNOWN (2), as the specification
/// says.
fn grpc_code(headers: &HeaderMap) -> Option<u16> {
    let status = headers.get("grpc-status")?;
    let status = status.to_str().ok().and_then(|status| status.parse().ok());
    Some(status.unwrap_or(2))
}

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::HeaderValue;
    use bytes::Bytes;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};
    use std::convert::Infallible;
    use std::task::Waker;
    use std::time::Duration;

    type Frames = Vec<Result<Frame<Bytes>, Infallible>>;

    fn look(response: Response<Frames>) -> Look {
        let mut context = Context::from_waker(Waker::noop());
        let protocol = Http::new();
        let observer =
            Judge::<_, Response<Full<Bytes>>, Infallible>::observe(&protocol, &Request::new(()));
        let response = response.map(|frames| StreamBody::new(futures_util::stream::iter(frames)));
        let result = Ok::<_, Infallible>(response);
        <Http as Judge<Request<()>, _, _>>::look(observer, result, &mut context).1
    }

    fn grpc(headers: &[(&'static str, &'static str)], frames: Frames) -> Response<Frames> {
        let mut response = Response::new(frames);
        let content_type = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", content_type);
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(*name, value);
        }
        response
    }

    fn trailers(headers: &[(&'static str, &'static str)]) -> Frame<Bytes> {
        let trailers = grpc(headers, Vec::new()).headers().clone();
        Frame::trailers(trailers)
    }

    #[test]
    fn methods_and_keys_say_what_is_safe() {
        let safe = |method: &str| {
            let request = Request::builder()
                .method(method)
                .body(Full::new(Bytes::new()));
            Http::new().is_safe(&request.unwrap())
        };
        for method in ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"] {
            assert!(safe(method), "{method}");
        }
        for method in ["POST", "PATCH", "CONNECT", "PURGE", "get"] {
            assert!(!safe(method), "{method}");
        }
        let keyed = Request::post("/").header("idempotency-key", "\"7\"");
        assert!(Http::new().is_safe(&keyed.body(Full::new(Bytes::new())).unwrap()));
    }

    #[test]
    fn grpc_that_fails_before_its_first_message_is_seen_to_fail() {
        let fails = [("grpc-status", "14"), ("grpc-retry-pushback-ms", "50")];
        for answer in [grpc(&fails, vec![]), grpc(&[], vec![Ok(trailers(&fails))])] {
            let look = look(answer);
            assert_eq!(look.answer, AnswerKind::GrpcStatus(14));
            assert_eq!(look.outcome, Outcome::Overload);
            let wait = Duration::from_millis(50);
            assert_eq!(look.pushback, Some(Pushback::After(wait)));
        }
        // After a message it is too late.
        let message = Ok(Frame::data(Bytes::from_static(b"message")));
        let look = look(grpc(&[], vec![message, Ok(trailers(&fails))]));
        assert_eq!(look.outcome, Outcome::Success);
        assert_eq!(look.pushback, None);
    }

    #[test]
    fn what_was_looked_at_is_passed_on() {
        let mut context = Context::from_waker(Waker::noop());
        let message = Bytes::from_static(b"message");
        let mut body = PeekBody::new(Full::new(message.clone()));
        assert!(body.peek(&mut context).is_some());
        assert_eq!(body.size_hint().exact(), Some(7));
        assert!(!body.is_end_stream());
        let read = futures_util::FutureExt::now_or_never(http_body_util::BodyExt::collect(body));
        assert_eq!(read.unwrap().unwrap().to_bytes(), message);
    }

    #[test]
    fn refusals_of_ours_are_told_from_answers_of_the_callee() {
        let unavailable = ::http::StatusCode::SERVICE_UNAVAILABLE;
        let answer = || {
            let mut answer = Response::new(Vec::new());
            *answer.status_mut() = unavailable;
            answer
        };
        let callee = look(answer());
        assert_eq!(callee.answer, AnswerKind::HttpStatus(unavailable));
        assert_eq!(callee.outcome, Outcome::Failure);
        let rejection = Rejection::new(buttress_core::Reason::BulkheadFull, "slots");
        let mut refused = answer();
        refused.extensions_mut().insert(rejection);
        let ours = look(refused);
        assert_eq!(ours.answer, AnswerKind::Rejected(rejection));
        assert_eq!(ours.outcome, Outcome::Cancelled);
    }
}
