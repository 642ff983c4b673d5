//! Making what the rules need, of what there was before wherever that can stay.

use super::kinds::Kind;
use super::registry::{Entry, Handle, Registry};
use crate::policy::{AnyPolicy, Barred, Change, Managed, Successor};
use buttress::{SettingError, Shadow};
use std::sync::Arc;

/// A registry in the making. What is the same as before is taken over.
pub(super) struct Maker<'a> {
    before: &'a Registry,
    made: Registry,
    /// What changes policies that are in use: done when all else is well.
    changes: Vec<Change>,
    /// Policies of the process at places that are new, with those that were the same in all elsewhere.
    moved: Vec<Moved<'a>>,
}

struct Moved<'a> {
    policy: Managed,
    alike: Vec<(&'a str, &'a Managed)>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(before: &'a Registry) -> Self {
        Self {
            before,
            made: Registry::default(),
            changes: Vec::new(),
            moved: Vec::new(),
        }
    }

    pub(super) fn finish(mut self) -> (Registry, Vec<Change>) {
        // Where one has left its place for another, a switch by hand comes along. A place that is
        // added has been switched by nobody.
        for Moved { policy, alike } in std::mem::take(&mut self.moved) {
            let left = |(id, _): &(&str, &Managed)| !self.made.entries.contains_key(*id);
            if let Some((_, known)) = alike.into_iter().find(left) {
                self.switch(&policy, known.is_enforced());
            }
        }
        (self.made, self.changes)
    }

    /// The policy that is known by `id`: the one that there was before if it can stay.
    pub(super) fn policy<K: Kind>(
        &mut self,
        id: String,
        name: &'static str,
        settings: &K,
    ) -> Result<Managed, SettingError> {
        if let Some(Handle::Policy(_, policy)) = self.made.get(&id) {
            return Ok(policy.clone());
        }
        let enforced = settings.enforced();
        let before = self.before.entries.get(&id);
        let known = before.and_then(|entry| match &entry.handle {
            Handle::Policy(_, policy) => Some((entry, policy, entry.settings.downcast_ref::<K>()?)),
            _ => None,
        });
        let policy = match known {
            Some((_, policy, old)) if *old == enforced => policy.clone(),
            Some((_, policy, old)) => self.successor(&enforced, old, policy, name)?,
            None => self.first(&enforced, settings.shadow(), name)?,
        };
        // A switch by hand stays, until the file says something new.
        if known.is_some_and(|(entry, ..)| entry.shadow != settings.shadow()) {
            self.switch(&policy, !settings.shadow());
        }
        let entry = Entry {
            settings: Arc::new(enforced),
            shadow: settings.shadow(),
            handle: Handle::Policy(K::NAME, policy.clone()),
        };
        self.made.entries.insert(id, entry);
        Ok(policy)
    }

    /// The first policy of its name.
    fn first<K: Kind>(
        &mut self,
        settings: &K,
        shadow: bool,
        name: &'static str,
    ) -> Result<Managed, SettingError> {
        let elsewhere = self.elsewhere(settings);
        // Of several that look at the process in the same way, the one that was the same in all.
        let known = elsewhere
            .iter()
            .min_by_key(|(_, entry, is_same, _)| (!is_same, entry.shadow != shadow));
        let policy = known.map(|(.., known)| known.policy().policy().clone());
        let policy = barred(settings, policy.map_or_else(|| settings.make(name), Ok)?)?;
        self.switch(&policy, !shadow);
        let alike = elsewhere
            .into_iter()
            .filter(|(_, entry, is_same, _)| *is_same && entry.shadow == shadow)
            .map(|(id, .., known)| (id, known))
            .collect();
        self.moved.push(Moved {
            policy: policy.clone(),
            alike,
        });
        Ok(policy)
    }

    /// The policies of the process that were known by other names, since their bar or their shadow was
    /// part of those, or since the first place that has them is another one now; each with whether its
    /// bar is the same, too.
    fn elsewhere<K: Kind>(&self, settings: &K) -> Vec<(&'a str, &'a Entry, bool, &'a Managed)> {
        if !K::OF_THE_PROCESS {
            return Vec::new();
        }
        let wanted = settings.without_priority();
        let known = self.before.entries.iter().filter_map(|(id, entry)| {
            let known = entry.settings.downcast_ref::<K>()?;
            match &entry.handle {
                Handle::Policy(_, policy) if known.without_priority() == wanted => {
                    Some((id.as_str(), entry, known == settings, policy))
                }
                _ => None,
            }
        });
        known.collect()
    }

    /// What takes the place of a policy whose settings changed: of it, and of the bar in front of it.
    fn successor<K: Kind>(
        &mut self,
        settings: &K,
        before: &K,
        managed: &Managed,
        name: &'static str,
    ) -> Result<Managed, SettingError> {
        let policy = managed.policy().policy();
        let mut after = None;
        let next = if settings.without_priority() == before.without_priority() {
            policy.clone()
        } else {
            match settings.successor(before, policy, name)? {
                Successor::Same(change) if settings.priority() == before.priority() => {
                    self.changes.push(change);
                    return Ok(managed.clone());
                }
                Successor::Same(change) => {
                    self.changes.push(change);
                    policy.clone()
                }
                Successor::Other(next, carry) => {
                    self.changes.extend(carry.before);
                    after = carry.after;
                    next
                }
            }
        };
        let next = barred(settings, next)?;
        self.switch(&next, managed.is_enforced());
        // Calls of before may come to it yet.
        let (before, then) = (managed.clone(), next.clone());
        self.changes
            .push(Box::new(move || before.policy().give_way_to(&then)));
        self.changes.extend(after);
        Ok(next)
    }

    /// The same for what is no policy. What there was before is shown to `make`, with the settings that
    /// it was made by.
    pub(super) fn other<K, H>(
        &mut self,
        id: String,
        settings: &K,
        known: impl FnOnce(&Handle) -> Option<H>,
        make: impl FnOnce(Option<(&K, &H)>) -> Result<H, SettingError>,
        handle: impl FnOnce(H) -> Handle,
    ) -> Result<H, SettingError>
    where
        K: Clone + PartialEq + Send + Sync + 'static,
        H: Clone,
    {
        let before = self.before.entries.get(&id);
        let before = before
            .and_then(|entry| Some((entry.settings.downcast_ref::<K>()?, known(&entry.handle)?)));
        let made = match &before {
            Some((same, known)) if *same == settings => known.clone(),
            before => make(before.as_ref().map(|(settings, known)| (*settings, known)))?,
        };
        let entry = Entry {
            settings: Arc::new(settings.clone()),
            shadow: false,
            handle: handle(made.clone()),
        };
        self.made.entries.insert(id, entry);
        Ok(made)
    }

    fn switch(&mut self, policy: &Managed, enforced: bool) {
        let policy = policy.clone();
        self.changes.push(Box::new(move || {
            if enforced {
                policy.enforce();
            } else {
                policy.observe();
            }
        }));
    }
}

