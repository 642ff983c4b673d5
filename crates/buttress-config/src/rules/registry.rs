//! What the rules have made, and with what settings.

use crate::policy::Managed;
use crate::upstream::{AnyRepeats, Upstream};
use buttress::coalesce::SameRequest;
use buttress::{Coalesce, Hedge, Retry, StaleIfError};
use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Everything with a state that the rules have made, by what it is for, with the settings that it
/// was made by. It is what lets state survive a reload.
#[derive(Clone, Default)]
pub(crate) struct Registry {
    pub(super) entries: BTreeMap<String, Entry>,
}

/// Settings, of whatever kind.
pub(super) type Made = dyn Any + Send + Sync;

#[derive(Clone)]
pub(super) struct Entry {
    pub(super) settings: Arc<Made>,
    /// What the file said the last time.
    pub(super) shadow: bool,
    pub(super) handle: Handle,
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
        self.with_settings().map(|(id, handle, _)| (id, handle))
    }

    /// Takes over all that an upstream has, and the shared policies that it used.
    pub(super) fn keep(&mut self, before: &Self, name: &str, upstream: &Upstream) {
        let own = format!("upstream.{name}/");
        for (id, entry) in before.beginning_with(&own) {
            // Or it is another upstream's, whose name begins in the same way.
            if !id[own.len()..].contains('/') {
                self.entries.insert(id.clone(), entry.clone());
            }
        }
        for (id, entry) in before.beginning_with("policy.") {
            if let Handle::Policy(_, policy) = &entry.handle
                && !self.entries.contains_key(id)
                && upstream.policies.come_to(policy)
            {
                self.entries.insert(id.clone(), entry.clone());
            }
        }
    }

    fn beginning_with(&self, beginning: &str) -> impl Iterator<Item = (&String, &Entry)> {
        let known = self.entries.range(beginning.to_owned()..);
        known.take_while(move |(id, _)| id.starts_with(beginning))
    }
}
