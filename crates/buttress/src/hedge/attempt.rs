use crate::repeat::Attempting;
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// One more copy of a call. It waits for its own service to be ready, and holds up nobody.
#[pin_project]
pub(super) struct Attempt<S: Service<A>, A, O> {
    #[pin]
    state: State<S, A, S::Future>,
    observer: Option<O>,
}

#[pin_project(project = StateProjection)]
enum State<S, A, F> {
    /// The attempt is there until it is sent.
    Readying {
        service: S,
        attempt: Option<A>,
    },
    Running(#[pin] Attempting<F>),
}

/// An answer, and what watched the attempt.
type Answered<S, A, O> = (
    Result<<S as Service<A>>::Response, <S as Service<A>>::Error>,
    O,
);

impl<S: Service<A>, A, O> Attempt<S, A, O> {
    pub(super) fn new(service: S, attempt: A, observer: O) -> Self {
        let attempt = Some(attempt);
        Self {
            state: State::Readying { service, attempt },
            observer: Some(observer),
        }
    }

    /// Whether it was sent.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running(_))
    }

    /// The answer, or nothing if the service will never be ready.
    pub(super) fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Answered<S, A, O>>> {
        let this = self.project();
        let mut state = this.state;
        loop {
            match state.as_mut().project() {
                StateProjection::Readying { service, attempt } => {
                    let ready = ready!(service.poll_ready(context)).ok();
                    let Some(attempt) = ready.and_then(|()| attempt.take()) else {
                        return Poll::Ready(None);
                    };
                    // Its body is complete, or it would not be sent.
                    let future = Attempting::of_complete(service.call(attempt));
                    state.set(State::Running(future));
                }
                StateProjection::Running(future) => {
                    let result = ready!(future.poll(context));
                    return Poll::Ready(this.observer.take().map(|observer| (result, observer)));
                }
            }
        }
    }
}
