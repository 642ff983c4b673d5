use super::dialect::Dialect;
use crate::outcome::Outcome;
use crate::protocol::outcome_of_error;
use crate::pushback::Pushback;
use crate::rejection::Rejection;
use ::http::{HeaderMap, Request, Response, StatusCode};
use std::fmt::Display;
use tower_http::classify::{
    ClassifiedResponse, ClassifyEos, ClassifyResponse, GrpcFailureClass, MakeClassifier,
    ServerErrorsFailureClass, StatusInRangeFailureClass,
};

/// Says how an HTTP or gRPC call went.
///
/// | answer | outcome |
/// | --- | --- |
/// | HTTP 429, gRPC `RESOURCE_EXHAUSTED`; 503 and `UNAVAILABLE` that say when to come back | [`Overload`](Outcome::Overload) |
/// | other 5xx; other `UNAVAILABLE`; gRPC `UNKNOWN`, `DEADLINE_EXCEEDED`, `INTERNAL`, `DATA_LOSS`, or no status | [`Failure`](Outcome::Failure) |
/// | gRPC `CANCELLED`; a refusal by a layer further in | [`Cancelled`](Outcome::Cancelled) |
/// | everything else, the client's mistakes included | [`Success`](Outcome::Success) |
///
/// A 503 means anything from "too much to do" to "nobody at home". With a [`Pushback`] that names a time it is the
/// callee itself that speaks, and it is well enough to know when it will be better.
///
/// A body that breaks off is a failure, and one that the caller drops is a cancelled call. The
/// status of a gRPC call is read where it is: in the trailers, or in the headers of a
/// trailers-only response.
#[derive(Clone, Copy, Debug, Default)]
pub struct HttpClassifier {
    _private: (),
}

impl HttpClassifier {
    /// The rules above.
    pub const fn new() -> Self {
        Self { _private: () }
    }
}

impl MakeClassifier for HttpClassifier {
    type Classifier = Self;
    type FailureClass = Outcome;
    type ClassifyEos = HttpClassifyEos;

    #[inline]
    fn make_classifier<B>(&self, _: &Request<B>) -> Self {
        *self
    }
}

impl ClassifyResponse for HttpClassifier {
    type FailureClass = Outcome;
    type ClassifyEos = HttpClassifyEos;

    #[inline]
    fn classify_response<B>(
        self,
        response: &Response<B>,
    ) -> ClassifiedResponse<Outcome, HttpClassifyEos> {
        if let Some(rejection) = response.extensions().get::<Rejection>() {
            return ClassifiedResponse::Ready(Err(Outcome::from(rejection)));
        }
        let status = response.status();
        if status.is_success() {
            return if Dialect::of(response.headers()).is_grpc() {
                classify_grpc(response.headers())
            } else {
                ClassifiedResponse::Ready(Ok(()))
            };
        }
        ClassifiedResponse::Ready(match status {
            StatusCode::TOO_MANY_REQUESTS => Err(Outcome::Overload),
            StatusCode::SERVICE_UNAVAILABLE => Err(unavailable(response.headers())),
            status if status.is_server_error() => Err(Outcome::Failure),
            _ => Ok(()),
        })
    }

    fn classify_error<E: Display + 'static>(self, error: &E) -> Outcome {
        outcome_of_error(error)
    }
}

/// Reads the status of a gRPC call from its trailers.
#[derive(Clone, Copy, Debug)]
pub struct HttpClassifyEos {
    _private: (),
}

impl ClassifyEos for HttpClassifyEos {
    type FailureClass = Outcome;

    fn classify_eos(self, trailers: Option<&HeaderMap>) -> Result<(), Outcome> {
        trailers
            .and_then(grpc_outcome)
            .unwrap_or(Err(Outcome::Failure))
    }

    fn classify_error<E: Display + 'static>(self, error: &E) -> Outcome {
        outcome_of_error(error)
    }
}

fn classify_grpc(headers: &HeaderMap) -> ClassifiedResponse<Outcome, HttpClassifyEos> {
    match grpc_outcome(headers) {
        Some(result) => ClassifiedResponse::Ready(result),
        None => ClassifiedResponse::RequiresEos(HttpClassifyEos { _private: () }),
    }
}

fn grpc_outcome(headers: &HeaderMap) -> Option<Result<(), Outcome>> {
    let status = headers.get("grpc-status")?;
    Some(match status.as_bytes() {
        b"1" => Err(Outcome::Cancelled),
        b"8" => Err(Outcome::Overload),
        b"14" => Err(unavailable(headers)),
        b"0" | b"3" | b"5" | b"6" | b"7" | b"9" | b"10" | b"11" | b"12" | b"16" => Ok(()),
        // 2, 4, 13, 15, and what is no status.
        _ => Err(Outcome::Failure),
    })
}

