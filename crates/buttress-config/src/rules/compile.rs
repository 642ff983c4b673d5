//! From a file's settings to what calls go by.

use super::compiled::Compiled;
use super::kinds::{Kind, policy_name};
use super::registry::{Handle, Maker, Registry};
use crate::layers::AnyTimeout;
use crate::policy::{Managed, Policies};
use crate::routes::{Match, Routes};
use crate::server::{AnyTrust, Otherwise, Route};
use crate::settings::{
    AttemptSettings, CriticalityHeaderSettings, CriticalitySettings, DeadlineHeaderSettings,
    PressureSettings, RepeatsSettings, RouteSettings, ServerPolicies, Setting, Settings,
    SharedPolicies, Switch, TimeoutSettings, TrustSettings, UpstreamSettings,
};
use crate::source::At;
use crate::upstream::{AnyRepeats, Outgoing, Repeat, Upstream};
use buttress::shed::MarkArrival;
use buttress::{IncomingCriticality, IncomingDeadline, SettingError, Timeout};
use buttress_core::Spread;
use hashbrown::HashMap;
use http::Method;

/// What a file comes to.
pub(super) struct Outcome {
    pub(super) compiled: Compiled,
    pub(super) registry: Registry,
    /// What is to be done once the rules are in force.
    pub(super) changes: Vec<Box<dyn FnOnce()>>,
}

/// What is wrong, and with what. A file that was checked has nothing of the kind.
pub(super) type Failure = (String, String);

/// Makes rules of a file's settings, with what can stay of those before.
pub(super) fn compile(
    settings: &Settings,
    before: &Registry,
    generation: u64,
) -> Result<Outcome, Failure> {
    let mut maker = Maker::new(before);
    let matches = settings.matches();
    let routes = Routes::new(&matches)
        .map_err(|(number, error)| (format!("server.route[{number}]"), error.to_string()))?;
    let defaults = settings.defaults();
    let mut stacks = Vec::with_capacity(settings.routes().len() + 1);
    let rest = "server.defaults";
    let mut pressures = Vec::new();
    stacks
        .push(route(&mut maker, &mut pressures, settings, rest, &defaults).map_err(failed(rest))?);
    let mut known: HashMap<String, usize> = HashMap::new();
    for one in settings.routes() {
        let mut id = format!("route {}", title(one));
        // A second one with the same match never applies; but it must not take the first one's.
        let count = known.entry(id.clone()).or_default();
        *count += 1;
        if *count > 1 {
            id = format!("{id} ({count})");
        }
        let effective = one.policies.or(&defaults);
        stacks.push(
            route(&mut maker, &mut pressures, settings, &id, &effective).map_err(failed(&id))?,
        );
    }
    let mut upstreams = HashMap::new();
    for (name, _) in settings.upstream.iter().flat_map(|all| all.iter()) {
        let Some(effective) = settings.effective_upstream(name) else {
            continue;
        };
        let id = format!("upstream.{}", **name);
        let made = upstream(&mut maker, settings, name, &effective).map_err(failed(&id))?;
        upstreams.insert(name.as_str().into(), made);
    }
    let (registry, changes) = maker.finish();
    Ok(Outcome {
        compiled: Compiled {
            routes,
            stacks,
            upstreams,
            generation,
        },
        registry,
        changes,
    })
}

fn failed(id: &str) -> impl FnOnce(SettingError) -> Failure {
    let id = id.to_owned();
    move |error| (id, error.to_string())
}

type Made<T> = Result<T, SettingError>;

/// What a route is called where people see it.
fn title(route: &RouteSettings) -> String {
    let wanted = Match::from(&*route.matching);
    let mut words: Vec<String> = Vec::new();
    let methods: Vec<_> = wanted.methods.iter().map(Method::as_str).collect();
    words.push(methods.join("|"));
    words.extend(wanted.host.map(|host| format!("host={host}")));
    words.extend(wanted.path);
    words.extend(wanted.grpc.map(|method| format!("grpc={method}")));
    for (name, value) in wanted.headers {
        let value = value.as_ref().and_then(|value| value.to_str().ok());
        words.push(format!("{name}={}", value.unwrap_or("*")));
    }
    words.retain(|word| !word.is_empty());
    if words.is_empty() {
        return "any".to_owned();
    }
    words.join(" ")
}

fn on<T>(setting: Option<&At<Switch<T>>>) -> Option<&T> {
    setting?.on()
}

/// Policies in the making, and whom they belong to.
struct Chain<'m, 'r, 's> {
    maker: &'m mut Maker<'r>,
    settings: &'s Settings,
    id: &'s str,
    /// The name of policies that are given none.
    name: Option<&'static str>,
    uses: Vec<&'s str>,
    policies: Vec<Managed>,
    pressures: &'m mut Vec<(PressureSettings, Managed)>,
}

