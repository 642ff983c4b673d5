use super::Registry;
use crate::source::Document;
use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

/// What was read and made the last time that it was any good. Who looks at it waits for nobody.
pub(super) struct InForce {
    pub(super) document: Document,
    pub(super) registry: Registry,
}

/// What reloads and those who ask for layers have in common. It is locked for moments only.
pub(super) struct State {
    /// What was read the last time, whether or not it could be used.
    pub(super) text: Option<String>,
    /// The upstreams of which somebody may still have a layer.
    layers: BTreeMap<Box<str>, Weak<str>>,
}

impl State {
    pub(super) fn new(text: Option<String>) -> Self {
        let layers = BTreeMap::new();
        Self { text, layers }
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
