use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The body of an answer that may have been looked at: the inner body, unchanged.
///
/// A gRPC server that fails before its first message says so in trailers, which come right after
/// the headers. Whoever wants to know must take the first frame out; it is put back here.
#[pin_project]
pub struct PeekBody<B: Body> {
    peeked: Option<Result<Frame<B::Data>, B::Error>>,
    /// Whether looking met the end, after which the inner body must not be polled again.
    ended: bool,
    #[pin]
    body: B,
}

impl<B: Body> PeekBody<B> {
    /// A body that nobody looked at.
    #[inline]
    pub(super) const fn new(body: B) -> Self {
        Self {
            peeked: None,
            ended: false,
            body,
        }
    }

    /// The first frame, if it is there already. Nothing is awaited.
    pub(super) fn peek(&mut self, context: &mut Context<'_>) -> Option<&Frame<B::Data>>
    where
        B: Unpin,
    {
        if self.peeked.is_none()
            && let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context)
        {
            self.ended = frame.is_none();
            self.peeked = frame;
        }
        self.peeked.as_ref()?.as_ref().ok()
    }

    /// The trailers, if they were found to be the first frame.
    pub(crate) fn peeked_trailers(&mut self) -> Option<&mut HeaderMap> {
        self.peeked.as_mut()?.as_mut().ok()?.trailers_mut()
    }
}

impl<B: Body> Body for PeekBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        match this.peeked.take() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if *this.ended => Poll::Ready(None),
            None => this.body.poll_frame(context),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.peeked.is_none() && (self.ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        use bytes::Buf;
        let mut size = self.body.size_hint();
        if let Some(Ok(frame)) = &self.peeked
            && let Some(data) = frame.data_ref()
        {
            let length = data.remaining() as u64;
            // The upper bound first: the lower one must never pass it.
            if let Some(upper) = size.upper() {
                size.set_upper(upper.saturating_add(length));
            }
            size.set_lower(size.lower().saturating_add(length));
        }
        size
    }
}

impl<B: Body> fmt::Debug for PeekBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeekBody")
            .field("peeked", &self.peeked.is_some())
            .finish_non_exhaustive()
    }
}
