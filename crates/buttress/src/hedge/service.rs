use super::future::HedgeFuture;
use super::layer::Hedge;
use super::race::{Race, Sent};
use crate::clock;
use crate::repeat::{Attempting, Repeat};
use crate::retry::{IfSafe, Repeats, RetryProtocol};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose slow calls are sent once more.
///
/// Hedges are sent on clones, so a service behind a hedge must be `Clone`.
#[derive(Clone, Debug)]
pub struct HedgeService<S, Pr = crate::DefaultProtocol, R = IfSafe> {
    inner: S,
    hedge: Hedge<R>,
    protocol: Pr,
}

impl<S, Pr, R> HedgeService<S, Pr, R> {
    pub(super) const fn new(inner: S, hedge: Hedge<R>, protocol: Pr) -> Self {
        Self {
            inner,
            hedge,
            protocol,
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

impl<S, Pr, R, Req> Service<Req> for HedgeService<S, Pr, R>
where
    S: Service<Sent<Pr, Req>> + Clone,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
    R: Repeats<Req>,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = HedgeFuture<S, Pr, Req>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let (shared, protocol) = (&self.hedge.shared, &self.protocol);
        shared.deposit();
        // Who goes by a fixed delay needs no time unless the call is pending.
        let arrival = shared.measures().map(|_| clock::at_arrival());
        let (plan, failures) = shared.plans.of_call(arrival, || protocol.method(&request));
        // Of a call for which no hedge is earned, nothing needs to be kept.
        let plan = plan.filter(|_| {
            shared.extra_load.suffices() && self.hedge.repeats.repeats(protocol, &request)
        });
        let origin = protocol.origin(&request, &shared.names);
        let (mut attempt, kept) = match plan {
            None => (protocol.once(request), None),
            Some(plan) => {
                let deadline = protocol.deadline(&request);
                let (attempt, kept) = protocol.keep(request, shared.replay_limit);
                (attempt, Some((kept, plan, deadline)))
            }
        };
        protocol.tell_attempts(&mut attempt, 0, &origin, &shared.names);
        let race = kept.map(|(kept, plan, deadline)| {
            let (service, protocol) = (self.inner.clone(), protocol.clone());
            Race::new(service, protocol, kept, origin, plan, deadline)
        });
        let observer = protocol.observe(&attempt);
        let upload = protocol.upload(&attempt);
        let scope = arrival.map(clock::Arrival::at);
        let future = Attempting::new(self.inner.call(attempt), upload);
        drop(scope);
        let shared = Arc::clone(shared);
        HedgeFuture::new(future, observer, arrival, failures, shared, race)
    }
}
