use super::repeat::Repeated;
use super::stack::{AnyRepeats, OfUpstream, Outgoing, Repeat, Upstream};
use crate::layers::{Around, Maybe, WithTimeout, timed, with_timeout, without_timeout};
use crate::rules::Current;
use buttress::coalesce::{CoalesceService, SameRequest};
use buttress::fallback::StaleIfErrorService;
use buttress::hedge::HedgeService;
use buttress::repeat::ReplayBody;
use buttress::retry::RetryService;
use buttress::{Guard, Http};
use buttress_core::Spread;
use http::Request;
use pin_project::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_layer::Layer;
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

type Attempt<S> = WithTimeout<Told<S>>;
type Guarded<S> = Maybe<Guard<Attempt<S>, OfUpstream, Http>, Attempt<S>>;
type Repeating<S> = Repeated<
    RetryService<Guarded<S>, Http, AnyRepeats>,
    HedgeService<Guarded<S>, Http, AnyRepeats>,
    Guarded<S>,
>;
type Timed<S> = WithTimeout<Repeating<S>>;
type Backed<S> = Maybe<StaleIfErrorService<Timed<S>>, Timed<S>>;

/// All that an upstream may have around a client.
pub type ClientStack<S> = Maybe<CoalesceService<Backed<S>, SameRequest>, Backed<S>>;

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

/// Puts an upstream's layers around a client.
fn stack<S>(client: S, upstream: Option<&Spread<Upstream>>) -> ClientStack<S> {
    let Some(shared) = upstream else {
        let told = with_timeout(None, Told::new(client, Outgoing::default()));
        let once = Repeated::Once(Maybe::Without(told));
        return Maybe::Without(Maybe::Without(with_timeout(None, once)));
    };
    let upstream = &**shared;
    let told = Told::new(client, upstream.outgoing.clone());
    let attempt = with_timeout(upstream.attempt_timeout.as_ref(), told);
    let policies = !upstream.policies.is_empty();
    let policies = policies.then(|| OfUpstream(shared.here()));
    let guarded = Maybe::of(policies, attempt, |policies, inner| {
        Guard::new(inner, policies, Http::new())
    });
    let repeated = match &upstream.repeat {
        Repeat::Retry(retry) => Repeated::Retry(retry.layer(guarded)),
        Repeat::Hedge(hedge) => Repeated::Hedge(hedge.layer(guarded)),
        Repeat::Never => Repeated::Once(guarded),
    };
    let timed = with_timeout(upstream.timeout.as_ref(), repeated);
    let stale = upstream.stale.as_ref();
    let backed = Maybe::of(stale, timed, Layer::layer);
    let coalesce = upstream.coalesce.as_ref();
    Maybe::of(coalesce, backed, Layer::layer)
}

/// The client inside of its layers.
fn client_in<S>(stack: &ClientStack<S>) -> &S {
    let guarded = match timed(stack.inner().inner()) {
        Repeated::Retry(retry) => retry.inner(),
        Repeated::Hedge(hedge) => hedge.inner(),
        Repeated::Once(inner) => inner,
    };
    &timed(guarded.inner()).inner
}

/// Takes the client out of its layers.
fn client_of<S>(stack: ClientStack<S>) -> S {
    let timed = stack.into_inner().into_inner();
    let guarded = match without_timeout(timed) {
        Repeated::Retry(retry) => retry.into_inner(),
        Repeated::Hedge(hedge) => hedge.into_inner(),
        Repeated::Once(inner) => inner,
    };
    without_timeout(guarded.into_inner()).inner
}

/// A client that tells the callee about each call.
#[derive(Clone, Debug)]
pub struct Told<S> {
    inner: S,
    outgoing: Outgoing,
}

impl<S> Told<S> {
    const fn new(inner: S, outgoing: Outgoing) -> Self {
        Self { inner, outgoing }
    }
}

impl<S, B> Service<Request<B>> for Told<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(deadline) = &self.outgoing.deadline {
            deadline.write(&mut request);
        }
        if let Some(criticality) = &self.outgoing.criticality {
            criticality.write(&mut request);
        }
        self.inner.call(request)
    }
}
