use super::chain::{Chain, uses};
use super::{Made, timeout};
use crate::policy::Managed;
use crate::rules::maker::Maker;
use crate::server::{AnyTrust, Otherwise, Route};
use crate::settings::{
    AttemptSettings, CriticalitySettings, PressureSettings, ServerPolicies, Settings,
    TrustSettings, on,
};
use buttress::shed::MarkArrival;
use buttress::{IncomingCriticality, IncomingDeadline};

/// What is done with the calls of one route, by all that is said about it.
pub(super) fn route(
    maker: &mut Maker<'_>,
    pressures: &mut Vec<(PressureSettings, Managed)>,
    settings: &Settings,
    id: &str,
    policies: &ServerPolicies,
) -> Made<Route> {
    let mut chain = Chain {
        maker,
        settings,
        id,
        name: None,
        uses: uses(policies.uses.as_ref()),
        policies: Vec::new(),
        pressures,
    };
    chain.pressure(policies.pressure.as_ref())?;
    chain.own(policies.deadline_shedder.as_ref())?;
    chain.shared(
        |shared| shared.rate_limit.as_ref(),
        policies.rate_limit.as_ref(),
    )?;
    chain.shared(
        |shared| shared.fair_share.as_ref(),
        policies.fair_share.as_ref(),
    )?;
    chain.shared(
        |shared| shared.bulkhead.as_ref(),
        policies.bulkhead.as_ref(),
    )?;
    chain.shared(
        |shared| shared.adaptive_limit.as_ref(),
        policies.adaptive_limit.as_ref(),
    )?;
    chain.shared(|shared| shared.pace.as_ref(), policies.pace.as_ref())?;
    chain.own(policies.queue_delay.as_ref())?;
    let listens = on(policies.queue_delay.as_ref()).is_some();
    let criticality = on(policies.criticality.as_ref());
    Ok(Route {
        arrival: listens.then(MarkArrival::new),
        criticality: criticality.map(criticality_of).transpose()?.flatten(),
        deadline: match on(policies.deadline.as_ref()) {
            Some(settings) => settings.layer()?,
            None => IncomingDeadline::off(),
        },
        attempt: on(policies.attempt.as_ref())
            .map(AttemptSettings::layer)
            .transpose()?,
        policies: chain.finish(),
        timeout: timeout(on(policies.timeout.as_ref()), false)?,
    })
}

/// Nothing if it would find out nothing: nobody is believed, and nothing else is said.
fn criticality_of(
    settings: &CriticalitySettings,
) -> Made<Option<IncomingCriticality<AnyTrust, Otherwise>>> {
    let trust = match settings.trusting.as_deref() {
        None | Some(TrustSettings::Nobody) => AnyTrust::Nobody,
        Some(TrustSettings::Everybody) => AnyTrust::Everybody,
        Some(networks) => match networks.networks() {
            Some(peers) => AnyTrust::PeersIn(peers?),
            None => AnyTrust::Nobody,
        },
    };
    let otherwise = match &settings.otherwise {
        Some(criticality) => Otherwise::Given(**criticality),
        None => Otherwise::Carried,
    };
    if let (AnyTrust::Nobody, Otherwise::Carried) = (&trust, &otherwise) {
        return Ok(None);
    }
    Ok(Some(settings.layer()?.trusting(trust).otherwise(otherwise)))
}
