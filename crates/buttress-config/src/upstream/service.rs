use super::stack::{ClientStack, client_in, client_of, stack};
use crate::rules::Current;
use buttress::repeat::ReplayBody;
use http::Request;
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A client whose calls go by the rules for its upstream.
#[derive(Debug)]
pub struct UpstreamService<S> {
    /// It is there but for the moment in which it is made anew.
    stack: Option<ClientStack<S>>,
    current: Current,
    name: Arc<str>,
    /// The rules that the stack was made by.
    generation: u64,
}

impl<S> UpstreamService<S> {
    pub(super) fn new(client: S, current: Current, name: Arc<str>) -> Self {
        let rules = current.here();
        Self {
            stack: Some(stack(client, rules.upstreams.get(&*name))),
            generation: rules.generation,
            current,
            name,
        }
    }

    /// There are new rules.
    #[cold]
    fn renew(&mut self) {
        let rules = self.current.here();
        let upstream = rules.upstreams.get(&*self.name);
        let before = self.stack.take();
        self.stack = before.map(|before| stack(client_of(before), upstream));
        self.generation = rules.generation;
    }
}

/// A clone goes by the rules that are in force when it is made. Most who hold a client never call it,
/// but a clone for each request: if those were made by the rules of long ago, each would have to be
/// made anew when it is called.
impl<S: Clone> Clone for UpstreamService<S> {
    fn clone(&self) -> Self {
        if self.current.generation() == self.generation {
            return Self {
                stack: self.stack.clone(),
                current: self.current.clone(),
                name: Arc::clone(&self.name),
                generation: self.generation,
            };
        }
        let rules = self.current.here();
        let upstream = rules.upstreams.get(&*self.name);
        let client = self.stack.as_ref().map(client_in).cloned();
        Self {
            stack: client.map(|client| stack(client, upstream)),
            current: self.current.clone(),
            name: Arc::clone(&self.name),
            generation: rules.generation,
        }
    }
}

impl<S, B> Service<Request<B>> for UpstreamService<S>
where
    S: Service<Request<ReplayBody<B>>>,
    ClientStack<S>: Service<Request<B>, Error = S::Error>,
{
    type Response = <ClientStack<S> as Service<Request<B>>>::Response;
    type Error = S::Error;
    type Future = UpstreamFuture<<ClientStack<S> as Service<Request<B>>>::Future>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Here and not in `call`, which must be made on the very client that was ready.
        if self.current.generation() != self.generation {
            self.renew();
        }
        match &mut self.stack {
            Some(stack) => stack.poll_ready(context),
            None => Poll::Pending,
        }
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        let Some(stack) = &mut self.stack else {
            return UpstreamFuture { call: None };
        };
        UpstreamFuture {
            call: Some(stack.call(request)),
        }
    }
}

/// The future of a call that goes by the rules for its upstream.
///
/// # Cancellation
///
/// It can be dropped at any point; what the call held is given back.
#[pin_project]
#[derive(Debug)]
pub struct UpstreamFuture<F> {
    /// Nothing, if a client was called while it was being made anew.
    #[pin]
    call: Option<F>,
}

impl<F: Future> Future for UpstreamFuture<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project().call.as_pin_mut() {
            Some(call) => call.poll(context),
            None => Poll::Pending,
        }
    }
}