fn barred<K: Kind>(settings: &K, policy: AnyPolicy) -> Result<Managed, SettingError> {
    Ok(Shadow::new(match settings.priority() {
        Some(priority) => Barred::prioritized(priority.builder(policy).build()?),
        None => Barred::plain(policy),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AnyOf;
    use crate::settings::{PressureSettings, PrioritySettings, Switch};
    use crate::source::At;
    use buttress::shed::Reading;
    use buttress::{Now, Policy, Pressure};
    use http::Request;

    /// One whose process uses as much as no other.
    async fn busy() -> AnyPolicy {
        let reading = |_| Reading {
            cpu: Some(0.125),
            memory: None,
        };
        let pressure = Pressure::builder().source(reading).build().unwrap();
        let now = Now::at(tokio::time::Instant::now().into_std());
        let _ = pressure.admit(&Request::new(()), &now);
        tokio::task::yield_now().await;
        AnyOf::Pressure(pressure)
    }

    fn cpu(policy: &Managed) -> Option<f64> {
        match policy.policy().policy() {
            AnyOf::Pressure(pressure) => pressure.reading().cpu,
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_of_the_process_stays_the_same_when_only_its_bar_or_its_shadow_changes() {
        let plain = PressureSettings::default();
        let mut before = Registry::default();
        let known = barred(&plain, busy().await).unwrap();
        known.enforce();
        let entry = Entry {
            settings: Arc::new(plain.clone()),
            shadow: false,
            handle: Handle::Policy("pressure", known.clone()),
        };
        before.entries.insert("process/pressure".into(), entry);
        let prioritized = PressureSettings {
            priority: Some(At::new(Switch::On(PrioritySettings::default()))),
            ..plain.clone()
        };
        let shadow = PressureSettings {
            shadow: Some(At::new(true)),
            ..plain.clone()
        };
        let mut maker = Maker::new(&before);
        let mut made = |id: &str, settings| maker.policy(id.into(), "pressure", settings).unwrap();
        let with_bar = made("with a bar", &prioritized);
        let in_shadow = made("in shadow", &shadow);
        let other = PressureSettings {
            seed: Some(At::new(1)),
            ..plain
        };
        let other = made("other", &other);
        maker.finish().1.into_iter().for_each(|change| change());
        assert_eq!(cpu(&with_bar), Some(0.125));
        assert!(with_bar.policy().height().is_some());
        assert_eq!(cpu(&in_shadow), Some(0.125));
        assert!(!in_shadow.is_enforced() && with_bar.is_enforced() && known.is_enforced());
        assert_eq!(cpu(&other), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_of_the_process_stays_in_shadow_by_hand_where_another_place_has_it_now() {
        let settings = PressureSettings::default();
        let in_shadow = PressureSettings {
            shadow: Some(At::new(true)),
            ..settings.clone()
        };
        let before = Registry::default();
        let mut maker = Maker::new(&before);
        let first = maker.policy("first/pressure".into(), "pressure", &settings);
        let other = maker.policy("other/pressure".into(), "pressure", &in_shadow);
        let (before, changes) = maker.finish();
        for change in changes {
            change();
        }
        // Both by hand, and both otherwise than the file says.
        first.unwrap().observe();
        other.unwrap().enforce();
        let mut maker = Maker::new(&before);
        let next = maker.policy("second/pressure".into(), "pressure", &settings);
        let next_other = maker.policy("another/pressure".into(), "pressure", &in_shadow);
        maker.finish().1.into_iter().for_each(|change| change());
        assert!(!next.unwrap().is_enforced());
        assert!(next_other.unwrap().is_enforced());
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_place_is_in_shadow_by_hand_only_if_the_one_that_was_has_left() {
        let settings = PressureSettings::default();
        let before = Registry::default();
        let mut maker = Maker::new(&before);
        let known = maker.policy("first/pressure".into(), "pressure", &settings);
        let (before, changes) = maker.finish();
        for change in changes {
            change();
        }
        known.unwrap().observe();
        let prioritized = PressureSettings {
            priority: Some(At::new(Switch::On(PrioritySettings::default()))),
            ..settings.clone()
        };
        let mut maker = Maker::new(&before);
        let alike = maker.policy("new/pressure".into(), "pressure", &settings);
        let with_bar = maker.policy("other/pressure".into(), "pressure", &prioritized);
        let first = maker.policy("first/pressure".into(), "pressure", &settings);
        maker.finish().1.into_iter().for_each(|change| change());
        assert!(!first.unwrap().is_enforced());
        assert!(alike.unwrap().is_enforced() && with_bar.unwrap().is_enforced());
    }
}
