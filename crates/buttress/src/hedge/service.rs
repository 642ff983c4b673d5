use super::future::HedgeFuture;
use super::layer::Hedge;
use super::number::Number;
use super::race::{Race, Sent};
use super::which::{Repeatable, Safe};
use crate::clock;
use crate::repeat::{Judge, Repeat};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose slow calls are sent once more.
///
/// Hedges are sent on clones, so a service behind a hedge must be `Clone`.
#[derive(Clone, Debug)]
pub struct HedgeService<S, Pr = crate::DefaultProtocol, W = Safe> {
    inner: S,
    hedge: Hedge<W>,
    protocol: Pr,
}

impl<S, Pr, W> HedgeService<S, Pr, W> {
    pub(super) const fn new(inner: S, hedge: Hedge<W>, protocol: Pr) -> Self {
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
}

impl<S, Pr, W, Req> Service<Req> for HedgeService<S, Pr, W>
where
    S: Service<Sent<Pr, Req>> + Clone,
    Pr: Repeat<Req> + Judge<Sent<Pr, Req>, S::Response, S::Error> + Number<Sent<Pr, Req>>,
    W: Repeatable<Req>,
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
        let which = &self.hedge.which;
        let safe = || protocol.is_safe(&request);
        let delay = shared
            .delay_if_earned(arrival)
            .filter(|_| which.may_repeat(&request, safe));
        let (attempt, race) = match delay {
            None => (protocol.once(request), None),
            Some(delay) => {
                let deadline = protocol.deadline(&request);
                let (attempt, kept) = protocol.keep(request, shared.keep_body);
                let race = Race::new(self.inner.clone(), protocol.clone(), kept, delay, deadline);
                (attempt, Some(race))
            }
        };
        let observer = protocol.observe(&attempt);
        let scope = arrival.map(clock::Arrival::at);
        let future = self.inner.call(attempt);
        drop(scope);
        HedgeFuture::new(future, observer, arrival, Arc::clone(shared), race)
    }
}
