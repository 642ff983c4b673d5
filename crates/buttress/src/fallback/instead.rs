use super::ended::Ended;
use super::protocol::FallbackProtocol;
use pin_project::pin_project;
use std::future::{Future, Pending};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// What answers in place of a call that failed.
///
/// [`Fallback`](super::Fallback) has a way to make each of those that there are; there is no need
/// for others.
pub trait Instead<Pr, Req, Res, Err>
where
    Pr: FallbackProtocol<Res, Err>,
{
    /// What it keeps of each request, in case that it is needed.
    type Kept;

    /// An answer that takes time; `None` if it comes to nothing.
    type Future: Future<Output = Option<Pr::Response>>;

    /// Looks at a request that goes on to the service.
    fn keep(&self, request: &Req) -> Self::Kept;

    /// The call failed.
    fn answer(
        &self,
        protocol: &Pr,
        kept: Self::Kept,
        ended: Ended<'_, Res, Err>,
        context: &mut Context<'_>,
    ) -> StandIn<Pr::Response, Self::Future>;
}

/// What [`Instead::answer`] comes to.
#[derive(Debug)]
pub enum StandIn<R, F> {
    /// There is none: the caller gets the original.
    Original,
    /// The caller gets this.
    Instead(R),
    /// Somebody else is asked.
    Ask(F),
}

/// Always the same.
#[derive(Clone, Copy, Debug)]
pub struct Value<V>(pub(super) V);

impl<Pr, Req, Res, Err, V> Instead<Pr, Req, Res, Err> for Value<V>
where
    Pr: FallbackProtocol<Res, Err, Value = V>,
    V: Clone,
{
    type Kept = ();
    type Future = Pending<Option<Pr::Response>>;

    #[inline]
    fn keep(&self, _: &Req) {}

    fn answer(
        &self,
        _: &Pr,
        (): (),
        _: Ended<'_, Res, Err>,
        _: &mut Context<'_>,
    ) -> StandIn<Pr::Response, Self::Future> {
        StandIn::Instead(Pr::respond(self.0.clone()))
    }
}

/// What a function makes of the failure.
#[derive(Clone, Copy, Debug)]
pub struct ByFunction<F>(pub(super) F);

impl<Pr, Req, Res, Err, F> Instead<Pr, Req, Res, Err> for ByFunction<F>
where
    Pr: FallbackProtocol<Res, Err>,
    F: Fn(Ended<'_, Res, Err>) -> Option<Pr::Value>,
{
    type Kept = ();
    type Future = Pending<Option<Pr::Response>>;

    #[inline]
    fn keep(&self, _: &Req) {}

    fn answer(
        &self,
        _: &Pr,
        (): (),
        ended: Ended<'_, Res, Err>,
        _: &mut Context<'_>,
    ) -> StandIn<Pr::Response, Self::Future> {
        made::<Pr, _, _, _>(self.0(ended))
    }
}

/// What a function makes of the failure and of what was kept of the request.
#[derive(Clone, Copy, Debug)]
pub struct ByKept<G, F> {
    pub(super) keep: G,
    pub(super) function: F,
}

impl<Pr, Req, Res, Err, G, F, K> Instead<Pr, Req, Res, Err> for ByKept<G, F>
where
    Pr: FallbackProtocol<Res, Err>,
    G: Fn(&Req) -> K,
    F: Fn(K, Ended<'_, Res, Err>) -> Option<Pr::Value>,
{
    type Kept = K;
    type Future = Pending<Option<Pr::Response>>;

    #[inline]
    fn keep(&self, request: &Req) -> K {
        (self.keep)(request)
    }

    fn answer(
        &self,
        _: &Pr,
        kept: K,
        ended: Ended<'_, Res, Err>,
        _: &mut Context<'_>,
    ) -> StandIn<Pr::Response, Self::Future> {
        made::<Pr, _, _, _>((self.function)(kept, ended))
    }
}

/// What a function has made.
fn made<Pr, Res, Err, F>(value: Option<Pr::Value>) -> StandIn<Pr::Response, F>
where
    Pr: FallbackProtocol<Res, Err>,
{
    value.map_or(StandIn::Original, |value| {
        StandIn::Instead(Pr::respond(value))
    })
}

/// What another service answers to what was kept of the request.
#[derive(Clone, Copy, Debug)]
pub struct ByService<G, S> {
    pub(super) keep: G,
    pub(super) service: S,
}

impl<Pr, Req, Res, Err, G, S, K> Instead<Pr, Req, Res, Err> for ByService<G, S>
where
    Pr: FallbackProtocol<Res, Err> + Clone,
    G: Fn(&Req) -> K,
    S: Service<K, Response = Res> + Clone,
{
    type Kept = K;
    type Future = Asked<S::Future, Pr, Err>;

    #[inline]
    fn keep(&self, request: &Req) -> K {
        (self.keep)(request)
    }

    fn answer(
        &self,
        protocol: &Pr,
        kept: K,
        _: Ended<'_, Res, Err>,
        context: &mut Context<'_>,
    ) -> StandIn<Pr::Response, Self::Future> {
        let mut service = self.service.clone();
        match service.poll_ready(context) {
            Poll::Ready(Ok(())) => StandIn::Ask(Asked {
                future: service.call(kept),
                protocol: protocol.clone(),
                error: PhantomData,
            }),
            // A call that failed has waited long enough.
            Poll::Ready(Err(_)) | Poll::Pending => StandIn::Original,
        }
    }
}

/// Another service's call.
#[pin_project]
#[derive(Debug)]
pub struct Asked<F, Pr, Err> {
    #[pin]
    future: F,
    protocol: Pr,
    error: PhantomData<fn() -> Err>,
}

impl<F, Pr, Res, E, Err> Future for Asked<F, Pr, Err>
where
    F: Future<Output = Result<Res, E>>,
    Pr: FallbackProtocol<Res, Err>,
{
    type Output = Option<Pr::Response>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.future.poll(context)) else {
            return Poll::Ready(None);
        };
        let result = Ok(response);
        let ended = Ended::new(&result, Pr::rejection(&result));
        if this.protocol.has_failed(ended) {
            return Poll::Ready(None);
        }
        Poll::Ready(result.ok().map(Pr::pass))
    }
}
