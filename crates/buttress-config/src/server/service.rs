use crate::rules::{Current, OfRoute};
use buttress::attempt::AttemptMark;
use buttress::deadline::IncomingDeadlineService;
use buttress::timeout::{BodyLimits, TimeoutService};
use buttress::{Guard, Http};
use http::{Request, Response};
use pin_project::pin_project;
use std::future::Future;
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

/// All that a route has around a service, from outside in. What the file leaves out is there and
/// off: a layer that may be absent would need a future and a body that may be one or the other, and
/// moving those costs more than a comparison.
pub type Stack<S> =
    IncomingDeadlineService<Guard<TimeoutService<S, Http, BodyLimits>, OfRoute, Http>>;

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

impl<S, B, R> Service<Request<B>> for ServerService<S>
where
    S: Service<Request<B>>,
    Stack<S>: Service<Request<B>, Response = Response<R>, Error = S::Error>,
{
    type Response = Response<R>;
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
        let of_route = self.current.of(&request);
        let route = of_route.route();
        if let Some(arrival) = &route.arrival {
            arrival.mark(&mut request);
        }
        if let Some(criticality) = &route.criticality {
            criticality.mark(&mut request);
        }
        let mark = route
            .attempt
            .as_ref()
            .map(|attempt| attempt.begin(&mut request));
        // Not before, so that no panic of what is above takes it along.
        let Some(inner) = self.inner.take() else {
            // It comes back when the call that it is lent to has begun, or has panicked.
            return ServerFuture::nothing();
        };
        let mut lent = Lent {
            stack: Some(stack(inner, of_route)),
            home: &mut self.inner,
        };
        // A closure that takes the request with it would copy it once more.
        let Some(stack) = &mut lent.stack else {
            return ServerFuture::nothing();
        };
        ServerFuture {
            call: Some(stack.call(request)),
            mark,
        }
    }
}

/// Puts a route's layers around a service.
#[inline]
fn stack<S>(inner: S, of_route: OfRoute) -> Stack<S> {
    let route = of_route.route();
    let deadline = route.deadline.clone();
    let timeout = route.timeout;
    let inner = Guard::new(timeout.layer(inner), of_route, Http::new());
    deadline.layer(inner)
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
        let stack = self.stack.take();
        *self.home = stack.map(|stack| stack.into_inner().into_inner().into_inner());
    }
}

/// The future of a call that goes by the rules for its route.
///
/// # Cancellation
///
/// It can be dropped at any point; what the call held is given back.
#[pin_project]
#[derive(Debug)]
pub struct ServerFuture<F> {
    /// Nothing, if a service was called while it was being called.
    #[pin]
    call: Option<F>,
    mark: Option<AttemptMark>,
}

impl<F> ServerFuture<F> {
    const fn nothing() -> Self {
        Self {
            call: None,
            mark: None,
        }
    }
}

impl<F, R, E> Future for ServerFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<R>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Some(call) = this.call.as_pin_mut() else {
            return Poll::Pending;
        };
        // Changed where it is: to take it out and put it back is to copy it twice.
        let mut polled = call.poll(context);
        if let (Poll::Ready(Ok(response)), Some(mark)) = (&mut polled, this.mark) {
            mark.mark(response);
        }
        polled
    }
}