fn unavailable(headers: &HeaderMap) -> Outcome {
    match Pushback::of(headers) {
        Some(Pushback::After(_)) => Outcome::Overload,
        Some(Pushback::Never) | None => Outcome::Failure,
    }
}

impl From<ServerErrorsFailureClass> for Outcome {
    fn from(class: ServerErrorsFailureClass) -> Self {
        match class {
            ServerErrorsFailureClass::StatusCode(status) => of_status(status),
            ServerErrorsFailureClass::Error(_) => Self::Failure,
        }
    }
}

impl From<StatusInRangeFailureClass> for Outcome {
    fn from(class: StatusInRangeFailureClass) -> Self {
        match class {
            StatusInRangeFailureClass::StatusCode(status) => of_status(status),
            StatusInRangeFailureClass::Error(_) => Self::Failure,
        }
    }
}

impl From<GrpcFailureClass> for Outcome {
    fn from(class: GrpcFailureClass) -> Self {
        match class {
            GrpcFailureClass::Status(status) => match status.code_raw() {
                1 => Self::Cancelled,
                8 => Self::Overload,
                _ => Self::Failure,
            },
            _ => Self::Failure,
        }
    }
}

/// A status that a classifier called a failure.
fn of_status(status: StatusCode) -> Outcome {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Outcome::Overload,
        _ => Outcome::Failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rejection::Reason;
    use ::http::HeaderValue;

    fn at_the_head(response: &Response<()>) -> Option<Outcome> {
        match HttpClassifier::new().classify_response(response) {
            ClassifiedResponse::Ready(result) => Some(result.err().unwrap_or(Outcome::Success)),
            ClassifiedResponse::RequiresEos(_) => None,
        }
    }

    fn status(code: u16) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = StatusCode::from_u16(code).unwrap();
        response
    }

    fn grpc(code: Option<&'static str>) -> Response<()> {
        let mut response = Response::new(());
        let content_type = HeaderValue::from_static("application/grpc");
        response.headers_mut().insert("content-type", content_type);
        if let Some(code) = code {
            let code = HeaderValue::from_static(code);
            response.headers_mut().insert("grpc-status", code);
        }
        response
    }

    #[test]
    fn statuses_are_what_the_table_says() {
        for (code, outcome) in [
            (200, Outcome::Success),
            (404, Outcome::Success),
            (429, Outcome::Overload),
            (500, Outcome::Failure),
            (503, Outcome::Failure),
            (504, Outcome::Failure),
        ] {
            assert_eq!(at_the_head(&status(code)), Some(outcome), "{code}");
        }
        for (code, outcome) in [
            ("0", Outcome::Success),
            ("1", Outcome::Cancelled),
            ("2", Outcome::Failure),
            ("5", Outcome::Success),
            ("8", Outcome::Overload),
            ("14", Outcome::Failure),
            ("not a number", Outcome::Failure),
        ] {
            assert_eq!(at_the_head(&grpc(Some(code))), Some(outcome), "{code}");
        }
    }

    #[test]
    fn unavailable_is_overload_if_it_says_when_to_come_back() {
        let mut http = status(503);
        let mut grpc = grpc(Some("14"));
        http.headers_mut()
            .insert("retry-after", HeaderValue::from_static("1"));
        let pushback = HeaderValue::from_static("20");
        grpc.headers_mut()
            .insert("grpc-retry-pushback-ms", pushback);
        assert_eq!(at_the_head(&http), Some(Outcome::Overload));
        assert_eq!(at_the_head(&grpc), Some(Outcome::Overload));
    }

    #[test]
    fn a_grpc_stream_is_judged_by_its_trailers() {
        assert_eq!(at_the_head(&grpc(None)), None);
        let eos = HttpClassifyEos { _private: () };
        let trailers = grpc(Some("8"));
        assert_eq!(
            eos.classify_eos(Some(trailers.headers())),
            Err(Outcome::Overload)
        );
        assert_eq!(eos.classify_eos(None), Err(Outcome::Failure));
    }

    #[test]
    fn a_refusal_further_in_is_told_from_a_failure() {
        let mut refused = status(503);
        let rejection = Rejection::new(Reason::BulkheadFull, "inner");
        refused.extensions_mut().insert(rejection);
        assert_eq!(at_the_head(&refused), Some(Outcome::Cancelled));

        let classifier = HttpClassifier::new();
        let boxed: Box<dyn std::error::Error + Send + Sync> = rejection.into();
        assert_eq!(classifier.classify_error(&boxed), Outcome::Cancelled);
        let late = Rejection::new(Reason::TimedOut, "inner");
        assert_eq!(classifier.classify_error(&late), Outcome::Failure);
    }
}
