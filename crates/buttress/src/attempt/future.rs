use super::Attempt;
use buttress_core::protocol::is_grpc;
use buttress_core::pushback::forbid_retries;
use http::{HeaderName, Response};
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

/// The future of a call that knows which attempt it is.
///
/// # Cancellation
///
/// Dropping it drops the inner call.
#[pin_project]
#[derive(Debug)]
pub struct IncomingAttemptFuture<F> {
    #[pin]
    future: F,
    mark: AttemptMark,
}

impl<F> IncomingAttemptFuture<F> {
    pub(super) const fn new(future: F, mark: AttemptMark) -> Self {
        Self { future, mark }
    }
}

/// Marks the answer of a call if somebody gave up retrying on its behalf.
#[derive(Debug)]
pub struct AttemptMark {
    pub(super) attempt: Attempt,
    pub(super) marker: HeaderName,
}

impl AttemptMark {
    /// Marks `response` if it is a failure after retries that were given up.
    #[inline]
    pub fn mark<B>(&self, response: &mut Response<B>) {
        if self.attempt.is_given_up() && is_failure(response) {
            let is_grpc = is_grpc(response.headers());
            forbid_retries(response.headers_mut(), &self.marker, is_grpc);
        }
    }
}

impl<F, B, E> Future for IncomingAttemptFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<B>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut result = ready!(this.future.poll(context));
        if let Ok(response) = &mut result {
            this.mark.mark(response);
        }
        Poll::Ready(result)
    }
}

fn is_failure<B>(response: &Response<B>) -> bool {
    let status = response.status();
    let grpc = response.headers().get("grpc-status");
    status.is_server_error() || status.as_u16() == 429 || grpc.is_some_and(|code| code != "0")
}
