use super::protocol::BodyLimits;
use crate::body::AnswerBody;
use crate::clock;
use crate::timer::{Alarm, Step, has_passed};
use buttress_core::{Reason, Rejection};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// The body of a response whose time is bounded. Frames, trailers and size pass through unchanged;
/// the error is boxed, because it may be a [`Rejection`].
#[pin_project]
pub struct TimeoutBody<B> {
    #[pin]
    body: AnswerBody<B>,
    bounds: Bounds,
}

/// How long a body may take; nothing if it may take as long as it likes, or is over.
///
/// In a box, since a response is moved many times. Its memory is used again by a later body of the
/// thread; only what ends on another thread, or is one too many, costs an allocation.
struct Bounds(Option<Pin<Box<Bound>>>);

#[pin_project]
#[derive(Default)]
struct Bound {
    name: &'static str,
    idle: Option<Duration>,
    until: Option<Instant>,
    /// When the wait for the next frame is too long; set when it begins.
    idle_until: Option<Instant>,
    #[pin]
    alarm: Alarm,
}

/// So many wait to be used again, on each thread: less than 64 KiB.
const MOST_SPARE: usize = 256;

thread_local! {
    static SPARE: RefCell<Vec<Pin<Box<Bound>>>> = const { RefCell::new(Vec::new()) };
}

impl<B> TimeoutBody<B> {
    #[inline]
    pub(super) fn new(body: B, limits: BodyLimits, arrival: Instant, name: &'static str) -> Self
    where
        B: Body,
    {
        let bounds = if limits.any() && !body.is_end_stream() {
            Bounds::new(limits, arrival, name)
        } else {
            Bounds(None)
        };
        let body = AnswerBody::inner(body);
        Self { body, bounds }
    }
}

impl Bounds {
    fn new(limits: BodyLimits, arrival: Instant, name: &'static str) -> Self {
        let spare = SPARE.try_with(|spare| spare.try_borrow_mut().ok()?.pop());
        let mut bound = spare.ok().flatten().unwrap_or_default();
        let this = bound.as_mut().project();
        *this.name = name;
        *this.idle = limits.idle;
        *this.until = limits.whole.map(|longest| arrival + longest);
        *this.idle_until = None;
        Self(Some(bound))
    }
}

impl Drop for Bounds {
    #[inline]
    fn drop(&mut self) {
        if let Some(bound) = self.0.take() {
            put_by(bound);
        }
    }
}

fn put_by(mut bound: Pin<Box<Bound>>) {
    // First the timer, of which the runtime would otherwise still know.
    bound.as_mut().project().alarm.set(Alarm::new());
    // Nothing if the thread is about to end.
    let _ = SPARE.try_with(|spare| {
        if let Ok(mut spare) = spare.try_borrow_mut()
            && spare.len() < MOST_SPARE
        {
            spare.push(bound);
        }
    });
}

/// A refusal's body, which is there at once.
impl<B> From<Bytes> for TimeoutBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self {
            body: AnswerBody::from(bytes),
            bounds: Bounds(None),
        }
    }
}

impl<B> Body for TimeoutBody<B>
where
    B: Body<Data: From<Bytes>, Error: Into<BoxError>>,
{
    type Data = B::Data;
    type Error = BoxError;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let this = self.project();
        let mut body = this.body;
        let bounds = this.bounds;
        let Some(bound) = &mut bounds.0 else {
            let frame = ready!(body.poll_frame(context));
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        };
        let polled = bound
            .as_mut()
            .poll(context, |context| body.as_mut().poll_frame(context));
        let frame = match ready!(polled) {
            Ok(frame) => frame,
            Err(rejection) => {
                // Drops the inner body, so that what it holds is free.
                body.set(AnswerBody::end());
                *bounds = Bounds(None);
                return Poll::Ready(Some(Err(rejection.into())));
            }
        };
        if frame.is_none() {
            *bounds = Bounds(None);
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    #[inline]
    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    #[inline]
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Bound {
    /// Polls for the next frame, which may take only so long.
    fn poll<T>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        frame: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Rejection>> {
        let this = self.project();
        let (name, idle, until) = (*this.name, *this.idle, *this.until);
        let idle_until = this.idle_until;
        this.alarm.poll(context, |context| {
            // The frame first: if it is there together with the deadline, it wins.
            if let Poll::Ready(frame) = frame(context) {
                *idle_until = None;
                return Step::Done(Ok(frame));
            }
            if idle_until.is_none() {
                *idle_until = idle.map(|longest| clock::now() + longest);
            }
            let earliest = match (*idle_until, until) {
                (Some(idle), Some(until)) => Some(idle.min(until)),
                (idle, until) => idle.or(until),
            };
            match earliest {
                Some(instant) if has_passed(instant) => {
                    Step::Done(Err(Rejection::new(Reason::TimedOut, name)))
                }
                _ => Step::PendingUntil(earliest),
            }
        })
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<B> fmt::Debug for TimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.bounds.0.as_ref().map(|bound| bound.name);
        f.debug_struct("TimeoutBody")
            .field("name", &name)
            .finish_non_exhaustive()
    }
}
