use super::Registry;
use crate::problem::Problems;
use crate::source::Document;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// What was read and made the last time that it was any good. Who looks at it waits for nobody.
pub(super) struct InForce {
    pub(super) document: Document,
    pub(super) registry: Registry,
}

/// What there was when somebody looked into the file.
pub(super) enum Found {
    /// This, and whether it could be used.
    Text { text: String, well: bool },
    /// Nothing that could be read.
    Nothing(Problems),
}

impl Found {
    pub(super) fn is(&self, read: &Result<String, Problems>) -> bool {
        match (self, read) {
            (Self::Text { text, .. }, Ok(read)) => text == read,
            (Self::Nothing(problems), Err(found)) => problems == found,
            _ => false,
        }
    }

    /// Whether it is the trouble that there was already.
    pub(super) fn is_trouble(&self, read: &Result<String, Problems>) -> bool {
        !self.is_well() && self.is(read)
    }

    pub(super) const fn is_well(&self) -> bool {
        matches!(self, Self::Text { well: true, .. })
    }
}

/// What reloads and those who ask for layers have in common. It is locked for moments only.
pub(super) struct State {
    /// What was found in the file the last time, if there is one.
    pub(super) found: Option<Found>,
    /// The upstreams of which somebody may still have a layer.
    layers: BTreeMap<Box<str>, Weak<str>>,
}

impl State {
    /// With the text that was put into force.
    pub(super) fn new(text: Option<String>) -> Self {
        Self {
            found: text.map(|text| Found::Text { text, well: true }),
            layers: BTreeMap::new(),
        }
    }

    /// The name that all layers of an upstream share, by which it is known whether there are any.
    pub(super) fn layer(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.layers.get(name).and_then(Weak::upgrade) {
            return known;
        }
        self.layers.retain(|_, layer| layer.strong_count() > 0);
        let layer = Arc::from(name);
        self.layers.insert(name.into(), Arc::downgrade(&layer));
        layer
    }

    pub(super) fn has_layer(&self, name: &str) -> bool {
        let layer = self.layers.get(name);
        layer.is_some_and(|layer| layer.strong_count() > 0)
    }
}
