//! HTTP and gRPC.

mod answer;
mod classify;
mod dialect;
mod problem;
mod quota_fields;

pub use answer::Call;
pub use classify::{HttpClassifier, HttpClassifyEos};
pub use dialect::is_grpc;
pub use quota_fields::announce;

use super::{Protocol, Reject};
use crate::rejection::Rejection;
use ::http::{Request, Response};
use bytes::Bytes;
use std::convert::Infallible;

/// Speaks in responses, for HTTP and gRPC.
///
/// **Refusals.** Where the service cannot fail (its error is `Infallible`, as in axum) a refusal
/// is a response: for HTTP a 429, 503 or 504 with `Retry-After` where it is known and a problem
/// document (RFC 9457); for a request whose content type is `application/grpc…` a trailers-only
/// response with the right `grpc-status`. The response carries the [`Rejection`] in its
/// extensions. Where the service can fail, it fails with `Err: From<Rejection>`, unless
/// [`answering`](Self::answering) is asked for.
///
/// | reason | HTTP | gRPC |
/// | --- | --- | --- |
/// | `RateLimited` | 429 | `RESOURCE_EXHAUSTED` |
/// | `BulkheadFull`, `WaitedTooLong`, `Overloaded`, `CircuitOpen`, `Throttled`, `Draining`, `KeyUnavailable` | 503 | `UNAVAILABLE` |
/// | `TimedOut`, `DeadlinePassed` | 504 | `DEADLINE_EXCEEDED` |
/// | `BadDeadline`, `KeyMissing` | 400 | `INVALID_ARGUMENT` |
///
/// **Calls** are over when the response's body ends, and their outcome is what a classifier of
/// `tower-http` says; [`HttpClassifier`] unless told otherwise.
#[derive(Clone, Copy, Debug, Default)]
pub struct Http<C = HttpClassifier, M = AsTheErrorAllows> {
    classifier: C,
    mode: M,
}

/// A refusal is a response where the service cannot fail, and an error where it can.
#[derive(Clone, Copy, Debug, Default)]
pub struct AsTheErrorAllows;

/// A refusal is a response, whatever the service's error is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer;

impl Http {
    /// HTTP and gRPC, classified by [`HttpClassifier`].
    pub const fn new() -> Self {
        Self {
            classifier: HttpClassifier::new(),
            mode: AsTheErrorAllows,
        }
    }
}

impl<C, M> Http<C, M> {
    /// Lets a classifier of `tower-http` say how calls went: any
    /// [`MakeClassifier`](tower_http::classify::MakeClassifier) whose failure class is
    /// `Into<Outcome>`, as those of `tower-http` are.
    pub fn classify<D>(self, classifier: D) -> Http<D, M> {
        Http {
            classifier,
            mode: self.mode,
        }
    }

    /// Refuses with a response even where the service could fail: a client that is answered like
    /// by a server.
    pub fn answering(self) -> Http<C, Answer> {
        Http {
            classifier: self.classifier,
            mode: Answer,
        }
    }

    /// The classifier.
    pub fn classifier(&self) -> &C {
        &self.classifier
    }
}

impl<B, C: Clone, M: Clone> Protocol<Request<B>> for Http<C, M> {
    type Context = Call;

    #[inline]
    fn remember(&self, request: &Request<B>) -> Call {
        Call::of(request)
    }
}

impl<Req, B, C> Reject<Request<Req>, Response<B>, Infallible> for Http<C>
where
    B: From<Bytes>,
    C: Clone,
{
    fn reject(&self, call: Call, rejection: Rejection) -> Result<Response<B>, Infallible> {
        Ok(call.answer(rejection))
    }

    fn refuse(
        &self,
        request: Request<Req>,
        rejection: Rejection,
    ) -> Result<Response<B>, Infallible> {
        Ok(Call::answer_to(request, rejection))
    }
}

// So that the compiler explains what `Reject` wants instead of asking for `From<Rejection>`.
#[diagnostic::do_not_recommend]
impl<Req, B, C, E> Reject<Request<Req>, Response<B>, E> for Http<C>
where
    C: Clone,
    E: From<Rejection>,
{
    #[inline]
    fn reject(&self, _: Call, rejection: Rejection) -> Result<Response<B>, E> {
        Err(rejection.into())
    }
}

impl<Req, B, C, E> Reject<Request<Req>, Response<B>, E> for Http<C, Answer>
where
    B: From<Bytes>,
    C: Clone,
{
    fn reject(&self, call: Call, rejection: Rejection) -> Result<Response<B>, E> {
        Ok(call.answer(rejection))
    }

    fn refuse(&self, request: Request<Req>, rejection: Rejection) -> Result<Response<B>, E> {
        Ok(Call::answer_to(request, rejection))
    }
}
