use super::Made;
use crate::policy::{Managed, Policies};
use crate::rules::kinds::{Kind, policy_name};
use crate::rules::maker::Maker;
use crate::settings::{PressureSettings, Settings, SharedPolicies, Switch, on};
use crate::source::At;

/// Policies in the making, and whom they belong to.
pub(super) struct Chain<'m, 'r, 's> {
    pub(super) maker: &'m mut Maker<'r>,
    pub(super) settings: &'s Settings,
    pub(super) id: &'s str,
    /// The name of policies that are given none.
    pub(super) name: Option<&'static str>,
    pub(super) uses: Vec<&'s str>,
    pub(super) policies: Vec<Managed>,
    pub(super) pressures: &'m mut Vec<(PressureSettings, Managed)>,
}

impl Chain<'_, '_, '_> {
    /// A policy that belongs to this route or upstream alone.
    pub(super) fn own<K: Kind>(&mut self, own: Option<&At<Switch<K>>>) -> Made<()> {
        if let Some(own) = on(own) {
            let id = format!("{}/{}", self.id, K::NAME);
            let name = self.name.unwrap_or(default_name::<K>());
            self.policies.push(self.maker.policy(id, name, own)?);
        }
        Ok(())
    }

    /// It looks at the process, and so is the same wherever its settings are. It is known by the
    /// first place that has them, which is the defaults unless a route says something else.
    pub(super) fn pressure(&mut self, own: Option<&At<Switch<PressureSettings>>>) -> Made<()> {
        let Some(own) = on(own) else { return Ok(()) };
        let mut known = self.pressures.iter();
        if let Some((_, policy)) = known.find(|(settings, _)| settings == own) {
            self.policies.push(policy.clone());
            return Ok(());
        }
        let id = format!("{}/pressure", self.id);
        let policy = self.maker.policy(id, "pressure", own)?;
        self.pressures.push((own.clone(), policy.clone()));
        self.policies.push(policy);
        Ok(())
    }

    /// The shared ones of a kind that apply, and then its own.
    pub(super) fn shared<K: Kind>(
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

    pub(super) fn finish(self) -> Policies {
        Policies::new(self.policies)
    }
}

pub(super) fn uses(names: Option<&At<Vec<At<String>>>>) -> Vec<&str> {
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
