use super::upload::{Sending, Turn, Upload};
use buttress_core::BrokenRequest;
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

/// The body of an attempt.
///
/// The first attempt's is the request's own, of which the parts are kept while they are sent, up to
/// a bound. If that is passed, keeping ends, sending goes on, and there will be no other attempt. A
/// later attempt's body is what was kept. The parts are shared between the two, not copied.
#[pin_project]
pub struct ReplayBody<B> {
    #[pin]
    content: Content<B>,
}

#[pin_project(project = ContentProjection)]
enum Content<B> {
    /// The request's own body.
    Sent {
        #[pin]
        body: B,
        keeping: Option<Keeping>,
        sending: Sending,
    },
    /// What was kept of it.
    Replayed { kept: Arc<Recording>, next: usize },
    /// A body without anything, again.
    Empty,
}

impl<B: Body> ReplayBody<B> {
    /// Sends the body without keeping it.
    #[inline]
    pub(super) fn once(body: B) -> Self {
        Self::sent(body, None)
    }

    #[inline]
    fn sent(body: B, keeping: Option<Keeping>) -> Self {
        let sending = Sending(if body.is_end_stream() {
            Upload::nothing()
        } else {
            Upload::begin()
        });
        Self {
            content: Content::Sent {
                body,
                keeping,
                sending,
            },
        }
    }

    /// How far it has been sent.
    #[inline]
    pub(super) fn upload(&self) -> Upload {
        match &self.content {
            Content::Sent { sending, .. } => sending.0.share(),
            Content::Replayed { .. } | Content::Empty => Upload::nothing(),
        }
    }

    /// Sends the body, and keeps at most `limit` bytes of it.
    pub(super) fn keep(body: B, limit: usize) -> (Self, KeptBody) {
        if body.is_end_stream() {
            return (Self::once(body), KeptBody::Empty);
        }
        let size = body.size_hint();
        if size.lower() > limit as u64 {
            return (Self::once(body), KeptBody::TooLong);
        }
        let recording = Arc::new(Recording {
            exact: size.exact().is_some(),
            whole: OnceLock::new(),
        });
        let keeping = Some(Keeping {
            left: limit,
            whole: Whole::default(),
            recording: Arc::clone(&recording),
        });
        (Self::sent(body, keeping), KeptBody::Recorded(recording))
    }
}

/// What is kept of a body.
#[derive(Clone, Debug)]
pub(super) enum KeptBody {
    Empty,
    TooLong,
    Recorded(Arc<Recording>),
}

impl KeptBody {
    /// The body once more, if it has been sent through and was not too long.
    pub(super) fn again<B>(&self) -> Option<ReplayBody<B>> {
        let content = match self {
            Self::Empty => Content::Empty,
            Self::TooLong => return None,
            Self::Recorded(recording) => {
                recording.whole.get()?;
                let kept = Arc::clone(recording);
                Content::Replayed { kept, next: 0 }
            }
        };
        Some(ReplayBody { content })
    }
}

/// Where the first attempt leaves what it has sent, for the others.
#[derive(Debug)]
pub(super) struct Recording {
    /// Whether the length was known from the start. Only then it may be told again, since whether
    /// trailers can follow depends on it in HTTP/1.
    exact: bool,
    /// There once the body has been sent through.
    whole: OnceLock<Whole>,
}

/// A whole body. Most have one part, which then needs no memory of its own.
#[derive(Debug, Default)]
struct Whole {
    first: Option<Bytes>,
    more: Vec<Bytes>,
    trailers: Option<HeaderMap>,
}

impl Whole {
    fn push(&mut self, part: Bytes) {
        match self.first {
            None => self.first = Some(part),
            Some(_) => self.more.push(part),
        }
    }

    fn part(&self, index: usize) -> Option<&Bytes> {
        match index.checked_sub(1) {
            None => self.first.as_ref(),
            Some(index) => self.more.get(index),
        }
    }

    fn parts(&self) -> usize {
        usize::from(self.first.is_some()) + self.more.len()
    }

    fn length_from(&self, index: usize) -> u64 {
        (index..self.parts())
            .filter_map(|index| self.part(index))
            .map(|part| part.len() as u64)
            .sum()
    }
}

