use super::origin::Origin;
use super::protocol::RetryProtocol;
use super::repeated::{AnswerOf, Due, Next, Ready, Repeated, Waiting};
use super::rules::{Shared, is_forbidden};
use crate::repeat::{Attempting, Repeat, Upload};
use crate::timer::{Alarm, Step, has_passed};
use buttress_core::Here;
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_service::Service;

type WaitingOf<S, Pr, Req> = Box<Waiting<<Pr as Repeat<Req>>::Attempt, AnswerOf<S, Pr, Req>>>;

/// The future of a call that is tried again.
///
/// # Cancellation
///
/// It can be dropped at any point: the attempt that is under way is dropped, and there will be no
/// other. What an attempt took from the budget is not given back.
#[pin_project]
pub struct RetryFuture<S, Pr, Req>
where
    S: Service<<Pr as Repeat<Req>>::Attempt>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    #[pin]
    state: State<S, Pr, Req>,
    #[pin]
    alarm: Alarm,
    rest: Rest<S, Pr, Req>,
}

#[pin_project(project = StateProjection)]
enum State<S, Pr, Req>
where
    S: Service<<Pr as Repeat<Req>>::Attempt>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    Calling {
        #[pin]
        future: Attempting<S::Future>,
        /// Until the answer is there.
        observer: Option<Pr::Observer>,
    },
    /// In a box, so that the calls that succeed at once are the smaller for it.
    Waiting(Option<WaitingOf<S, Pr, Req>>),
}

/// What is done with the answer.
pub(super) enum Rest<S, Pr: Repeat<Req>, Req> {
    /// It is passed on.
    Nothing,
    /// It is passed on, and whoever is further up hears of a mark.
    Report(Origin, Here<Shared>),
    /// There may be another attempt.
    Repeat(Repeated<S, Pr, Req>),
}

impl<S, Pr, Req> RetryFuture<S, Pr, Req>
where
    S: Service<<Pr as Repeat<Req>>::Attempt>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    #[inline]
    pub(super) const fn new(
        future: S::Future,
        upload: Upload,
        observer: Pr::Observer,
        rest: Rest<S, Pr, Req>,
    ) -> Self {
        let future = Attempting::new(future, upload);
        let observer = Some(observer);
        Self {
            state: State::Calling { future, observer },
            alarm: Alarm::new(),
            rest,
        }
    }
}

impl<S, Pr, Req> Future for RetryFuture<S, Pr, Req>
where
    S: Service<<Pr as Repeat<Req>>::Attempt> + Clone,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    type Output = Result<Pr::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut state, rest) = (this.state, this.rest);
        this.alarm.poll(task, |task| {
            loop {
                match state.as_mut().project() {
                    StateProjection::Calling {
                        mut future,
                        observer,
                    } => {
                        if observer.is_none() {
                            return Step::PendingUntil(None);
                        }
                        let Poll::Ready(result) = future.as_mut().poll(task) else {
                            return Step::PendingUntil(None);
                        };
                        let Some(observer) = observer.take() else {
                            return Step::PendingUntil(None);
                        };
                        let (answer, mut look) = Pr::look(observer, result, task);
                        future.take_upload().judge(&mut look);
                        let repeated = match rest {
                            Rest::Nothing => return Step::Done(answer),
                            Rest::Report(origin, shared) => {
                                if is_forbidden(&look) || Pr::is_marked(&answer, &shared.names) {
                                    origin.give_up();
                                }
                                return Step::Done(answer);
                            }
                            Rest::Repeat(repeated) => repeated,
                        };
                        match repeated.after(answer, &look) {
                            Next::Answer(answer) => return Step::Done(answer),
                            // Drops the attempt's future, and what it holds.
                            Next::Wait(waiting) => state.set(State::Waiting(Some(waiting))),
                        }
                    }
                    StateProjection::Waiting(waiting) => {
                        let (Rest::Repeat(repeated), Some(mut over)) = (&mut *rest, waiting.take())
                        else {
                            return Step::PendingUntil(None);
                        };
                        if let Due::At(until) = over.due
                            && !has_passed(until)
                        {
                            *waiting = Some(over);
                            return Step::PendingUntil(Some(until));
                        }
                        let mut ready = match repeated.ready(task) {
                            Ready::Yes(service) => service,
                            Ready::No => return Step::Done(repeated.not_made(over.answer)),
                            Ready::Unknown => {
                                over.due = Due::Now;
                                *waiting = Some(over);
                                return Step::PendingUntil(None);
                            }
                        };
                        let Waiting { answer, next, .. } = *over;
                        // Before the attempt, which may need what the answer holds.
                        drop(answer);
                        repeated.retries += 1;
                        let observer = Some(repeated.protocol.observe(&next));
                        // Its body is complete, or there would be no other attempt.
                        let upload = repeated.protocol.upload(&next);
                        let future = Attempting::new(ready.call(next), upload);
                        state.set(State::Calling { future, observer });
                    }
                }
            }
        })
    }
}

impl<S, Pr, Req> fmt::Debug for RetryFuture<S, Pr, Req>
where
    S: Service<<Pr as Repeat<Req>>::Attempt>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").finish_non_exhaustive()
    }
}
