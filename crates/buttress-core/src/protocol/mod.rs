//! What the words of the vocabulary mean for one kind of service.

#[cfg(feature = "http")]
mod http;
mod plain;

#[cfg(feature = "http")]
pub use self::http::{Answer, AsTheErrorAllows, Call, Http, HttpClassifier, HttpClassifyEos};
#[cfg(feature = "http")]
pub use self::http::{announce, is_grpc};
pub use plain::{Classify, Plain, SuccessIfOk};

use crate::outcome::Outcome;
use crate::rejection::{Reason, Rejection};
use crate::request_body::BrokenRequest;

/// One kind of service: [`Plain`] speaks in errors and is for any, `Http` speaks in responses and
/// covers HTTP and gRPC.
pub trait Protocol<Req>: Clone {
    /// What must be known of a request to refuse it.
    type Context;

    /// What to remember of a request that goes on to the service, in case it is refused later.
    fn remember(&self, request: &Req) -> Self::Context;
}

/// How a refusal is expressed, which follows from the error type of the service.
///
/// A service that cannot fail (axum's error is `Infallible`) answers with a response; one that can
/// fails with its own error.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot express a refusal for a service whose error is `{Err}`",
    label = "this service's error type must be able to hold a `Rejection`",
    note = "put `.map_err(tower::BoxError::from)` innermost, right around the service: a `BoxError` can hold a `Rejection`",
    note = "or implement `From<buttress::Rejection>` for the error type",
    note = "or let refusals be answered with responses: `.protocol(Http::new().answering())`"
)]
pub trait Reject<Req, Res, Err>: Protocol<Req> {
    /// The answer to a call that is refused after its request went on to the service.
    ///
    /// # Errors
    ///
    /// The rejection as the service's own error, where it is not a response.
    fn reject(&self, context: Self::Context, rejection: Rejection) -> Result<Res, Err>;

    /// The answer to a call whose request goes no further. Its parts can be used for the answer.
    ///
    /// # Errors
    ///
    /// The rejection as the service's own error, where it is not a response.
    fn refuse(&self, request: Req, rejection: Rejection) -> Result<Res, Err> {
        self.reject(self.remember(&request), rejection)
    }
}

impl From<&Rejection> for Outcome {
    /// What a refusal further in means for the policies further out. The callee never saw the
    /// call, unless it was too slow.
    fn from(rejection: &Rejection) -> Self {
        match rejection.reason() {
            Reason::TimedOut | Reason::DeadlinePassed => Self::Failure,
            _ => Self::Cancelled,
        }
    }
}

/// What an error of a type that nothing is known about means.
fn outcome_of_error<E: 'static>(error: &E) -> Outcome {
    if BrokenRequest::of(error).is_some() {
        return Outcome::Cancelled;
    }
    Rejection::of(error).map_or(Outcome::Failure, Outcome::from)
}
