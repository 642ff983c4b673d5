use super::origin::Origin;
use crate::repeat::{Judge, Repeat};
#[cfg(feature = "http")]
use ::http::HeaderName;
use buttress_core::Plain;
use buttress_core::protocol::Classify;

/// What a retry must know of a protocol besides how to repeat a request and to look at its answer.
///
/// [`Plain`] and `Http` implement it; there is no need for others to.
pub trait RetryProtocol<Req, Res, Err>:
    Repeat<Req> + Judge<<Self as Repeat<Req>>::Attempt, Res, Err>
{
    /// On whose behalf the request is made.
    fn origin(&self, request: &Req, names: &RetryNames) -> Origin;

    /// The method that the request calls, as a service config names it: `service/method`.
    fn method<'a>(&self, request: &'a Req) -> Option<&'a str>;

    /// Writes on an attempt that there were so many of this call `before` it.
    fn tell_attempts(
        &self,
        attempt: &mut Self::Attempt,
        before: u32,
        origin: &Origin,
        names: &RetryNames,
    );

    /// Whether the answer says that it must not be retried, in a way that a
    /// [`Look`](crate::repeat::Look) does not tell.
    fn is_marked(answer: &Result<Self::Response, Err>, names: &RetryNames) -> bool;

    /// Marks an answer that must not be retried further up.
    fn mark(answer: &mut Result<Self::Response, Err>, names: &RetryNames);
}

/// The header fields that a retry reads and writes.
#[derive(Clone, Debug, Default)]
pub struct RetryNames {
    #[cfg(feature = "http")]
    pub(crate) attempt: Option<HeaderName>,
    /// Unless it is the usual one.
    #[cfg(feature = "http")]
    pub(crate) marker: Option<HeaderName>,
}

impl<Req, Res, Err, F> RetryProtocol<Req, Res, Err> for Plain<F>
where
    Req: Clone,
    Err: 'static,
    F: Classify<Res, Err> + Clone,
{
    #[inline]
    fn origin(&self, _: &Req, _: &RetryNames) -> Origin {
        Origin::default()
    }

    #[inline]
    fn method<'a>(&self, _: &'a Req) -> Option<&'a str> {
        None
    }

    #[inline]
    fn tell_attempts(&self, _: &mut Req, _: u32, _: &Origin, _: &RetryNames) {}

    #[inline]
    fn is_marked(_: &Result<Res, Err>, _: &RetryNames) -> bool {
        false
    }

    #[inline]
    fn mark(_: &mut Result<Res, Err>, _: &RetryNames) {}
}

#[cfg(feature = "http")]
mod http {
    use super::{Origin, RetryNames, RetryProtocol};
    use crate::attempt::Attempt;
    use crate::repeat::{Judge, PeekBody, Repeat, ReplayBody};
    use ::http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
    use buttress_core::Http;
    use buttress_core::attempt_header::{GRPC_PREVIOUS_ATTEMPTS, parse_attempts};
    use buttress_core::protocol::is_grpc;
    use buttress_core::pushback::{DO_NOT, SHOULD_RETRY, forbid_retries};
    use http_body::Body;

    impl<B, R, Err, C, M> RetryProtocol<Request<B>, Response<R>, Err> for Http<C, M>
    where
        B: Body,
        R: Body,
        Http<C, M>: Repeat<Request<B>, Attempt = Request<ReplayBody<B>>>
            + Judge<Request<ReplayBody<B>>, Response<R>, Err, Response = Response<PeekBody<R>>>,
    {
        #[inline]
        fn origin(&self, request: &Request<B>, names: &RetryNames) -> Origin {
            let headers = request.headers();
            let own = attempts(headers, &GRPC_PREVIOUS_ATTEMPTS);
            let named = names.attempt.as_ref();
            let named = named.map_or(0, |name| attempts(headers, name));
            let attempt = Attempt::of(request.extensions());
            let handed_on = attempt.as_ref().map_or(0, Attempt::previous);
            Origin {
                previous: own.max(named).max(handed_on),
                attempt,
            }
        }

        fn method<'a>(&self, request: &'a Request<B>) -> Option<&'a str> {
            let path = request.uri().path();
            Some(path.strip_prefix('/').unwrap_or(path))
        }

        fn tell_attempts(
            &self,
            attempt: &mut Request<ReplayBody<B>>,
            before: u32,
            origin: &Origin,
            names: &RetryNames,
        ) {
            let headers = attempt.headers_mut();
            if before > 0 && is_grpc(headers) {
                // Those of a call that is only passed on count as well.
                let passed_on = attempts(headers, &GRPC_PREVIOUS_ATTEMPTS);
                let value = HeaderValue::from(passed_on.saturating_add(before));
                let _ = headers.try_insert(GRPC_PREVIOUS_ATTEMPTS, value);
            }
            let all = origin.previous.saturating_add(before);
            if let Some(name) = &names.attempt
                && all > 0
            {
                let _ = headers.try_insert(name, HeaderValue::from(all));
            }
        }

        fn is_marked(answer: &Result<Self::Response, Err>, names: &RetryNames) -> bool {
            let Some(marker) = &names.marker else {
                return false;
            };
            let headers = answer.as_ref().ok().map(Response::headers);
            headers.is_some_and(|headers| headers.get(marker).is_some_and(|value| value == DO_NOT))
        }

        fn mark(answer: &mut Result<Self::Response, Err>, names: &RetryNames) {
            let Ok(response) = answer else { return };
            let usual = SHOULD_RETRY;
            let marker = names.marker.as_ref().unwrap_or(&usual);
            if let Some(trailers) = response.body_mut().peeked_trailers() {
                forbid_retries(trailers, marker, true);
            } else {
                let grpc = is_grpc(response.headers());
                forbid_retries(response.headers_mut(), marker, grpc);
            }
        }
    }

    /// What is no number of attempts says nothing.
    fn attempts(headers: &HeaderMap, name: &HeaderName) -> u32 {
        let value = headers.get(name);
        let attempts = value.and_then(|value| parse_attempts(value.as_bytes()));
        attempts.unwrap_or(0)
    }
}
