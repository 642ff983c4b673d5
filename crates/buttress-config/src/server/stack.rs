use crate::policy::Policies;
use buttress::criticality::{Everybody, IncomingCriticality, Nobody, PeersIn, Trust};
use buttress::timeout::BodyLimits;
use buttress::{
    Carried, Criticality, IncomingAttempt, IncomingDeadline, Look, Timeout, shed::MarkArrival,
};
use http::Request;
use std::time::Instant;

/// What a route does with its calls, from outside in.
#[derive(Debug, Default)]
pub(crate) struct Route {
    pub(crate) arrival: Option<MarkArrival>,
    pub(crate) criticality: Option<IncomingCriticality<AnyTrust, Otherwise>>,
    pub(crate) attempt: Option<IncomingAttempt>,
    pub(crate) deadline: Option<IncomingDeadline>,
    pub(crate) policies: Option<Policies>,
    pub(crate) timeout: Option<AnyTimeout>,
}

/// A timeout, with or without bounds for the body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum AnyTimeout {
    Headers(Timeout),
    Body(Timeout<BodyLimits>),
}

impl AnyTimeout {
    /// The same, for requests that have no deadline yet.
    pub(crate) fn setting_deadlines(self) -> Self {
        match self {
            Self::Headers(timeout) => Self::Headers(timeout.sets_deadline()),
            Self::Body(timeout) => Self::Body(timeout.sets_deadline()),
        }
    }
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
