use super::ended::{Ended, When};
use super::instead::{Instead, StandIn};
use super::protocol::FallbackProtocol;
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// The future of a call in place of which something else answers if it fails.
///
/// # Cancellation
///
/// It can be dropped at any point; the inner call, or that of the service that is asked instead,
/// is dropped with it.
#[pin_project]
pub struct FallbackFuture<S, A, W, Pr, Req>
where
    S: Service<Req>,
    A: Instead<Pr, Req, S::Response, S::Error>,
    Pr: FallbackProtocol<S::Response, S::Error>,
{
    #[pin]
    state: State<S, A, W, Pr, Req>,
}

#[pin_project(project = StateProjection)]
enum State<S, A, W, Pr, Req>
where
    S: Service<Req>,
    A: Instead<Pr, Req, S::Response, S::Error>,
    Pr: FallbackProtocol<S::Response, S::Error>,
{
    Running {
        #[pin]
        future: S::Future,
        rest: Option<Rest<A, W, Pr, A::Kept>>,
    },
    /// In a box, so that the calls that don't fail are the smaller for it.
    Asking(Boxed<A::Future, S::Response, S::Error>),
    Over,
}

/// What is needed when the call has ended.
struct Rest<A, W, Pr, K> {
    kept: K,
    instead: Arc<A>,
    when: W,
    protocol: Pr,
}

type Boxed<F, Res, Err> = Pin<Box<Asking<F, Res, Err>>>;

#[pin_project]
struct Asking<F, Res, Err> {
    #[pin]
    future: F,
    original: Option<Result<Res, Err>>,
}

impl<S, A, W, Pr, Req> FallbackFuture<S, A, W, Pr, Req>
where
    S: Service<Req>,
    A: Instead<Pr, Req, S::Response, S::Error>,
    Pr: FallbackProtocol<S::Response, S::Error>,
{
    #[inline]
    pub(super) const fn new(
        future: S::Future,
        kept: A::Kept,
        instead: Arc<A>,
        when: W,
        protocol: Pr,
    ) -> Self {
        let rest = Some(Rest {
            kept,
            instead,
            when,
            protocol,
        });
        let state = State::Running { future, rest };
        Self { state }
    }
}

impl<S, A, W, Pr, Req> Future for FallbackFuture<S, A, W, Pr, Req>
where
    S: Service<Req>,
    A: Instead<Pr, Req, S::Response, S::Error>,
    W: When<Pr, S::Response, S::Error>,
    Pr: FallbackProtocol<S::Response, S::Error>,
{
    type Output = Result<Pr::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            match state.as_mut().project() {
                StateProjection::Running { future, rest } => {
                    let result = ready!(future.poll(context));
                    let Some(rest) = rest.take() else {
                        return Poll::Pending;
                    };
                    let ended = Ended::new(&result, Pr::rejection(&result));
                    if !rest.when.stands_in(&rest.protocol, ended) {
                        state.set(State::Over);
                        return Poll::Ready(result.map(Pr::pass));
                    }
                    // The call is over before somebody else is asked.
                    state.set(State::Over);
                    match rest
                        .instead
                        .answer(&rest.protocol, rest.kept, ended, context)
                    {
                        StandIn::Original => return Poll::Ready(result.map(Pr::pass)),
                        StandIn::Instead(response) => {
                            return Poll::Ready(Ok(stand_in::<Pr, _, _>(response, &result)));
                        }
                        StandIn::Ask(future) => {
                            let original = Some(result);
                            state.set(State::Asking(Box::pin(Asking { future, original })));
                        }
                    }
                }
                StateProjection::Asking(asking) => {
                    let asking = asking.as_mut().project();
                    let answer = ready!(asking.future.poll(context));
                    let Some(original) = asking.original.take() else {
                        return Poll::Pending;
                    };
                    state.set(State::Over);
                    return Poll::Ready(match answer {
                        Some(response) => Ok(stand_in::<Pr, _, _>(response, &original)),
                        None => original.map(Pr::pass),
                    });
                }
                StateProjection::Over => return Poll::Pending,
            }
        }
    }
}

/// Says that the response is not the original one.
#[cold]
fn stand_in<Pr, Res, Err>(mut response: Pr::Response, original: &Result<Res, Err>) -> Pr::Response
where
    Pr: FallbackProtocol<Res, Err>,
{
    let rejection = Pr::rejection(original);
    // At a level that is off where callers could fill the log with it.
    tracing::debug!(
        refused_by = rejection.map(buttress_core::Rejection::policy),
        "a fallback stands in for a call that failed"
    );
    Pr::note(&mut response, Ended::new(original, rejection));
    response
}

impl<S, A, W, Pr, Req> fmt::Debug for FallbackFuture<S, A, W, Pr, Req>
where
    S: Service<Req>,
    A: Instead<Pr, Req, S::Response, S::Error>,
    Pr: FallbackProtocol<S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallbackFuture").finish_non_exhaustive()
    }
}
