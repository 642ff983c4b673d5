use super::future::TimeoutFuture;
use super::layer::Timeout;
use super::protocol::{BodyLimits, TimeoutProtocol};
use crate::clock;
use buttress_core::{Reason, Rejection};
use std::task::{Context, Poll};
use std::time::Instant;
use tower_service::Service;

/// A service whose calls may take only so long.
#[derive(Clone, Copy, Debug)]
pub struct TimeoutService<S, Pr = crate::DefaultProtocol> {
    inner: S,
    timeout: Timeout,
    protocol: Pr,
}

impl<S, Pr> TimeoutService<S, Pr> {
    pub(super) const fn new(inner: S, timeout: Timeout, protocol: Pr) -> Self {
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
}

impl<S, Pr, Req> Service<Req> for TimeoutService<S, Pr>
where
    S: Service<Req>,
    Pr: TimeoutProtocol<Req, S::Response, S::Error>,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = TimeoutFuture<S, Pr, Req>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, mut request: Req) -> Self::Future {
        let arrival = clock::at_arrival();
        let Timeout {
            name,
            headers,
            idle_body,
            whole_body,
            sets_deadline,
        } = self.timeout;
        // A year at most, so that this does not overflow any platform's clock.
        let own = arrival + headers;
        let deadline = self
            .protocol
            .lower_deadline(&mut request, own, sets_deadline);
        let stop = match deadline {
            Some(earlier) => Stop::new(earlier, Reason::DeadlinePassed, name),
            None => Stop::new(own, Reason::TimedOut, name),
        };
        if stop.at <= arrival {
            let context = self.protocol.consume(request);
            return TimeoutFuture::refused(self.protocol.reject_late(context, stop.rejection()));
        }
        let context = self.protocol.remember(&request);
        let limits = BodyLimits {
            name,
            idle: idle_body,
            until: whole_body.map(|longest| arrival + longest),
        };
        let future = clock::arriving_at(arrival, || self.inner.call(request));
        TimeoutFuture::new(future, stop, limits, self.protocol.clone(), context)
    }
}

/// When a call is stopped, and why.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) at: Instant,
    reason: Reason,
    name: &'static str,
}

impl Stop {
    pub(crate) const fn new(at: Instant, reason: Reason, name: &'static str) -> Self {
        Self { at, reason, name }
    }

    pub(crate) const fn rejection(self) -> Rejection {
        Rejection::new(self.reason, self.name)
    }
}
