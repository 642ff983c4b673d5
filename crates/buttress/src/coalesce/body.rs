use crate::room::Taken;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The inner service's body, unchanged, or one that several callers share.
#[pin_project]
pub struct CoalesceBody<B: Body> {
    #[pin]
    content: Content<B>,
}

#[pin_project(project = ContentProjection)]
enum Content<B: Body> {
    Inner(#[pin] B),
    Replay(Replay<B>),
}

impl<B: Body> CoalesceBody<B> {
    #[inline]
    pub(super) const fn inner(body: B) -> Self {
        let content = Content::Inner(body);
        Self { content }
    }

    pub(super) const fn replay(body: Replay<B>) -> Self {
        let content = Content::Replay(body);
        Self { content }
    }
}

/// What was read of a body already, and then whatever came after it.
pub(super) struct Replay<B: Body> {
    frames: std::vec::IntoIter<Bytes>,
    /// Of the frames.
    left: u64,
    then: Then<B>,
    /// The frames' memory, until the last one who shares it is done.
    _room: Arc<Taken>,
}

type FrameOf<B> = Result<Frame<<B as Body>::Data>, <B as Body>::Error>;

enum Then<B: Body> {
    End,
    Trailers(HeaderMap),
    Error(B::Error),
    Rest(Pin<Box<B>>),
}

impl<B: Body> Replay<B> {
    pub(super) fn new(frames: Vec<Bytes>, room: Arc<Taken>) -> Self {
        Self {
            left: frames.iter().map(|frame| frame.len() as u64).sum(),
            frames: frames.into_iter(),
            then: Then::End,
            _room: room,
        }
    }

    pub(super) fn trailers(self, trailers: Option<HeaderMap>) -> Self {
        let then = trailers.map_or(Then::End, Then::Trailers);
        Self { then, ..self }
    }

    pub(super) fn error(self, error: B::Error) -> Self {
        let then = Then::Error(error);
        Self { then, ..self }
    }

    pub(super) fn rest(self, body: Pin<Box<B>>) -> Self {
        let then = Then::Rest(body);
        Self { then, ..self }
    }
}

impl<B: Body<Data: From<Bytes>>> Replay<B> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Option<FrameOf<B>>> {
        if let Some(bytes) = self.frames.next() {
            self.left -= bytes.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(bytes.into()))));
        }
        if let Then::Rest(body) = &mut self.then {
            return body.as_mut().poll_frame(context);
        }
        Poll::Ready(match std::mem::replace(&mut self.then, Then::End) {
            Then::Trailers(trailers) => Some(Ok(Frame::trailers(trailers))),
            Then::Error(error) => Some(Err(error)),
            Then::End | Then::Rest(_) => None,
        })
    }
}

impl<B: Body<Data: From<Bytes>>> Body for CoalesceBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().content.project() {
            ContentProjection::Inner(body) => body.poll_frame(context),
            ContentProjection::Replay(body) => body.poll_frame(context),
        }
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Inner(body) => body.is_end_stream(),
            Content::Replay(body) => {
                body.frames.as_slice().is_empty()
                    && match &body.then {
                        Then::End => true,
                        Then::Rest(rest) => rest.is_end_stream(),
                        Then::Trailers(_) | Then::Error(_) => false,
                    }
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        let (left, rest) = match &self.content {
            Content::Inner(body) => return body.size_hint(),
            Content::Replay(body) => match &body.then {
                Then::Rest(rest) => (body.left, rest.size_hint()),
                // How much more it would have been is not known.
                Then::Error(_) => (body.left, SizeHint::new()),
                Then::End | Then::Trailers(_) => (body.left, SizeHint::with_exact(0)),
            },
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(left));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(left));
        }
        hint
    }
}

impl<B: Body> fmt::Debug for CoalesceBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoalesceBody").finish_non_exhaustive()
    }
}
