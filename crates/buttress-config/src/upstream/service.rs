use super::stack::{ClientStack, client_in, stack};
use crate::rules::Current;
use buttress::repeat::ReplayBody;
use http::Request;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A client whose calls go by the rules for its upstream.
#[derive(Debug)]
pub struct UpstreamService<S> {
    stack: ClientStack<S>,
    current: Current,
    name: Arc<str>,
    /// The rules that the stack was made by.
    generation: u64,
}

impl<S> UpstreamService<S> {
    pub(super) fn new(client: S, current: Current, name: Arc<str>) -> Self {
        let rules = current.look();
        Self {
            stack: stack(client, rules.upstreams.get(&*name)),
            generation: rules.generation,
            current,
            name,
        }
    }
}

impl<S: Clone> UpstreamService<S> {
    /// The same client, by the rules that are in force.
    #[cold]
    fn renewed(&self) -> Self {
        let client = client_in(&self.stack).clone();
        Self::new(client, self.current.clone(), Arc::clone(&self.name))
    }
}

/// A clone goes by the rules that are in force when it is made. Most who hold a client never call it,
/// but a clone for each request: if those were made by the rules of long ago, each would have to be
/// made anew when it is called.
impl<S: Clone> Clone for UpstreamService<S> {
    fn clone(&self) -> Self {
        if self.current.generation() != self.generation {
            return self.renewed();
        }
        Self {
            stack: self.stack.clone(),
            current: self.current.clone(),
            name: Arc::clone(&self.name),
            generation: self.generation,
        }
    }
}

impl<S, B> Service<Request<B>> for UpstreamService<S>
where
    S: Service<Request<ReplayBody<B>>> + Clone,
    ClientStack<S>: Service<Request<B>, Error = S::Error>,
{
    type Response = <ClientStack<S> as Service<Request<B>>>::Response;
    type Error = S::Error;
    type Future = <ClientStack<S> as Service<Request<B>>>::Future;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Here and not in `call`, which must be made on the very client that was ready.
        if self.current.generation() != self.generation {
            *self = self.renewed();
        }
        self.stack.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.stack.call(request)
    }
}
