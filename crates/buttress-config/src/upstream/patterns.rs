use crate::policy::{Policies, decides_by_its_policies};
use buttress::coalesce::SameRequest;
use buttress::repeat::Repeat as Repeatable;
use buttress::retry::{Everything, IfSafe, Repeats};
use buttress::timeout::BodyLimits;
use buttress::{
    Coalesce, Hedge, OutgoingCriticality, OutgoingDeadline, Retry, StaleIfError, Timeout,
};
use buttress_core::Here;

/// What is done with the calls to one upstream, from outside in.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) coalesce: Option<Coalesce<SameRequest>>,
    pub(crate) stale: Option<StaleIfError>,
    pub(crate) timeout: Timeout<BodyLimits>,
    pub(crate) repeat: Repeat,
    pub(crate) policies: Policies,
    pub(crate) attempt_timeout: Timeout<BodyLimits>,
    pub(crate) outgoing: Outgoing,
}

/// Nothing is done.
impl Default for Upstream {
    fn default() -> Self {
        Self {
            coalesce: None,
            stale: None,
            timeout: Timeout::off(),
            repeat: Repeat::Never,
            policies: Policies::default(),
            attempt_timeout: Timeout::off(),
            outgoing: Outgoing::default(),
        }
    }
}

/// How a call is sent more than once.
#[derive(Debug, Default)]
pub(crate) enum Repeat {
    #[default]
    Never,
    Retry(Retry<AnyRepeats>),
    Hedge(Hedge<AnyRepeats>),
}

/// The headers that tell the callee about the call.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outgoing {
    pub(crate) deadline: Option<OutgoingDeadline>,
    pub(crate) criticality: Option<OutgoingCriticality>,
}

/// Which requests may be sent more than once.
#[derive(Clone, Copy, Debug)]
pub enum AnyRepeats {
    /// Those of which the protocol says that it is safe.
    IfSafe,
    /// All.
    Everything,
}

impl<Req> Repeats<Req> for AnyRepeats {
    #[inline]
    fn repeats<Pr: Repeatable<Req>>(&self, protocol: &Pr, request: &Req) -> bool {
        match self {
            Self::IfSafe => IfSafe.repeats(protocol, request),
            Self::Everything => Everything.repeats(protocol, request),
        }
    }
}

/// The policies of one upstream, held by its services.
#[derive(Clone, Debug)]
pub struct OfUpstream(pub(super) Here<Upstream>);

impl OfUpstream {
    #[inline]
    fn policies(&self) -> &Policies {
        &self.0.policies
    }
}

decides_by_its_policies!(OfUpstream);
