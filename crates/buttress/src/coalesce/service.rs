use super::future::CoalesceFuture;
use super::layer::Coalesce;
use super::protocol::{CoalesceProtocol, Leader};
use buttress_core::Key;
use buttress_core::flights::Joined;
use std::marker::PhantomData;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose identical calls share one.
///
/// A follower keeps its request, and the inner service that was ready for it, in case that it must
/// make the call after all; so a service that reserves something in `poll_ready`, as tower's
/// concurrency limit does, has it reserved that long. It leaves a clone, so the service must be
/// `Clone`.
#[derive(Debug)]
pub struct CoalesceService<S, K, Pr = crate::DefaultProtocol> {
    inner: S,
    coalesce: Coalesce<K>,
    protocol: PhantomData<fn() -> Pr>,
}

impl<S, K, Pr> CoalesceService<S, K, Pr> {
    pub(super) const fn new(inner: S, coalesce: Coalesce<K>) -> Self {
        Self {
            inner,
            coalesce,
            protocol: PhantomData,
        }
    }

    /// The service inside.
    pub const fn inner(&self) -> &S {
        &self.inner
    }

    /// The service inside, without what is around it.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: Clone, K: Clone, Pr> Clone for CoalesceService<S, K, Pr> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.coalesce.clone())
    }
}

impl<S, K, Pr, Req> Service<Req> for CoalesceService<S, K, Pr>
where
    S: Service<Req> + Clone,
    K: Key<Req>,
    Pr: CoalesceProtocol<S::Response, S::Error>,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = CoalesceFuture<S, Pr, Req>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let Coalesce { key, flights } = &self.coalesce;
        let joined = match key.key(&request) {
            Ok(key) => flights.join(&key),
            // What cannot be told apart is made by itself, as if there were no room.
            Err(_) => Joined::Full,
        };
        match joined {
            Joined::Full => CoalesceFuture::run(self.inner.call(request), None),
            Joined::Lead(lead) => {
                // Before the call: if that panics, the lead goes to the next one.
                let leader = Some(Leader::new(lead));
                CoalesceFuture::run(self.inner.call(request), leader)
            }
            Joined::Follow(follow) => {
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                CoalesceFuture::follow(follow, ready, request)
            }
        }
    }
}
