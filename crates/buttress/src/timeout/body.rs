use super::protocol::BodyLimits;
use crate::body::AnswerBody;
use crate::clock;
use crate::timer::{BoxedAlarm, Step, has_passed};
use buttress_core::{Reason, Rejection};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// The body of a response whose time is bounded. Frames, trailers and size pass through unchanged;
/// the error is boxed, because it may be a [`Rejection`].
#[pin_project]
pub struct TimeoutBody<B> {
    #[pin]
    body: AnswerBody<B>,
    name: &'static str,
    idle: Option<Duration>,
    until: Option<Instant>,
    /// When the wait for the next frame is too long; set when it begins.
    idle_until: Option<Instant>,
    alarm: BoxedAlarm,
}

impl<B> TimeoutBody<B> {
    #[inline]
    pub(super) fn new(body: B, limits: BodyLimits, arrival: Instant, name: &'static str) -> Self {
        Self {
            body: AnswerBody::inner(body),
            name,
            idle: limits.idle,
            until: limits.whole.map(|longest| arrival + longest),
            idle_until: None,
            alarm: BoxedAlarm::new(),
        }
    }
}

/// A refusal's body, which is there at once.
impl<B> From<Bytes> for TimeoutBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self {
            body: AnswerBody::from(bytes),
            name: "",
            idle: None,
            until: None,
            idle_until: None,
            alarm: BoxedAlarm::new(),
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
        let (idle, until) = (*this.idle, *this.until);
        let idle_until = this.idle_until;
        let frame = this.alarm.poll(context, |context| {
            // The frame first: if it is there together with the deadline, it wins.
            if let Poll::Ready(frame) = body.as_mut().poll_frame(context) {
                return Step::Done(Some(frame));
            }
            if idle_until.is_none() {
                *idle_until = idle.map(|longest| clock::now() + longest);
            }
            let earliest = match (*idle_until, until) {
                (Some(idle), Some(until)) => Some(idle.min(until)),
                (idle, until) => idle.or(until),
            };
            match earliest {
                Some(instant) if has_passed(instant) => Step::Done(None),
                _ => Step::PendingUntil(earliest),
            }
        });
        match frame {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(frame)) => {
                *idle_until = None;
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Ready(None) => {
                // Drops the inner body, so that what it holds is free.
                body.set(AnswerBody::end());
                let rejection = Rejection::new(Reason::TimedOut, this.name);
                Poll::Ready(Some(Err(rejection.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

impl<B> fmt::Debug for TimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutBody")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
