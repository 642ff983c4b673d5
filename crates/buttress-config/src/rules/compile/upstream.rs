use super::chain::{Chain, uses};
use super::{Made, timeout};
use crate::rules::kinds::policy_name;
use crate::rules::maker::Maker;
use crate::rules::registry::Handle;
use crate::settings::{
    CriticalityHeaderSettings, DeadlineHeaderSettings, RepeatsSettings, RetrySettings, Settings,
    UpstreamSettings, on,
};
use crate::upstream::{AnyRepeats, Outgoing, Repeat, Upstream};
use buttress::Retry;
use buttress_core::Spread;

/// Takes a thing of one kind out of its handle.
macro_rules! known {
    ($kind:ident) => {
        |handle: &Handle| match handle {
            Handle::$kind(known) => Some(known.clone()),
            _ => None,
        }
    };
}

/// What is done with the calls to one upstream, by all that is said about it.
pub(super) fn upstream(
    maker: &mut Maker<'_>,
    settings: &Settings,
    name: &str,
    all: &UpstreamSettings,
) -> Made<Spread<Upstream>> {
    let id = format!("upstream.{name}");
    let mut chain = Chain {
        maker,
        settings,
        id: &id,
        name: Some(policy_name(name, "upstream")),
        uses: uses(all.uses.as_ref()),
        policies: Vec::new(),
        pressures: &mut Vec::new(),
    };
    chain.own(all.circuit_breaker.as_ref())?;
    chain.own(all.throttle.as_ref())?;
    chain.shared(|shared| shared.rate_limit.as_ref(), all.rate_limit.as_ref())?;
    chain.shared(|shared| shared.bulkhead.as_ref(), all.bulkhead.as_ref())?;
    chain.shared(
        |shared| shared.adaptive_limit.as_ref(),
        all.adaptive_limit.as_ref(),
    )?;
    chain.shared(|shared| shared.pace.as_ref(), all.pace.as_ref())?;
    let policies = chain.finish();
    let coalesce = on(all.coalesce.as_ref()).map(|settings| {
        let known = known!(Coalesce);
        maker.other(
            format!("{id}/coalesce"),
            settings,
            known,
            |_| settings.builder().build(),
            Handle::Coalesce,
        )
    });
    let stale = on(all.stale_if_error.as_ref()).map(|settings| {
        let known = known!(Stale);
        maker.other(
            format!("{id}/stale_if_error"),
            settings,
            known,
            |_| settings.builder().build(),
            Handle::Stale,
        )
    });
    let outgoing = Outgoing {
        deadline: on(all.deadline_header.as_ref())
            .map(DeadlineHeaderSettings::layer)
            .transpose()?,
        criticality: on(all.criticality_header.as_ref())
            .map(CriticalityHeaderSettings::layer)
            .transpose()?,
    };
    let mut whole = timeout(on(all.timeout.as_ref()), false)?;
    if outgoing.deadline.is_some() {
        // Or there would be nothing to tell the callee, unless the caller had a deadline.
        whole = whole.sets_deadline();
    }
    Ok(Spread::new(Upstream {
        coalesce: coalesce.transpose()?,
        stale: stale.transpose()?,
        timeout: whole,
        repeat: repeat(maker, &id, all)?,
        policies,
        attempt_timeout: timeout(on(all.attempt_timeout.as_ref()), true)?,
        outgoing,
    }))
}

fn repeat(maker: &mut Maker<'_>, id: &str, all: &UpstreamSettings) -> Made<Repeat> {
    if let Some(settings) = on(all.hedge.as_ref()) {
        let known = known!(Hedge);
        let hedge = maker.other(
            format!("{id}/hedge"),
            settings,
            known,
            |_| {
                let repeats = repeats(settings.repeats.as_deref());
                settings.builder()?.repeats_by(repeats).build()
            },
            Handle::Hedge,
        )?;
        return Ok(Repeat::Hedge(hedge));
    }
    let Some(settings) = on(all.retry.as_ref()) else {
        return Ok(Repeat::Never);
    };
    let known = known!(Retry);
    let make = |before: Option<(&RetrySettings, &Retry<_>)>| {
        let repeats = repeats(settings.repeats.as_deref());
        let mut builder = settings.builder()?.repeats_by(repeats);
        // What the calls so far have left of it is as true with another backoff.
        if let Some((before, retry)) = before
            && before.has_the_budget_of(settings)
            && let Some(budget) = retry.budget()
        {
            builder = builder.budget(budget.clone());
        }
        builder.build()
    };
    let retry = maker.other(format!("{id}/retry"), settings, known, make, Handle::Retry)?;
    Ok(Repeat::Retry(retry))
}

const fn repeats(settings: Option<&RepeatsSettings>) -> AnyRepeats {
    match settings {
        Some(RepeatsSettings::All) => AnyRepeats::Everything,
        Some(RepeatsSettings::Safe) | None => AnyRepeats::IfSafe,
    }
}
