use crate::policy::Policies;
use buttress::criticality::{Everybody, IncomingCriticality, Nobody, PeersIn, Trust};
use buttress::timeout::BodyLimits;
use buttress::{
    Carried, Criticality, IncomingAttempt, IncomingDeadline, Look, Timeout, shed::MarkArrival,
};
use http::Request;
use std::time::Instant;

/// What a route does with its calls, from outside in.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) arrival: Option<MarkArrival>,
    pub(crate) criticality: Option<IncomingCriticality<AnyTrust, Otherwise>>,
    pub(crate) attempt: Option<IncomingAttempt>,
    pub(crate) deadline: IncomingDeadline,
    pub(crate) policies: Policies,
    pub(crate) timeout: Timeout<BodyLimits>,
}

/// Whose word on criticality counts.
#[derive(Clone, Debug)]
pub(crate) enum AnyTrust {
    Nobody,
    Everybody,
    PeersIn(PeersIn),
}

impl<B> Trust<Request<B>> for AnyTrust {
    fn trusts(&self, call: &Request<B>) -> bool {
        match self {
            Self::Nobody => Nobody.trusts(call),
            Self::Everybody => Everybody.trusts(call),
            Self::PeersIn(peers) => peers.trusts(call),
        }
    }
}

/// How critical a request is that nobody believed says anything about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Otherwise {
    Carried,
    Given(Criticality),
}

impl<B> Look<Request<B>> for Otherwise {
    fn criticality(&self, call: &Request<B>) -> Criticality {
        match self {
            Self::Carried => Carried.criticality(call),
            Self::Given(criticality) => *criticality,
        }
    }

    fn deadline(&self, call: &Request<B>) -> Option<Instant> {
        Carried.deadline(call)
    }
}
