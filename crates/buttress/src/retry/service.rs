use super::future::{Rest, RetryFuture};
use super::protocol::RetryProtocol;
use super::repeated::Repeated;
use super::repeats::Repeats;
use super::rules::Shared;
use crate::clock;
use crate::repeat::Repeat;
use buttress_core::Spread;
use buttress_core::backoff::Waits;
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose calls are tried again.
///
/// The first attempt is made on the instance that was ready; each later one on a fresh clone, so the
/// service inside must be `Clone`.
#[derive(Clone, Debug)]
pub struct RetryService<S, Pr = crate::DefaultProtocol, R = super::IfSafe> {
    inner: S,
    shared: Spread<Shared>,
    repeats: R,
    protocol: Pr,
}

impl<S, Pr, R> RetryService<S, Pr, R> {
    pub(super) const fn new(inner: S, shared: Spread<Shared>, repeats: R, protocol: Pr) -> Self {
        Self {
            inner,
            shared,
            repeats,
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

impl<S, Pr, R, Req> Service<Req> for RetryService<S, Pr, R>
where
    S: Service<<Pr as Repeat<Req>>::Attempt> + Clone,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
    R: Repeats<Req>,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = RetryFuture<S, Pr, Req>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let shared = &self.shared;
        let now = clock::arrival();
        if let Some(budget) = &shared.budget {
            budget.deposit(&now);
        }
        let method = || self.protocol.method(&request);
        let rules = shared.rules_of(method).filter(|rules| {
            shared.rules(*rules).attempts > 1 && self.repeats.repeats(&self.protocol, &request)
        });
        let origin = self.protocol.origin(&request, &shared.names);
        let rules = rules.filter(|_| !(shared.not_of_retries && origin.previous() > 0));
        let deadline = self.protocol.deadline(&request);
        let (mut attempt, kept) = match rules {
            Some(rules) => {
                let (attempt, kept) = self.protocol.keep(request, shared.replay_limit);
                (attempt, Some((rules, kept)))
            }
            None => (self.protocol.once(request), None),
        };
        self.protocol
            .tell_attempts(&mut attempt, 0, &origin, &shared.names);
        let rest = match kept {
            Some((rules, kept)) => Rest::Repeat(Repeated {
                service: self.inner.clone(),
                protocol: self.protocol.clone(),
                shared: shared.here(),
                rules,
                kept,
                origin,
                deadline,
                retries: 0,
                waits: Waits::new(),
            }),
            None if origin.listens() => Rest::Report(origin, shared.here()),
            None => Rest::Nothing,
        };
        let observer = self.protocol.observe(&attempt);
        let upload = self.protocol.upload(&attempt);
        let scope = now.known().map(clock::Arrival::at);
        let future = self.inner.call(attempt);
        drop(scope);
        RetryFuture::new(future, upload, observer, rest)
    }
}
