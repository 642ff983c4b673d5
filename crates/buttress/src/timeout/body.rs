use super::protocol::BodyLimits;
use crate::body::AnswerBody;
use crate::clock;
use crate::timer::{Alarm, Step, has_passed};
use buttress_core::{Reason, Rejection};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
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
    /// Nothing if nothing is bounded, or nothing is left. In a box, since a response is moved many
    /// times.
    bounds: Option<Pin<Box<Bounds>>>,
}

/// How long a body may take.
#[pin_project]
struct Bounds {
    name: &'static str,
    idle: Option<Duration>,
    until: Option<Instant>,
    /// When the wait for the next frame is too long; set when it begins.
    idle_until: Option<Instant>,
    #[pin]
    alarm: Alarm,
}

impl<B> TimeoutBody<B> {
    #[inline]
    pub(super) fn new(body: B, limits: BodyLimits, arrival: Instant, name: &'static str) -> Self
    where
        B: Body,
    {
        let is_bounded = limits.any() && !body.is_end_stream();
        let bounds = is_bounded.then(|| Bounds::new(limits, arrival, name));
        let body = AnswerBody::inner(body);
        Self { body, bounds }
    }
}

impl Bounds {
    fn new(limits: BodyLimits, arrival: Instant, name: &'static str) -> Pin<Box<Self>> {
        Box::pin(Self {
            name,
            idle: limits.idle,
            until: limits.whole.map(|longest| arrival + longest),
            idle_until: None,
            alarm: Alarm::new(),
        })
    }
}

/// A refusal's body, which is there at once.
impl<B> From<Bytes> for TimeoutBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self {
            body: AnswerBody::from(bytes),
            bounds: None,
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
        let frame = match this.bounds {
            None => ready!(body.poll_frame(context)),
            Some(bounds) => {
                let bounds = bounds.as_mut();
                match ready!(bounds.poll(context, |context| body.as_mut().poll_frame(context))) {
                    Ok(frame) => frame,
                    Err(rejection) => {
                        // Drops the inner body, so that what it holds is free.
                        body.set(AnswerBody::end());
                        return Poll::Ready(Some(Err(rejection.into())));
                    }
                }
            }
        };
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

impl Bounds {
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
        let name = self.bounds.as_ref().map(|bounds| bounds.name);
        f.debug_struct("TimeoutBody")
            .field("name", &name)
            .finish_non_exhaustive()
    }
}
