use super::future::GuardFuture;
use super::protocol::GuardProtocol;
use crate::clock;
use buttress_core::{Admission, Now, Policy};
use std::task::{Context, Poll};
use tower_service::Service;

/// A service whose calls a policy must admit.
///
/// The policy decides in `call`, which sees the request; `poll_ready` only passes the inner
/// service's answer on. A call that waits for its turn takes the ready inner service with it and
/// leaves a clone, so a service behind a guard must be `Clone`.
#[derive(Clone, Copy, Debug)]
pub struct Guard<S, P, Pr = crate::DefaultProtocol> {
    inner: S,
    policy: P,
    protocol: Pr,
}

impl<S, P, Pr> Guard<S, P, Pr> {
    /// Puts a guard around `inner`.
    pub const fn new(inner: S, policy: P, protocol: Pr) -> Self {
        Self {
            inner,
            policy,
            protocol,
        }
    }

    /// The policy.
    pub const fn policy(&self) -> &P {
        &self.policy
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

impl<S, P, Pr, Req> Service<Req> for Guard<S, P, Pr>
where
    S: Service<Req> + Clone,
    P: Policy<Req> + Clone,
    Pr: GuardProtocol<Req, S::Response, S::Error, P::Permit>,
{
    type Response = Pr::Response;
    type Error = S::Error;
    type Future = GuardFuture<S, P, Pr, Req>;

    #[inline]
    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    #[inline]
    fn call(&mut self, request: Req) -> Self::Future {
        let now = Now::lazy(clock::at_arrival);
        match self.policy.admit(&request, &now) {
            Admission::Admitted(permit) => {
                GuardFuture::start(&mut self.inner, &self.protocol, permit, request, &now)
            }
            Admission::Refused(rejection) => {
                GuardFuture::refused(self.protocol.refuse(request, rejection))
            }
            Admission::Wait(waiting) => {
                let clone = self.inner.clone();
                let ready = std::mem::replace(&mut self.inner, clone);
                let policy = self.policy.clone();
                GuardFuture::wait(ready, policy, self.protocol.clone(), waiting, request)
            }
        }
    }
}
