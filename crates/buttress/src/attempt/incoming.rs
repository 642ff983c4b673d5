use super::future::{AttemptMark, IncomingAttemptFuture};
use super::{Attempt, header_name};
use buttress_core::SettingError;
use buttress_core::attempt_header::{GRPC_PREVIOUS_ATTEMPTS, parse_attempts};
use http::{HeaderMap, HeaderName, Request, Response};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// Reads from a request's headers how many attempts there were before it, puts that into its
/// extensions as an [`Attempt`], and marks the service's failures if retrying was given up further
/// down.
///
/// `grpc-previous-rpc-attempts` is always read, and the [header](Self::header) of your choice as
/// well; the larger number counts. What is no number is ignored. Storing an [`Attempt`] allocates,
/// up to four times per request.
///
/// Failures are responses with a status of 429 or 500 and above, or with a `grpc-status` in their
/// headers that is not 0; they are marked with
/// [`x-should-retry: false`](buttress_core::pushback::SHOULD_RETRY), and in gRPC with a negative
/// `grpc-retry-pushback-ms`.
///
/// ```
/// use buttress::IncomingAttempt;
///
/// let attempts = IncomingAttempt::new().header("x-previous-attempts")?;
/// # let _ = attempts;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IncomingAttempt {
    header: Option<HeaderName>,
    /// Nothing for the one that most have, so that a call carries a pointer at most.
    marker: Option<Arc<HeaderName>>,
}

impl IncomingAttempt {
    /// Reads `grpc-previous-rpc-attempts`.
    pub const fn new() -> Self {
        Self {
            header: None,
            marker: None,
        }
    }

    /// The header that [`attempt_header`](crate::RetryBuilder::attempt_header) writes further up.
    ///
    /// # Errors
    ///
    /// `name` is not a header's name.
    pub fn header(self, name: &str) -> Result<Self, SettingError> {
        let header = Some(header_name("header", name)?);
        Ok(Self { header, ..self })
    }

    /// The header that marks answers, [`x-should-retry`](buttress_core::pushback::SHOULD_RETRY) by
    /// default. All tiers must agree on it.
    ///
    /// # Errors
    ///
    /// `name` is not a header's name.
    pub fn marker(self, name: &str) -> Result<Self, SettingError> {
        let marker = Some(Arc::new(header_name("marker", name)?));
        Ok(Self { marker, ..self })
    }

    /// Gives a request its [`Attempt`], as the layer does: for services that have no place for one
    /// more layer. What comes back is asked to [mark](AttemptMark::mark) the answer.
    pub fn begin<B>(&self, request: &mut Request<B>) -> AttemptMark {
        let attempt = Attempt::after(self.read(request.headers()));
        attempt.clone().put(request.extensions_mut());
        let marker = self.marker.clone();
        AttemptMark::new(attempt, marker)
    }

    fn read(&self, headers: &HeaderMap) -> u32 {
        let attempts = |name: &HeaderName| {
            let value = headers.get(name)?;
            parse_attempts(value.as_bytes())
        };
        let named = self.header.as_ref().and_then(attempts);
        let grpc = attempts(&GRPC_PREVIOUS_ATTEMPTS);
        named.max(grpc).unwrap_or(0)
    }
}

impl Default for IncomingAttempt {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for IncomingAttempt {
    type Service = IncomingAttemptService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        IncomingAttemptService {
            inner,
            settings: self.clone(),
        }
    }
}

/// A service whose requests know which attempt they are.
#[derive(Clone, Debug)]
pub struct IncomingAttemptService<S> {
    inner: S,
    settings: IncomingAttempt,
}

impl<S> IncomingAttemptService<S> {
    /// The service inside, without what is around it.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, B, R> Service<Request<B>> for IncomingAttemptService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = IncomingAttemptFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let mark = self.settings.begin(&mut request);
        IncomingAttemptFuture::new(self.inner.call(request), mark)
    }
}
