use super::future::TimeoutFuture;
use super::layer::Timeout;
use super::protocol::{HeadersOnly, TimeoutProtocol};
use crate::clock;
use buttress_core::{Reason, Rejection};
use std::task::{Context, Poll};
use std::time::Instant;
use tower_service::Service;

/// A service whose calls may take only so long.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutService<S, Pr = crate::DefaultProtocol, L = HeadersOnly> {
    inner: S,
    timeout: Timeout<L>,
    protocol: Pr,
}

impl<S, Pr, L> TimeoutService<S, Pr, L> {
    pub(super) const fn new(inner: S, timeout: Timeout<L>, protocol: Pr) -> Self {
        Self {
            inner,
            timeout,
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

impl<S, Pr, L, Req> Service<Req> for TimeoutService<S, Pr, L>
where
    S: Service<Req>,
    Pr: TimeoutProtocol<Req, S::Response, S::Error, L>,
    L: Copy,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = TimeoutFuture<S, Pr, L, Req>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let arrival = clock::at_arrival();
        let timeout = &self.timeout;
        if timeout.is_off() {
            return self.pass_through(request, arrival);
        }
        // A year at most, so that this does not overflow any platform's clock.
        let own = arrival + timeout.headers;
        let deadline = self
            .protocol
            .lower_deadline(&mut request, own, timeout.sets_deadline);
        let stop = match deadline {
            Some(earlier) => Stop::new(earlier, Reason::DeadlinePassed, timeout.name),
            None => Stop::new(own, Reason::TimedOut, timeout.name),
        };
        if stop.has_come(arrival) {
            return TimeoutFuture::refused(self.protocol.refuse(request, stop.rejection()));
        }
        let context = self.protocol.remember(&request);
        let scope = clock::Arrival::at(arrival);
        let future = self.inner.call(request);
        drop(scope);
        let protocol = self.protocol.clone();
        TimeoutFuture::new(future, arrival, stop, timeout.limits, protocol, context)
    }
}

impl<S, Pr, L: Copy> TimeoutService<S, Pr, L> {
    /// Bounds nothing but what a body's limits say.
    #[inline]
    fn pass_through<Req>(&mut self, request: Req, arrival: Instant) -> TimeoutFuture<S, Pr, L, Req>
    where
        S: Service<Req>,
        Pr: TimeoutProtocol<Req, S::Response, S::Error, L>,
    {
        let context = self.protocol.remember(&request);
        let scope = clock::Arrival::at(arrival);
        let future = self.inner.call(request);
        drop(scope);
        let (stop, limits) = (Stop::never(self.timeout.name), self.timeout.limits);
        TimeoutFuture::new(
            future,
            arrival,
            stop,
            limits,
            self.protocol.clone(),
            context,
        )
    }
}

/// When a call is stopped, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    /// Nothing if it never is.
    pub(crate) at: Option<Instant>,
    pub(crate) name: &'static str,
    reason: Reason,
}

impl Stop {
    pub(crate) const fn new(at: Instant, reason: Reason, name: &'static str) -> Self {
        let at = Some(at);
        Self { at, name, reason }
    }

    pub(crate) const fn never(name: &'static str) -> Self {
        Self {
            at: None,
            name,
            reason: Reason::TimedOut,
        }
    }

    /// Whether it is so late already.
    pub(crate) fn has_come(self, now: Instant) -> bool {
        self.at.is_some_and(|at| at <= now)
    }

    pub(crate) const fn rejection(self) -> Rejection {
        Rejection::new(self.reason, self.name)
    }
}
