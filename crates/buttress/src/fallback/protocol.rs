use super::ended::Ended;
use buttress_core::protocol::Classify;
use buttress_core::{Outcome, Plain, Reason, Rejection};
use std::any::Any;
use std::error::Error;

/// What a fallback must know of a protocol: what a failure is, and how an answer is made.
///
/// [`Plain`] and `Http` implement it; there is no need for others to.
pub trait FallbackProtocol<Res, Err> {
    /// What values and functions answer with.
    type Value;

    /// The response that the caller gets.
    type Response;

    /// The refusal of a layer further in, if the result is one.
    fn rejection(result: &Result<Res, Err>) -> Option<&Rejection>;

    /// Whether the call failed.
    fn has_failed(&self, ended: Ended<'_, Res, Err>) -> bool;

    /// A service's own response.
    fn pass(response: Res) -> Self::Response;

    /// The response made of a value.
    fn respond(value: Self::Value) -> Self::Response;

    /// Leaves a note in a response that is not the original one.
    fn note(response: &mut Self::Response, ended: Ended<'_, Res, Err>);
}

impl<Res, Err, F> FallbackProtocol<Res, Err> for Plain<F>
where
    F: Classify<Res, Err>,
    Err: 'static,
{
    type Value = Res;
    type Response = Res;

    #[inline]
    fn rejection(result: &Result<Res, Err>) -> Option<&Rejection> {
        result.as_ref().err().and_then(rejection_in)
    }

    #[inline]
    fn has_failed(&self, ended: Ended<'_, Res, Err>) -> bool {
        self.outcome(ended.result()) != Outcome::Success
            && !ended.rejection().is_some_and(is_callers_mistake)
    }

    #[inline]
    fn pass(response: Res) -> Res {
        response
    }

    fn respond(value: Res) -> Res {
        value
    }

    fn note(_: &mut Res, _: Ended<'_, Res, Err>) {}
}

/// The rejection that an error is, or has in its chain of sources.
pub(super) fn rejection_in<Err: 'static>(error: &Err) -> Option<&Rejection> {
    type Boxed = Box<dyn Error + Send + Sync>;
    let error: &dyn Any = error;
    error.downcast_ref::<Rejection>().or_else(|| {
        let error = error.downcast_ref::<Boxed>()?;
        Rejection::find(&**error)
    })
}

/// Whether somebody refused the call for what the caller sent. Nothing is wrong with the callee,
/// and the caller should know.
pub(super) fn is_callers_mistake(rejection: &Rejection) -> bool {
    matches!(rejection.reason(), Reason::BadDeadline | Reason::KeyMissing)
}

#[cfg(feature = "http")]
pub use http::{StoodIn, head};

#[cfg(feature = "http")]
mod http {
    use super::{Ended, FallbackProtocol, is_callers_mistake, rejection_in};
    use crate::body::AnswerBody;
    use ::http::{Request, Response, StatusCode};
    use buttress_core::protocol::{HttpClassifier, is_grpc};
    use buttress_core::{Http, Outcome, Rejection};
    use bytes::Bytes;
    use tower_http::classify::{ClassifiedResponse, ClassifyResponse};

    /// What an HTTP response stands in for. It is in the extensions of each that is not the
    /// callee's answer to this very call.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct StoodIn {
        status: Option<StatusCode>,
        rejection: Option<Rejection>,
    }

    impl StoodIn {
        pub(in crate::fallback) fn for_result<B, Err>(
            result: &Result<Response<B>, Err>,
            rejection: Option<&Rejection>,
        ) -> Self {
            Self {
                status: result.as_ref().ok().map(Response::status),
                rejection: rejection.copied(),
            }
        }

        /// The original answer's status; none if it was an error.
        pub const fn status(&self) -> Option<StatusCode> {
            self.status
        }

        /// The refusal, if it was one.
        pub const fn rejection(&self) -> Option<&Rejection> {
            self.rejection.as_ref()
        }
    }

    impl<B, Err: 'static, C, M> FallbackProtocol<Response<B>, Err> for Http<C, M> {
        type Value = Response<Bytes>;
        type Response = Response<AnswerBody<B>>;

        #[inline]
        fn rejection(result: &Result<Response<B>, Err>) -> Option<&Rejection> {
            match result {
                Ok(response) => response.extensions().get(),
                Err(error) => rejection_in(error),
            }
        }

        #[inline]
        fn has_failed(&self, ended: Ended<'_, Response<B>, Err>) -> bool {
            if let Some(rejection) = ended.rejection() {
                return !is_callers_mistake(rejection);
            }
            match ended.result() {
                Ok(response) => is_failure(response),
                Err(_) => true,
            }
        }

        #[inline]
        fn pass(response: Response<B>) -> Self::Response {
            response.map(AnswerBody::inner)
        }

        fn respond(value: Response<Bytes>) -> Self::Response {
            value.map(AnswerBody::from)
        }

        fn note(response: &mut Self::Response, ended: Ended<'_, Response<B>, Err>) {
            let stood_in = StoodIn::for_result(ended.result(), ended.rejection());
            response.extensions_mut().insert(stood_in);
        }
    }

    #[inline]
    fn is_failure<B>(response: &Response<B>) -> bool {
        if response.status().is_server_error() {
            return true;
        }
        is_grpc(response.headers())
            && matches!(
                HttpClassifier::new().classify_response(response),
                ClassifiedResponse::Ready(Err(Outcome::Failure | Outcome::Overload))
            )
    }

    /// A copy of a request's head, for [`Fallback::keeping`](crate::Fallback::keeping). It copies
    /// the header fields and the extensions of each request, also of those that succeed: where
    /// less is enough, keep less.
    pub fn head<B>(request: &Request<B>) -> Request<()> {
        let mut head = Request::new(());
        *head.method_mut() = request.method().clone();
        *head.uri_mut() = request.uri().clone();
        *head.version_mut() = request.version();
        *head.headers_mut() = request.headers().clone();
        *head.extensions_mut() = request.extensions().clone();
        head
    }
}
