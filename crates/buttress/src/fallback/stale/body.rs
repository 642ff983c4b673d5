use super::layer::Shared;
use super::store::Stored;
use crate::body::AnswerBody;
use crate::room::Taken;
use buttress_core::digest::Digest;
use bytes::{Buf, Bytes};
use http::header;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// The inner service's body, unchanged, or a stored one.
#[pin_project]
pub struct StaleBody<B> {
    #[pin]
    body: AnswerBody<B>,
    /// While the body is on its way and may be stored.
    copying: Option<Box<Copying>>,
}

impl<B> StaleBody<B> {
    #[inline]
    pub(super) const fn inner(body: B) -> Self {
        Self {
            body: AnswerBody::inner(body),
            copying: None,
        }
    }

    pub(super) fn stored(body: Bytes) -> Self {
        Self {
            body: AnswerBody::from(body),
            copying: None,
        }
    }
}

impl<B: Body> StaleBody<B> {
    /// Stores the answer when the body is whole.
    pub(super) fn copying(body: B, copying: Copying) -> Self {
        let mut copying = Some(Box::new(copying));
        if body.is_end_stream() {
            Copying::whole(&mut copying);
        }
        Self {
            body: AnswerBody::inner(body),
            copying,
        }
    }
}

/// An answer whose body is on its way.
pub(super) struct Copying {
    shared: Arc<Shared>,
    resource: Digest,
    answer: Stored,
    frames: Vec<Bytes>,
    taken: Taken,
}

impl Copying {
    pub(super) fn new(shared: Arc<Shared>, resource: Digest, answer: Stored) -> Self {
        Self {
            taken: Taken::nothing(Arc::clone(&shared.room)),
            shared,
            resource,
            answer,
            frames: Vec::new(),
        }
    }

    /// A part of the body has come. If there is no room for it, the answer is not stored.
    fn add(copying: &mut Option<Box<Self>>, bytes: &Bytes) {
        if let Some(known) = copying {
            if known.taken.frame(bytes.len()) {
                known.frames.push(bytes.clone());
            } else {
                Self::give_up(copying);
            }
        }
    }

    /// The answer cannot be stored after all, and what is stored is out of date with it.
    fn give_up(copying: &mut Option<Box<Self>>) {
        if let Some(copying) = copying.take() {
            copying.shared.store.forget(copying.resource);
        }
    }

    /// The body is whole.
    fn whole(copying: &mut Option<Box<Self>>) {
        let Some(copying) = copying.take() else {
            return;
        };
        let Self {
            shared,
            resource,
            mut answer,
            frames,
            taken,
        } = *copying;
        let body = frames.concat();
        let promised = answer.headers.get(header::CONTENT_LENGTH);
        let promised = promised.map(|length| std::str::from_utf8(length.as_bytes()));
        let kept = promised
            .is_none_or(|length| length.is_ok_and(|length| length.parse() == Ok(body.len())));
        if kept {
            answer.body = body.into();
            shared.store.put(resource, answer);
        }
        drop(taken);
    }
}

impl<B: Body<Data: From<Bytes>>> Body for StaleBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let (mut body, copying) = (this.body, this.copying);
        let frame = ready!(body.as_mut().poll_frame(context));
        if copying.is_none() {
            return Poll::Ready(frame);
        }
        let frame = match frame {
            None => {
                Copying::whole(copying);
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                // It does not say what would have come. What is stored is as good as before.
                *copying = None;
                return Poll::Ready(Some(Err(error)));
            }
            Some(Ok(frame)) => frame,
        };
        Poll::Ready(Some(Ok(match frame.into_data() {
            Ok(mut data) => {
                // `Bytes` gives its own away without a copy.
                let bytes = data.copy_to_bytes(data.remaining());
                Copying::add(copying, &bytes);
                if body.is_end_stream() {
                    Copying::whole(copying);
                }
                Frame::data(bytes.into())
            }
            Err(trailers) => {
                Copying::give_up(copying);
                trailers
            }
        })))
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for StaleBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StaleBody")
            .field("is_copied", &self.copying.is_some())
            .finish_non_exhaustive()
    }
}