/// What the first attempt keeps while it sends.
struct Keeping {
    left: usize,
    whole: Whole,
    recording: Arc<Recording>,
}

impl Keeping {
    /// Returns whether it fits.
    fn data(&mut self, part: &Bytes) -> bool {
        if part.is_empty() {
            return true;
        }
        // A part takes memory even if it is short, or else a body in single bytes would take a
        // hundred times its length.
        let left = self.left.checked_sub(part.len());
        if let Some(left) = left {
            self.left = left.saturating_sub(SMALLEST_PART.saturating_sub(part.len()));
            self.whole.push(part.clone());
        }
        left.is_some()
    }

    /// Leaves the body to later attempts.
    fn done(self) {
        let _ = self.recording.whole.set(self.whole);
    }
}

/// What a part counts for at least.
const SMALLEST_PART: usize = 64;

/// Its error is a [`BrokenRequest`], so that a client's failure for it is not taken for the callee's.
impl<B> Body for ReplayBody<B>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>>,
{
    type Data = Bytes;
    type Error = BrokenRequest;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenRequest>>> {
        match self.project().content.project() {
            ContentProjection::Sent {
                mut body,
                keeping,
                sending,
            } => {
                let polled = body.as_mut().poll_frame(context);
                match &polled {
                    Poll::Pending => sending.tell(Turn::Sender),
                    Poll::Ready(Some(Err(_))) => sending.end(Turn::Broken),
                    Poll::Ready(Some(Ok(_))) if !body.is_end_stream() => {
                        sending.tell(Turn::Callee);
                    }
                    Poll::Ready(_) => sending.end(Turn::Callee),
                }
                let frame = ready!(polled);
                let frame = frame.map(|frame| {
                    frame.map(|frame| {
                        frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
                    })
                });
                remember(keeping, frame.as_ref().map(Result::as_ref), || {
                    body.is_end_stream()
                });
                Poll::Ready(frame.map(|frame| frame.map_err(BrokenRequest::new)))
            }
            ContentProjection::Replayed { kept, next } => Poll::Ready(replay(kept, next).map(Ok)),
            ContentProjection::Empty => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Sent { body, .. } => body.is_end_stream(),
            Content::Replayed { kept, next } => kept.whole.get().is_none_or(|whole| {
                let end = whole.parts() + usize::from(whole.trailers.is_some());
                *next >= end
            }),
            Content::Empty => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Sent { body, .. } => body.size_hint(),
            Content::Replayed { kept, next } => {
                let whole = kept.whole.get();
                let length = whole.map_or(0, |whole| whole.length_from(*next));
                let mut size = SizeHint::new();
                size.set_lower(length);
                if kept.exact {
                    size.set_upper(length);
                }
                size
            }
            Content::Empty => SizeHint::with_exact(0),
        }
    }
}

/// Keeps what was sent, as long as it fits; and leaves it to others when it is all there.
fn remember<E>(
    keeping: &mut Option<Keeping>,
    frame: Option<Result<&Frame<Bytes>, &E>>,
    is_end: impl FnOnce() -> bool,
) {
    let Some(kept) = keeping else { return };
    let (fits, over) = match frame {
        None => (true, true),
        Some(Err(_)) => (false, true),
        Some(Ok(frame)) => {
            if let Some(part) = frame.data_ref() {
                let fits = kept.data(part);
                (fits, fits && is_end())
            } else {
                kept.whole.trailers = frame.trailers_ref().cloned();
                (true, true)
            }
        }
    };
    if fits && over {
        if let Some(kept) = keeping.take() {
            kept.done();
        }
    } else if !fits {
        *keeping = None;
    }
}

fn replay(kept: &Recording, next: &mut usize) -> Option<Frame<Bytes>> {
    let whole = kept.whole.get()?;
    let index = *next;
    *next = index.saturating_add(1);
    match whole.part(index) {
        Some(part) => Some(Frame::data(part.clone())),
        None if index == whole.parts() => whole.trailers.clone().map(Frame::trailers),
        None => None,
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match &self.content {
            Content::Sent { keeping: None, .. } => "sent",
            Content::Sent { .. } => "sent and kept",
            Content::Replayed { .. } | Content::Empty => "sent again",
        };
        f.debug_tuple("ReplayBody").field(&what).finish()
    }
}

#[cfg(test)]
mod tests;