impl Chain<'_, '_, '_> {
    /// A policy that belongs to this route or upstream alone.
    fn own<K: Kind>(&mut self, own: Option<&At<Switch<K>>>) -> Made<()> {
        if let Some(own) = on(own) {
            let id = format!("{}/{}", self.id, K::NAME);
            let name = self.name.unwrap_or(default_name::<K>());
            self.policies.push(self.maker.policy(id, name, own)?);
        }
        Ok(())
    }

    /// It looks at the process, and so is the same wherever its settings are.
    fn pressure(&mut self, own: Option<&At<Switch<PressureSettings>>>) -> Made<()> {
        let Some(own) = on(own) else { return Ok(()) };
        let mut known = self.pressures.iter();
        if let Some((_, policy)) = known.find(|(settings, _)| settings == own) {
            self.policies.push(policy.clone());
            return Ok(());
        }
        let settings = own.show().to_string();
        let id = match settings.as_str() {
            "{}" => "process/pressure".to_owned(),
            settings => format!("process/pressure {settings}"),
        };
        let policy = self.maker.policy(id, "pressure", own)?;
        self.pressures.push((own.clone(), policy.clone()));
        self.policies.push(policy);
        Ok(())
    }

    /// The shared ones of a kind that apply, and then its own.
    fn shared<K: Kind>(
        &mut self,
        of: impl Fn(&SharedPolicies) -> Option<&At<K>>,
        own: Option<&At<Switch<K>>>,
    ) -> Made<()> {
        for name in &self.uses {
            let shared = self.settings.policy.as_ref().and_then(|all| all.get(name));
            if let Some(settings) = shared.and_then(|shared| of(shared)) {
                let id = format!("policy.{name}/{}", K::NAME);
                let name = policy_name(name, default_name::<K>());
                let policy = self.maker.policy(id, name, &**settings)?;
                self.policies.push(policy);
            }
        }
        self.own(own)
    }

    fn finish(self) -> Policies {
        Policies::new(self.policies)
    }
}

fn uses(names: Option<&At<Vec<At<String>>>>) -> Vec<&str> {
    let names = names.into_iter().flat_map(|names| names.iter());
    names.map(|name| name.as_str()).collect()
}

/// What builders call a policy that is given no name.
fn default_name<K: Kind>() -> &'static str {
    match K::NAME {
        "rate_limit" => "rate-limit",
        "fair_share" => "fair-share",
        "adaptive_limit" => "adaptive-limit",
        "circuit_breaker" => "circuit-breaker",
        "deadline_shedder" => "deadline-shedder",
        "queue_delay" => "queue-delay",
        name => name,
    }
}

fn route(
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
        timeout: match timeout(on(policies.timeout.as_ref()), false)? {
            Some(AnyTimeout::Body(timeout)) => timeout,
            Some(AnyTimeout::Headers(timeout)) => timeout.any_body(),
            None => Timeout::off(),
        },
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

fn timeout(settings: Option<&TimeoutSettings>, each_attempt: bool) -> Made<Option<AnyTimeout>> {
    let Some(settings) = settings else {
        return Ok(None);
    };
    Ok(Some(match settings.with_body(each_attempt)? {
        Some(timeout) => AnyTimeout::Body(timeout),
        None => AnyTimeout::Headers(settings.headers_only(each_attempt)?),
    }))
}

fn upstream(
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
        let known = |handle: &Handle| match handle {
            Handle::Coalesce(known) => Some(known.clone()),
            _ => None,
        };
        let make = || settings.builder().build();
        maker.other(
            format!("{id}/coalesce"),
            settings,
            known,
            make,
            Handle::Coalesce,
        )
    });
    let stale = on(all.stale_if_error.as_ref()).map(|settings| {
        let known = |handle: &Handle| match handle {
            Handle::Stale(known) => Some(known.clone()),
            _ => None,
        };
        let make = || settings.builder().build();
        maker.other(
            format!("{id}/stale_if_error"),
            settings,
            known,
            make,
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
        whole = whole.map(AnyTimeout::setting_deadlines);
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
        let known = |handle: &Handle| match handle {
            Handle::Hedge(known) => Some(known.clone()),
            _ => None,
        };
        let make = || {
            let repeats = repeats(settings.repeats.as_deref());
            settings.builder()?.repeats_by(repeats).build()
        };
        let hedge = maker.other(format!("{id}/hedge"), settings, known, make, Handle::Hedge)?;
        return Ok(Repeat::Hedge(hedge));
    }
    let Some(settings) = on(all.retry.as_ref()) else {
        return Ok(Repeat::Never);
    };
    let known = |handle: &Handle| match handle {
        Handle::Retry(known) => Some(known.clone()),
        _ => None,
    };
    let make = || {
        let repeats = repeats(settings.repeats.as_deref());
        settings.builder()?.repeats_by(repeats).build()
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
