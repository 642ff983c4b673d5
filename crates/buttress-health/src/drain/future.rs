use crate::shared::Shared;
use http::{HeaderValue, Response, StatusCode, header};
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The future of a call whose answer may ask to close the connection.
///
/// # Cancellation
///
/// It can be dropped at any point; the inner call is dropped with it.
#[pin_project]
#[derive(Debug)]
pub struct FarewellFuture<F> {
    #[pin]
    inner: F,
    /// For HTTP/1.
    shared: Option<Arc<Shared>>,
}

impl<F> FarewellFuture<F> {
    pub(super) const fn new(inner: F, shared: Option<Arc<Shared>>) -> Self {
        Self { inner, shared }
    }
}

impl<F, B, E> Future for FarewellFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.inner.poll(context))?;
        // Now, and not when the call came: it may have begun before the drain did.
        let leaving = this
            .shared
            .as_ref()
            .is_some_and(|shared| shared.is_draining());
        if leaving && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        Poll::Ready(Ok(response))
    }
}
