use super::settle::FailOnPanic;
use crate::body::AnswerBody;
use crate::clock;
use buttress_core::{Now, Outcome, Permit};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project::pin_project;
use std::fmt::{self, Display};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_http::classify::ClassifyEos;

/// The body of a guarded response. It holds the call's permit until it ends.
///
/// The inner body's frames, trailers and size pass through unchanged. Dropping it half-way
/// cancels the call.
#[pin_project]
pub struct GuardBody<B, P, E> {
    #[pin]
    body: AnswerBody<B>,
    /// Until the call is over.
    permit: Option<P>,
    verdict: Option<Verdict<E>>,
}

/// How a call went, as far as is known when its headers are there.
pub(super) enum Verdict<E> {
    Known(Outcome),
    AtTheEnd(E),
}

impl<B, P, E> GuardBody<B, P, E>
where
    B: Body,
    P: Permit,
    E: ClassifyEos<FailureClass: Into<Outcome>>,
{
    #[inline]
    pub(super) fn new(body: B, permit: P, verdict: Verdict<E>) -> Self {
        let over = body.is_end_stream();
        let mut permit = Some(permit);
        let mut verdict = Some(verdict);
        if over {
            settle(&mut permit, &mut verdict, |eos| eos.classify_eos(None));
        }
        Self {
            body: AnswerBody::inner(body),
            permit,
            verdict,
        }
    }
}

/// A refusal's body, which holds no permit.
impl<B, P, E> From<Bytes> for GuardBody<B, P, E> {
    fn from(bytes: Bytes) -> Self {
        Self {
            body: AnswerBody::from(bytes),
            permit: None,
            verdict: None,
        }
    }
}

impl<B, P, E> Body for GuardBody<B, P, E>
where
    B: Body<Data: From<Bytes>, Error: Display + 'static>,
    P: Permit,
    E: ClassifyEos<FailureClass: Into<Outcome>>,
{
    type Data = B::Data;
    type Error = B::Error;

    #[inline]
    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        let (mut body, permit, verdict) = (this.body, this.permit, this.verdict);
        let watch = FailOnPanic::watch(permit);
        let polled = body.as_mut().poll_frame(context);
        watch.done();
        let frame = ready!(polled);
        if permit.is_some() {
            match &frame {
                None => settle(permit, verdict, |eos| eos.classify_eos(None)),
                Some(Err(error)) => {
                    // A body that breaks off failed, whatever its headers promised.
                    if let Some(Verdict::Known(outcome @ Outcome::Success)) = verdict {
                        *outcome = Outcome::Failure;
                    }
                    settle(permit, verdict, |eos| Err(eos.classify_error(error)));
                }
                Some(Ok(frame)) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        settle(permit, verdict, |eos| eos.classify_eos(Some(trailers)));
                    } else if body.is_end_stream() {
                        settle(permit, verdict, |eos| eos.classify_eos(None));
                    }
                }
            }
        }
        Poll::Ready(frame)
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

/// The call is over: tells the policy, once.
#[inline]
fn settle<P, E>(
    permit: &mut Option<P>,
    verdict: &mut Option<Verdict<E>>,
    classify: impl FnOnce(E) -> Result<(), E::FailureClass>,
) where
    P: Permit,
    E: ClassifyEos<FailureClass: Into<Outcome>>,
{
    if let (Some(permit), Some(verdict)) = (permit.take(), verdict.take()) {
        let outcome = match verdict {
            Verdict::Known(outcome) => outcome,
            Verdict::AtTheEnd(eos) => classify(eos).map_or_else(Into::into, |()| Outcome::Success),
        };
        permit.complete(outcome, &Now::lazy(clock::now));
    }
}

impl<B, P, E> fmt::Debug for GuardBody<B, P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardBody")
            .field("over", &self.permit.is_none())
            .finish_non_exhaustive()
    }
}
