use super::settle::{self, Held};
use crate::body::AnswerBody;
use crate::repeat::Upload;
use buttress_core::pushback::Pushback;
use buttress_core::{BrokenRequest, Outcome, Permit};
use bytes::Bytes;
use http::HeaderMap;
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
pub struct GuardBody<B, P: Permit, E> {
    #[pin]
    body: AnswerBody<B>,
    /// Until the call is over.
    permit: Held<P>,
    verdict: Option<Verdict<E>>,
    /// The request's body may break off after the answer has begun.
    upload: Upload,
}

/// How a call went, as far as is known when its headers are there.
pub(super) enum Verdict<E> {
    Known(Outcome),
    AtTheEnd(E),
    /// The time that the caller gave it was up.
    Expired,
}

impl<B, P, E> GuardBody<B, P, E>
where
    B: Body,
    P: Permit,
    E: ClassifyEos<FailureClass: Into<Outcome>>,
{
    #[inline]
    pub(super) fn new(body: B, permit: P, verdict: Verdict<E>, upload: Upload) -> Self {
        if let Verdict::Expired = verdict {
            settle::expire(permit);
            return Self::of_nothing(body);
        }
        if body.is_end_stream() {
            let mut permit = Held::new(permit);
            let mut verdict = Some(verdict);
            settle(&mut permit, &mut verdict, None, |eos| {
                eos.classify_eos(None)
            });
            return Self::of_nothing(body);
        }
        let mut permit = Held::new(permit);
        permit.begins(match verdict {
            Verdict::Known(outcome) => Some(outcome),
            Verdict::AtTheEnd(_) | Verdict::Expired => None,
        });
        Self {
            body: AnswerBody::inner(body),
            permit,
            verdict: Some(verdict),
            upload,
        }
    }
}

impl<B, P: Permit, E> GuardBody<B, P, E> {
    /// That of a call that is over, and holds nothing.
    #[inline]
    pub(super) const fn of_nothing(body: B) -> Self {
        Self::over(AnswerBody::inner(body))
    }

    #[inline]
    const fn over(body: AnswerBody<B>) -> Self {
        Self {
            body,
            permit: Held::nothing(),
            verdict: None,
            upload: Upload::nothing(),
        }
    }
}

/// A refusal's body, which holds no permit.
impl<B, P: Permit, E> From<Bytes> for GuardBody<B, P, E> {
    fn from(bytes: Bytes) -> Self {
        Self::over(AnswerBody::from(bytes))
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
        let watch = permit.watch();
        let polled = body.as_mut().poll_frame(context);
        watch.done();
        let frame = ready!(polled);
        if !permit.is_over() {
            match &frame {
                None => settle(permit, verdict, None, |eos| eos.classify_eos(None)),
                Some(Err(error)) => {
                    let excused = || this.upload.is_broken() || BrokenRequest::of(error).is_some();
                    match verdict {
                        // A body that breaks off failed, whatever its headers promised.
                        Some(Verdict::Known(outcome @ Outcome::Success)) => {
                            *outcome = if excused() {
                                Outcome::Cancelled
                            } else {
                                Outcome::Failure
                            };
                        }
                        Some(Verdict::AtTheEnd(_)) if excused() => {
                            *verdict = Some(Verdict::Known(Outcome::Cancelled));
                        }
                        _ => {}
                    }
                    settle(permit, verdict, None, |eos| Err(eos.classify_error(error)));
                }
                Some(Ok(frame)) => {
                    if let Some(trailers) = frame.trailers_ref() {
                        let trailers = Some(trailers);
                        settle(permit, verdict, trailers, |eos| eos.classify_eos(trailers));
                    } else if body.is_end_stream() {
                        settle(permit, verdict, None, |eos| eos.classify_eos(None));
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
    permit: &mut Held<P>,
    verdict: &mut Option<Verdict<E>>,
    trailers: Option<&HeaderMap>,
    classify: impl FnOnce(E) -> Result<(), E::FailureClass>,
) where
    P: Permit,
    E: ClassifyEos<FailureClass: Into<Outcome>>,
{
    if let (Some(mut permit), Some(verdict)) = (permit.take(), verdict.take()) {
        let outcome = match verdict {
            Verdict::Known(outcome) => outcome,
            Verdict::Expired => Outcome::Failure,
            Verdict::AtTheEnd(eos) => classify(eos).map_or_else(Into::into, |()| Outcome::Success),
        };
        if let Some(trailers) = trailers {
            tell_pushback(&mut permit, outcome, trailers);
        }
        settle::settle(permit, outcome);
    }
}

/// Tells the policy what the callee said about calling again, if it did not do well.
#[inline]
pub(super) fn tell_pushback<P: Permit>(permit: &mut P, outcome: Outcome, headers: &HeaderMap) {
    if P::WANTS_OUTCOME
        && matches!(outcome, Outcome::Failure | Outcome::Overload)
        && let Some(Pushback::After(wait)) = Pushback::of(headers)
    {
        permit.pushback(wait);
    }
}

impl<B, P: Permit, E> fmt::Debug for GuardBody<B, P, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardBody")
            .field("over", &self.permit.is_over())
            .finish_non_exhaustive()
    }
}
