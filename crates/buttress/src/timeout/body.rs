use super::protocol::BodyLimits;
use crate::clock;
use crate::timer::{Alarm, Step, has_passed};
use buttress_core::{Reason, Rejection};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// The body of a response whose time is bounded. Frames, trailers and size pass through unchanged;
/// the error is boxed, because it may be a [`Rejection`].
#[pin_project]
pub struct TimeoutBody<B> {
    #[pin]
    content: Content<B>,
    limits: BodyLimits,
    /// When the wait for the next frame is too long; set when it begins.
    idle_until: Option<Instant>,
    #[pin]
    alarm: Alarm,
}

#[pin_project(project = ContentProjection)]
enum Content<B> {
    Inner(#[pin] B),
    /// A refusal's body, or nothing after the time was up.
    Refusal(Option<Bytes>),
}

impl<B> TimeoutBody<B> {
    #[inline]
    pub(super) const fn new(body: B, limits: BodyLimits) -> Self {
        Self {
            content: Content::Inner(body),
            limits,
            idle_until: None,
            alarm: Alarm::new(),
        }
    }
}

impl<B> From<Bytes> for TimeoutBody<B> {
    fn from(bytes: Bytes) -> Self {
        Self {
            content: Content::Refusal((!bytes.is_empty()).then_some(bytes)),
            limits: BodyLimits::none(),
            idle_until: None,
            alarm: Alarm::new(),
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
        let mut body_or_refusal = this.content;
        let body = match body_or_refusal.as_mut().project() {
            ContentProjection::Inner(body) => body,
            ContentProjection::Refusal(bytes) => {
                let frame = bytes.take().map(|bytes| Ok(Frame::data(bytes.into())));
                return Poll::Ready(frame);
            }
        };
        let BodyLimits { name, idle, until } = *this.limits;
        if idle.is_none() && until.is_none() {
            return body
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into)));
        }
        let idle_until = this.idle_until;
        let frame = this.alarm.poll(context, |context| {
            // The frame first: if it is there together with the deadline, it wins.
            if let Poll::Ready(frame) = body.poll_frame(context) {
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
                body_or_refusal.set(Content::Refusal(None));
                let rejection = Rejection::new(Reason::TimedOut, name);
                Poll::Ready(Some(Err(rejection.into())))
            }
        }
    }

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

type BoxError = Box<dyn Error + Send + Sync>;

impl<B> fmt::Debug for TimeoutBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutBody")
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
