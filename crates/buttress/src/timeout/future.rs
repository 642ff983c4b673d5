use super::protocol::TimeoutProtocol;
use super::service::Stop;
use crate::timer::{Alarm, has_passed};
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;
use tower_service::Service;

/// The future of a call that may take only so long.
///
/// # Cancellation
///
/// It can be dropped at any point; the inner call is dropped with it. When the time is up the
/// inner call is dropped before the refusal is returned.
#[pin_project]
pub struct TimeoutFuture<S, Pr, L, Req>
where
    S: Service<Req>,
    Pr: TimeoutProtocol<Req, S::Response, S::Error, L>,
{
    #[pin]
    state: State<S, Pr, L, Req>,
    #[pin]
    alarm: Alarm,
}

#[pin_project(project = StateProjection)]
enum State<S, Pr, L, Req>
where
    S: Service<Req>,
    Pr: TimeoutProtocol<Req, S::Response, S::Error, L>,
{
    Running {
        #[pin]
        future: S::Future,
        arrival: Instant,
        stop: Stop,
        protocol: Pr,
        limits: L,
        /// Until the answer is given.
        context: Option<Pr::Context>,
    },
    /// Refused, or over.
    Answered(Option<Result<Pr::Response, S::Error>>),
}

impl<S, Pr, L, Req> TimeoutFuture<S, Pr, L, Req>
where
    S: Service<Req>,
    Pr: TimeoutProtocol<Req, S::Response, S::Error, L>,
{
    #[inline]
    pub(crate) fn new(
        future: S::Future,
        arrival: Instant,
        stop: Stop,
        limits: L,
        protocol: Pr,
        context: Pr::Context,
    ) -> Self {
        Self {
            state: State::Running {
                future,
                arrival,
                stop,
                protocol,
                limits,
                context: Some(context),
            },
            alarm: Alarm::new(),
        }
    }

    #[inline]
    pub(crate) fn refused(answer: Result<Pr::Response, S::Error>) -> Self {
        Self {
            state: State::Answered(Some(answer)),
            alarm: Alarm::new(),
        }
    }
}

impl<S, Pr, L, Req> Future for TimeoutFuture<S, Pr, L, Req>
where
    S: Service<Req>,
    Pr: TimeoutProtocol<Req, S::Response, S::Error, L>,
    L: Copy,
{
    type Output = Result<Pr::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut state = this.state;
        let (future, arrival, stop, protocol, limits, context) = match state.as_mut().project() {
            StateProjection::Running {
                future,
                arrival,
                stop,
                protocol,
                limits,
                context,
            } => (future, *arrival, *stop, protocol, *limits, context),
            StateProjection::Answered(answer) => {
                return answer.take().map_or(Poll::Pending, Poll::Ready);
            }
        };
        let mut alarm = this.alarm;
        let watch = alarm.as_mut().watch(task);
        // The response first: if it is there together with the deadline, it wins.
        match future.poll(task) {
            Poll::Ready(result) => {
                drop(watch);
                if context.take().is_none() {
                    return Poll::Pending;
                }
                return Poll::Ready(match result {
                    Ok(response) => Ok(Pr::respond(response, limits, arrival, stop.name)),
                    Err(error) => Err(error),
                });
            }
            Poll::Pending if !stop.at.is_some_and(has_passed) => {
                watch.wait(alarm, task, stop.at);
                return Poll::Pending;
            }
            Poll::Pending => drop(watch),
        }
        let Some(context) = context.take() else {
            return Poll::Pending;
        };
        let answer = protocol.reject(context, stop.rejection());
        // Drops the inner call, so that what it holds is free before the caller hears.
        state.set(State::Answered(None));
        Poll::Ready(answer)
    }
}

impl<S, Pr, L, Req> fmt::Debug for TimeoutFuture<S, Pr, L, Req>
where
    S: Service<Req>,
    Pr: TimeoutProtocol<Req, S::Response, S::Error, L>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeoutFuture").finish_non_exhaustive()
    }
}
