use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
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
    },
    /// What was kept of it.
    Replayed { kept: Arc<Recording>, next: usize },
    /// A body without anything, again.
    Empty,
}

impl<B: Body> ReplayBody<B> {
    /// Sends the body without keeping it.
    pub(super) const fn once(body: B) -> Self {
        let keeping = None;
        Self {
            content: Content::Sent { body, keeping },
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
        let content = Content::Sent { body, keeping };
        (Self { content }, KeptBody::Recorded(recording))
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

impl<B> Body for ReplayBody<B>
where
    B: Body,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().content.project() {
            ContentProjection::Sent { mut body, keeping } => {
                let frame = ready!(body.as_mut().poll_frame(context));
                let frame = frame.map(|frame| {
                    frame.map(|frame| {
                        frame.map_data(|mut data| data.copy_to_bytes(data.remaining()))
                    })
                });
                remember(keeping, frame.as_ref().map(Result::as_ref), || {
                    body.is_end_stream()
                });
                Poll::Ready(frame)
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
mod tests {
    use super::*;
    use http::HeaderValue;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    type Frames = Vec<Result<Frame<Bytes>, &'static str>>;

    fn body(frames: Frames) -> impl Body<Data = Bytes, Error = &'static str> + Unpin {
        StreamBody::new(futures_util::stream::iter(frames))
    }

    fn part(text: &'static str) -> Frame<Bytes> {
        Frame::data(Bytes::from_static(text.as_bytes()))
    }

    /// What a body comes to: its parts, and the names of its trailers.
    fn read<B: Body<Data = Bytes> + Unpin>(body: B) -> (Vec<Bytes>, Option<HeaderMap>, bool) {
        let mut body = body;
        let mut context = Context::from_waker(std::task::Waker::noop());
        let (mut parts, mut trailers) = (Vec::new(), None);
        while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut context) {
            match frame.map(Frame::into_data) {
                Ok(Ok(part)) => parts.push(part),
                Ok(Err(frame)) => trailers = frame.into_trailers().ok(),
                Err(_) => return (parts, trailers, false),
            }
        }
        (parts, trailers, true)
    }

    #[test]
    fn a_body_is_sent_again_with_its_trailers_and_without_copying() {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-checksum", HeaderValue::from_static("7"));
        let one = Bytes::from(b"one".to_vec());
        let frames = vec![
            Ok(Frame::data(one.clone())),
            Ok(part("two")),
            Ok(Frame::trailers(trailers.clone())),
        ];
        let (first, kept) = ReplayBody::keep(body(frames), 1_000);
        assert!(kept.again::<http_body_util::Empty<Bytes>>().is_none());
        let sent = read(first);
        for _ in 0..2 {
            let again = kept.again::<http_body_util::Empty<Bytes>>().unwrap();
            // Its length was not known the first time.
            assert_eq!(
                (again.size_hint().lower(), again.size_hint().upper()),
                (6, None)
            );
            let again = read(again);
            assert_eq!(sent, again);
            assert_eq!(again.0[0].as_ptr(), one.as_ptr());
            assert_eq!(again.1.as_ref(), Some(&trailers));
        }
    }

    #[test]
    fn a_body_that_was_not_sent_through_is_not_sent_again() {
        let frames = vec![Ok(part("one")), Ok(part("two"))];
        let (mut first, kept) = ReplayBody::keep(body(frames), 1_000);
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut first).poll_frame(&mut context).is_ready());
        drop(first);
        assert!(kept.again::<http_body_util::Empty<Bytes>>().is_none());

        let broken = vec![Ok(part("one")), Err("the caller is gone")];
        let (first, kept) = ReplayBody::keep(body(broken), 1_000);
        assert!(!read(first).2);
        assert!(kept.again::<http_body_util::Empty<Bytes>>().is_none());
    }

    #[test]
    fn a_body_without_anything_needs_no_memory() {
        let (first, kept) = ReplayBody::keep(http_body_util::Empty::<Bytes>::new(), 0);
        assert!(first.is_end_stream());
        assert!(matches!(kept, KeptBody::Empty));
        let again = kept.again::<http_body_util::Empty<Bytes>>().unwrap();
        assert_eq!(again.size_hint().exact(), Some(0));
        assert!(again.is_end_stream());
    }

    #[test]
    fn a_body_that_says_that_it_is_too_long_is_not_kept() {
        let long = http_body_util::Full::new(Bytes::from_static(&[0; 100]));
        let (first, kept) = ReplayBody::keep(long.clone(), 99);
        assert!(matches!(kept, KeptBody::TooLong));
        assert_eq!(read(first).0[0].len(), 100);
        let (mut first, kept) = ReplayBody::keep(long, 100);
        // Known to be over with its last part, though nobody asked for more.
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(Pin::new(&mut first).poll_frame(&mut context).is_ready());
        let again = kept.again::<http_body_util::Empty<Bytes>>().unwrap();
        assert_eq!(again.size_hint().exact(), Some(100));
        assert_eq!(read(again).0[0].len(), 100);
    }

    proptest! {
        /// Whatever the parts: the first attempt sends them all, and a later one sends the same or
        /// nothing, and never has more than the limit.
        #[test]
        fn what_is_sent_again_is_what_was_sent(
            parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..40),
            limit in 0_usize..4_000,
        ) {
            let frames = parts.iter().map(|part| Ok(Frame::data(Bytes::from(part.clone()))));
            let (first, kept) = ReplayBody::keep(body(frames.collect()), limit);
            let (sent, _, whole) = read(first);
            prop_assert!(whole);
            prop_assert_eq!(&sent, &parts);
            let length: usize = parts.iter().map(Vec::len).sum();
            let sent: Vec<Bytes> = sent.into_iter().filter(|part| !part.is_empty()).collect();
            let counted: usize = sent.iter().map(|part| part.len().max(SMALLEST_PART)).sum();
            match kept.again::<http_body_util::Empty<Bytes>>() {
                Some(again) => {
                    prop_assert!(length <= limit);
                    prop_assert_eq!(read(again).0, sent);
                }
                None => prop_assert!(counted > limit),
            }
        }
    }
}
