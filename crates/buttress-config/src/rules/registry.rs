use super::kinds::Kind;
use crate::policy::{AnyOf, Barred, Managed};
use crate::upstream::AnyRepeats;
use buttress::coalesce::SameRequest;
use buttress::{Coalesce, Hedge, Retry, SettingError, Shadow, StaleIfError};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything with a state that the rules have made, by what it is for, with the settings that it
/// was made by. It is what lets state survive a reload.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    entries: BTreeMap<String, Entry>,
}

/// Settings, of whatever kind.
pub(super) type Made = dyn Any + Send + Sync;

#[derive(Clone)]
struct Entry {
    settings: Arc<Made>,
    /// What the file said the last time.
    shadow: bool,
    handle: Handle,
}

/// Something with a state.
#[derive(Clone, Debug)]
pub(crate) enum Handle {
    Policy(&'static str, Managed),
    Retry(Retry<AnyRepeats>),
    Hedge(Hedge<AnyRepeats>),
    Coalesce(Coalesce<SameRequest>),
    Stale(StaleIfError),
}

impl Registry {
    /// What is known by that name.
    pub(crate) fn get(&self, id: &str) -> Option<&Handle> {
        self.entries.get(id).map(|entry| &entry.handle)
    }

    /// All, each with the settings that it was made by.
    pub(super) fn with_settings(&self) -> impl Iterator<Item = (&str, &Handle, &Made)> {
        let entries = self.entries.iter();
        entries.map(|(id, entry)| (id.as_str(), &entry.handle, &*entry.settings))
    }

    /// All, in the order of their names.
    #[cfg(feature = "admin")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Handle)> {
        let entries = self.entries.iter();
        entries.map(|(id, entry)| (id.as_str(), &entry.handle))
    }

    /// Takes over all that was known by names which begin so.
    pub(super) fn keep(&mut self, before: &Self, beginning: &str) {
        let known = before.entries.range(beginning.to_owned()..);
        for (id, entry) in known.take_while(|(id, _)| id.starts_with(beginning)) {
            self.entries.insert(id.clone(), entry.clone());
        }
    }
}

/// A registry in the making. What is the same as before is taken over.
pub(super) struct Maker<'a> {
    before: &'a Registry,
    made: Registry,
    /// What changes policies that are in use: done when all else is well.
    changes: Vec<Box<dyn FnOnce()>>,
}

impl<'a> Maker<'a> {
    pub(super) fn new(before: &'a Registry) -> Self {
        Self {
            before,
            made: Registry::default(),
            changes: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> (Registry, Vec<Box<dyn FnOnce()>>) {
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
            Some((_, policy, old)) => {
                if let Some(change) = enforced.adapt(old, policy.policy().policy()) {
                    self.changes.push(change);
                    policy.clone()
                } else {
                    let next = make(&enforced, name)?;
                    carry_over(&next, policy);
                    self.switch(&next, policy.is_enforced());
                    next
                }
            }
            None => make(&enforced, name)?,
        };
        // A switch by hand stays, until the file says something new.
        if known.is_none_or(|(entry, ..)| entry.shadow != settings.shadow()) {
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

    /// The same for what is no policy.
    pub(super) fn other<K, H>(
        &mut self,
        id: String,
        settings: &K,
        known: impl FnOnce(&Handle) -> Option<H>,
        make: impl FnOnce() -> Result<H, SettingError>,
        handle: impl FnOnce(H) -> Handle,
    ) -> Result<H, SettingError>
    where
        K: Clone + PartialEq + Send + Sync + 'static,
        H: Clone,
    {
        let before = self.before.entries.get(&id);
        let same = before.filter(|entry| entry.settings.downcast_ref::<K>() == Some(settings));
        let made = match same.and_then(|entry| known(&entry.handle)) {
            Some(known) => known,
            None => make()?,
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

fn make<K: Kind>(settings: &K, name: &'static str) -> Result<Managed, SettingError> {
    let policy = settings.make(name)?;
    Ok(Shadow::new(match settings.priority() {
        Some(priority) => Barred::Prioritized(priority.builder(policy).build()?),
        None => Barred::Plain(policy),
    }))
}

/// What new settings don't make less true: a callee that is being left alone is left alone.
fn carry_over(next: &Managed, before: &Managed) {
    let (next, before) = (next.policy().policy(), before.policy().policy());
    if let (AnyOf::Breaker(next), AnyOf::Breaker(before)) = (next, before) {
        next.take_over(before);
    }
}
