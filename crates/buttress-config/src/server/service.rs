use crate::layers::{Around, Maybe, WithTimeout, with_timeout, without_timeout};
use crate::rules::{Current, OfRoute};
use buttress::attempt::IncomingAttemptService;
use buttress::deadline::IncomingDeadlineService;
use buttress::{Guard, Http};
use http::Request;
use std::future::{Future, Pending, pending};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower_layer::Layer;
use tower_service::Service;

/// A service whose calls go by the rules for their route.
#[derive(Debug)]
pub struct ServerService<S> {
    /// It is lent to the route's stack while a call begins.
    inner: Option<S>,
    current: Current,
}

type WithGuard<S> = Maybe<Guard<S, OfRoute, Http>, S>;
type WithDeadline<S> = Maybe<IncomingDeadlineService<S>, S>;
type WithAttempt<S> = Maybe<IncomingAttemptService<S>, S>;

/// All that a route may have around a service, from outside in: deadline, attempts, policies,
/// timeout.
pub type Stack<S> = WithDeadline<WithAttempt<WithGuard<WithTimeout<S>>>>;

impl<S: Clone> Clone for ServerService<S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            current: self.current.clone(),
        }
    }
}

impl<S> ServerService<S> {
    pub(super) const fn new(inner: S, current: Current) -> Self {
        Self {
            inner: Some(inner),
            current,
        }
    }
}

impl<S, B> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>>,
    Stack<S>: Service<Request<B>, Error = S::Error>,
{
    type Response = <Stack<S> as Service<Request<B>>>::Response;
    type Error = S::Error;
    type Future = ServerFuture<<Stack<S> as Service<Request<B>>>::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        match &mut self.inner {
            Some(inner) => inner.poll_ready(context),
            None => Poll::Pending,
        }
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(inner) = self.inner.take() else {
            // It comes back when the call that it is lent to has begun, or has panicked.
            return ServerFuture::Nothing(pending());
        };
        let of_route = self.current.of(&request);
        let route = of_route.route();
        if let Some(arrival) = &route.arrival {
            arrival.mark(&mut request);
        }
        if let Some(criticality) = &route.criticality {
            criticality.mark(&mut request);
        }
        let mut lent = Lent {
            stack: Some(stack(inner, of_route)),
            home: &mut self.inner,
        };
        match &mut lent.stack {
            Some(stack) => ServerFuture::Call(stack.call(request)),
            None => ServerFuture::Nothing(pending()),
        }
    }
}

/// Puts a route's layers around a service.
#[inline]
fn stack<S>(inner: S, of_route: OfRoute) -> Stack<S> {
    let route = of_route.route();
    let (attempt, deadline) = (route.attempt.clone(), route.deadline.clone());
    let inner = with_timeout(route.timeout.as_ref(), inner);
    let guard = route.policies.is_some().then_some(of_route);
    let inner = Maybe::of(guard, inner, |policies, inner| {
        Guard::new(inner, policies, Http::new())
    });
    let inner = Maybe::of(attempt, inner, |attempt, inner| attempt.layer(inner));
    Maybe::of(deadline, inner, |deadline, inner| deadline.layer(inner))
}

/// Takes a service out of its stack again, also when the call panics. No clone has to be made for
/// each call: one of axum's allocates.
struct Lent<'a, S> {
    stack: Option<Stack<S>>,
    home: &'a mut Option<S>,
}

impl<S> Drop for Lent<'_, S> {
    #[inline]
    fn drop(&mut self) {
        let Some(stack) = self.stack.take() else {
            return;
        };
        let inner = stack.into_inner().into_inner().into_inner();
        *self.home = Some(without_timeout(inner));
    }
}

/// The future of a call that goes by the rules for its route.
///
/// # Cancellation
///
/// It can be dropped at any point; what the call held is given back.
#[pin_project::pin_project(project = ServerFutureProjection)]
#[derive(Debug)]
pub enum ServerFuture<F> {
    /// The call.
    Call(#[pin] F),
    /// A service that was called while it was being called: there is nothing to come.
    Nothing(Pending<()>),
}

impl<F: Future> Future for ServerFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            ServerFutureProjection::Call(future) => future.poll(context),
            ServerFutureProjection::Nothing(_) => Poll::Pending,
        }
    }
}
