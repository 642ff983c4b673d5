use super::Compiled;
use crate::policy::Policies;
use crate::server::Route;
use arc_swap::ArcSwap;
use buttress::{Admission, Now, Policy, Rejection};
use buttress_core::{Here, Spread};
use http::Request;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// The rules in force: what services hold, and what a reload exchanges.
#[derive(Clone)]
pub(crate) struct Current {
    rules: Arc<ArcSwap<Spread<Compiled>>>,
}

impl Current {
    pub(crate) fn new(rules: Compiled) -> Self {
        let rules = Arc::new(ArcSwap::from_pointee(Spread::new(rules)));
        Self { rules }
    }

    pub(crate) fn replace(&self, rules: Compiled) {
        self.rules.store(Arc::new(Spread::new(rules)));
    }

    /// Which rules they are: each reload's number is new.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.rules.load().generation
    }

    /// The rules, for as long as a call or a look at them lasts.
    #[inline]
    pub(crate) fn here(&self) -> Here<Compiled> {
        self.rules.load().here()
    }

    /// The route of a request.
    #[inline]
    pub(crate) fn of<B>(&self, request: &Request<B>) -> OfRoute {
        let rules = self.here();
        let place = rules.routes.find(request).map_or(0, |number| number + 1);
        OfRoute { rules, place }
    }
}

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

/// The policies of one route, held by a call.
#[derive(Clone, Debug)]
pub struct OfRoute {
    rules: Here<Compiled>,
    place: usize,
}

impl OfRoute {
    #[inline]
    pub(crate) fn route(&self) -> &Route {
        // Routes and stacks are made together.
        &self.rules.stacks[self.place]
    }

    #[inline]
    fn policies(&self) -> &Option<Policies> {
        &self.route().policies
    }
}

impl<B> Policy<Request<B>> for OfRoute
where
    Option<Policies>: Policy<Request<B>>,
{
    type Permit = <Option<Policies> as Policy<Request<B>>>::Permit;
    type Waiting = <Option<Policies> as Policy<Request<B>>>::Waiting;

    #[inline]
    fn admit(&self, call: &Request<B>, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
        self.policies().admit(call, now)
    }

    fn poll_admit(
        &self,
        waiting: &mut Self::Waiting,
        call: &Request<B>,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        self.policies().poll_admit(waiting, call, now, context)
    }

    fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
        Policy::<Request<B>>::wake_at(self.policies(), waiting)
    }

    fn abandon(&self, waiting: Self::Waiting, call: &Request<B>) {
        self.policies().abandon(waiting, call);
    }

    fn revoke(&self, permit: Self::Permit, call: &Request<B>) {
        self.policies().revoke(permit, call);
    }
}
