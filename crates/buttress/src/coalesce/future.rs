use super::layer::{Anything, Settings};
use super::protocol::{CoalesceProtocol, Leader, Step};
use buttress_core::flights::{Follow, Landed};
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// The future of a call that may share its answer, or another's.
///
/// # Cancellation
///
/// It can be dropped at any point. If it leads, the next follower does from then on; if it follows,
/// nobody is the worse for it. One that is kept and not polled keeps its followers waiting, as it
/// keeps its own caller.
#[pin_project]
pub struct CoalesceFuture<S, Pr, Req>
where
    S: Service<Req>,
    Pr: CoalesceProtocol<S::Response, S::Error>,
{
    #[pin]
    state: State<S, Pr, Req>,
}

#[pin_project(project = StateProjection)]
enum State<S, Pr, Req>
where
    S: Service<Req>,
    Pr: CoalesceProtocol<S::Response, S::Error>,
{
    Running {
        // Before the lead: the call is over before another one makes it.
        #[pin]
        future: S::Future,
        leader: Option<Leader>,
    },
    /// In a box, as what follows, so that the calls that are alone are the smaller for it.
    Following(Option<Box<Following<S, Req>>>),
    Collecting(Pin<Box<Pr::Collect>>),
    Over,
}

struct Following<S, Req> {
    follow: Follow<Anything, Settings>,
    /// Ready, and for the call that may have to be made.
    service: S,
    request: Req,
}

impl<S, Pr, Req> CoalesceFuture<S, Pr, Req>
where
    S: Service<Req>,
    Pr: CoalesceProtocol<S::Response, S::Error>,
{
    #[inline]
    pub(super) const fn run(future: S::Future, leader: Option<Leader>) -> Self {
        let state = State::Running { future, leader };
        Self { state }
    }

    #[cold]
    pub(super) fn follow(follow: Follow<Anything, Settings>, service: S, request: Req) -> Self {
        let following = Following {
            follow,
            service,
            request,
        };
        let state = State::Following(Some(Box::new(following)));
        Self { state }
    }
}

impl<S, Pr, Req> Future for CoalesceFuture<S, Pr, Req>
where
    S: Service<Req>,
    Pr: CoalesceProtocol<S::Response, S::Error>,
{
    type Output = Result<Pr::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Running { future, leader } => {
                    let result = ready!(future.poll(context));
                    let leader = leader.take();
                    // Drops the call, and what it holds, before the followers hear of it: one of
                    // them may have to make its own.
                    state.set(State::Over);
                    let answer = match (leader, result) {
                        (None, result) => result.map(Pr::alone),
                        (Some(leader), Ok(response)) => match Pr::land(response, leader) {
                            Step::Done(response) => Ok(response),
                            Step::Collect(collect) => {
                                state.set(State::Collecting(Box::pin(collect)));
                                continue;
                            }
                        },
                        (Some(leader), Err(error)) => {
                            leader.fail();
                            Err(error)
                        }
                    };
                    return Poll::Ready(answer);
                }
                StateProjection::Following(following) => {
                    let Some(known) = following else {
                        return Poll::Pending;
                    };
                    let landed = ready!(known.follow.poll(context));
                    let Some(following) = following.take() else {
                        return Poll::Pending;
                    };
                    match follow_up::<S, Pr, Req>(*following, landed) {
                        Ok(response) => {
                            state.set(State::Over);
                            return Poll::Ready(Ok(response));
                        }
                        Err(next) => next,
                    }
                }
                StateProjection::Collecting(collect) => {
                    let response = ready!(collect.as_mut().poll(context));
                    state.set(State::Over);
                    return Poll::Ready(Ok(response));
                }
                StateProjection::Over => return Poll::Pending,
            };
            state.set(next);
        }
    }
}

/// What a follower does with what its wait came to.
#[cold]
fn follow_up<S, Pr, Req>(
    following: Following<S, Req>,
    landed: Landed<Anything, Settings>,
) -> Result<Pr::Response, State<S, Pr, Req>>
where
    S: Service<Req>,
    Pr: CoalesceProtocol<S::Response, S::Error>,
{
    let Following {
        follow,
        mut service,
        request,
    } = following;
    drop(follow);
    let leader = match landed {
        Landed::Brought(answer) => match Pr::follow(answer) {
            Some(response) => return Ok(response),
            // Another kind of service shares the handle, and the key.
            None => None,
        },
        Landed::Lead(lead) => Some(Leader::new(lead)),
        Landed::Alone => None,
    };
    let future = service.call(request);
    Err(State::Running { future, leader })
}

impl<S, Pr, Req> fmt::Debug for CoalesceFuture<S, Pr, Req>
where
    S: Service<Req>,
    Pr: CoalesceProtocol<S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoalesceFuture").finish_non_exhaustive()
    }
}
