use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The inner service's body, unchanged, or a refusal's.
#[pin_project]
#[derive(Debug)]
pub struct AnswerBody<B> {
    #[pin]
    content: Content<B>,
}

#[pin_project(project = ContentProjection)]
#[derive(Debug)]
enum Content<B> {
    Inner(#[pin] B),
    Refusal(Option<Bytes>),
}

impl<B> AnswerBody<B> {
    #[inline]
    pub(crate) const fn inner(body: B) -> Self {
        let content = Content::Inner(body);
        Self { content }
    }

    /// Nothing more.
    pub(crate) const fn end() -> Self {
        let content = Content::Refusal(None);
        Self { content }
    }
}

/// A refusal's body.
impl<B> From<Bytes> for AnswerBody<B> {
    fn from(bytes: Bytes) -> Self {
        let content = Content::Refusal((!bytes.is_empty()).then_some(bytes));
        Self { content }
    }
}

impl<B: Body<Data: From<Bytes>>> Body for AnswerBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().content.project() {
            ContentProjection::Inner(body) => body.poll_frame(context),
            ContentProjection::Refusal(bytes) => {
                let frame = bytes.take().map(|bytes| Ok(Frame::data(bytes.into())));
                Poll::Ready(frame)
            }
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner(body) => body.is_end_stream(),
            Content::Refusal(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Inner(body) => body.size_hint(),
            Content::Refusal(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
        }
    }
}
