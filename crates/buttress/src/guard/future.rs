use super::line::Line;
use super::protocol::GuardProtocol;
use super::settle::Held;
use crate::clock;
use buttress_core::{Now, Policy};
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// The future of a [`Guard`](super::Guard)'s call.
///
/// # Cancellation
///
/// It can be dropped at any point: the waiting line is left, the inner call is dropped, and the
/// permit is given back.
#[pin_project]
pub struct GuardFuture<S, P, Pr, Req>
where
    S: Service<Req>,
    P: Policy<Req>,
    Pr: GuardProtocol<Req, S::Response, S::Error, P::Permit>,
{
    #[pin]
    state: State<S, P, Pr, Req>,
}

#[pin_project(project = StateProjection)]
enum State<S, P, Pr, Req>
where
    S: Service<Req>,
    P: Policy<Req>,
    Pr: GuardProtocol<Req, S::Response, S::Error, P::Permit>,
{
    Running {
        // Before the permit: the call is over before its slot is free.
        #[pin]
        future: S::Future,
        permit: Held<P::Permit>,
        observer: Option<Pr::Observer>,
    },
    /// In a box, so that the calls that don't wait are the smaller for it.
    Waiting(Pin<Box<Waiting<S, P, Pr, Req>>>),
    /// Refused, or over.
    Answered(Option<Result<Pr::Response, S::Error>>),
}

#[pin_project]
struct Waiting<S, P: Policy<Req>, Pr, Req> {
    #[pin]
    line: Line<P, Req>,
    service: S,
    protocol: Pr,
}

impl<S, P, Pr, Req> GuardFuture<S, P, Pr, Req>
where
    S: Service<Req>,
    P: Policy<Req>,
    Pr: GuardProtocol<Req, S::Response, S::Error, P::Permit>,
{
    #[inline]
    pub(super) fn start(
        service: &mut S,
        protocol: &Pr,
        permit: P::Permit,
        request: Req,
        now: &Now,
    ) -> Self {
        Self {
            state: State::run(service, protocol, permit, request, now),
        }
    }

    #[inline]
    pub(super) fn refused(answer: Result<Pr::Response, S::Error>) -> Self {
        Self {
            state: State::Answered(Some(answer)),
        }
    }

    #[cold]
    pub(super) fn wait(
        service: S,
        policy: P,
        protocol: Pr,
        waiting: P::Waiting,
        request: Req,
    ) -> Self {
        Self {
            state: State::Waiting(Box::pin(Waiting {
                line: Line::new(policy, waiting, request),
                service,
                protocol,
            })),
        }
    }
}

impl<S, P, Pr, Req> State<S, P, Pr, Req>
where
    S: Service<Req>,
    P: Policy<Req>,
    Pr: GuardProtocol<Req, S::Response, S::Error, P::Permit>,
{
    #[inline]
    fn run(service: &mut S, protocol: &Pr, permit: P::Permit, request: Req, now: &Now) -> Self {
        let observer = protocol.observe(&request);
        let mut permit = Held::of_request(permit, Pr::HAS_UPLOADS);
        let watch = permit.watch();
        let scope = now.known().map(clock::Arrival::at);
        let future = service.call(request);
        drop(scope);
        watch.done();
        Self::Running {
            future,
            permit,
            observer: Some(observer),
        }
    }
}

impl<S, P, Pr, Req> Future for GuardFuture<S, P, Pr, Req>
where
    S: Service<Req>,
    P: Policy<Req>,
    Pr: GuardProtocol<Req, S::Response, S::Error, P::Permit>,
{
    type Output = Result<Pr::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Running {
                    future,
                    permit,
                    observer,
                } => {
                    let watch = permit.watch();
                    let polled = future.poll(context);
                    watch.done();
                    let Poll::Ready(result) = polled else {
                        return Poll::Pending;
                    };
                    return match (permit.take(), observer.take()) {
                        (Some(permit), Some(observer)) => {
                            Poll::Ready(Pr::finish(observer, permit, result))
                        }
                        // Polled after it was over: there is nothing more to come.
                        _ => Poll::Pending,
                    };
                }
                StateProjection::Waiting(waiting) => {
                    let waiting = waiting.as_mut().project();
                    let (request, answer) = ready!(waiting.line.poll(context));
                    let (service, protocol) = (waiting.service, waiting.protocol);
                    let next = match answer {
                        Ok(permit) => {
                            let now = Now::lazy(clock::now);
                            State::run(service, protocol, permit, request, &now)
                        }
                        Err(rejection) => {
                            State::Answered(Some(protocol.refuse(request, rejection)))
                        }
                    };
                    state.set(next);
                }
                StateProjection::Answered(answer) => {
                    return answer.take().map_or(Poll::Pending, Poll::Ready);
                }
            }
        }
    }
}

impl<S, P, Pr, Req> fmt::Debug for GuardFuture<S, P, Pr, Req>
where
    S: Service<Req>,
    P: Policy<Req>,
    Pr: GuardProtocol<Req, S::Response, S::Error, P::Permit>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFuture").finish_non_exhaustive()
    }
}
