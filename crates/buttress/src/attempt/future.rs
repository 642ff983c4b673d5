use super::Attempt;
use buttress_core::protocol::is_grpc;
use buttress_core::pushback::{SHOULD_RETRY, forbid_retries};
use http::{HeaderName, Response};
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

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
    given_up: Arc<AtomicBool>,
    /// Nothing for the usual one.
    marker: Option<Arc<HeaderName>>,
}

impl AttemptMark {
    #[inline]
    pub(super) fn new(attempt: Attempt, marker: Option<Arc<HeaderName>>) -> Self {
        let given_up = attempt.given_up;
        Self { given_up, marker }
    }

    /// Marks `response` if it is a failure after retries that were given up.
    #[inline]
    pub fn mark<B>(&self, response: &mut Response<B>) {
        if self.given_up.load(Ordering::Relaxed) && is_failure(response) {
            let is_grpc = is_grpc(response.headers());
            let usual = SHOULD_RETRY;
            let marker = self.marker.as_deref().unwrap_or(&usual);
            forbid_retries(response.headers_mut(), marker, is_grpc);
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
        // Changed where it is: to take it out and put it back is to copy it twice.
        let mut polled = this.future.poll(context);
        if let Poll::Ready(Ok(response)) = &mut polled {
            this.mark.mark(response);
        }
        polled
    }
}

fn is_failure<B>(response: &Response<B>) -> bool {
    let status = response.status();
    let grpc = response.headers().get("grpc-status");
    status.is_server_error() || status.as_u16() == 429 || grpc.is_some_and(|code| code != "0")
}
