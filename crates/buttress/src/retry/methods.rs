use super::rules::Rules;
use std::collections::HashMap;

/// Rules for each method of gRPC, as a service config has them.
#[derive(Clone, Debug)]
pub(crate) struct Methods<T = Rules> {
    rules: Vec<T>,
    /// By `service/method`, by `service/`, and by nothing, which is the default of all. Some
    /// methods are named in order to have no rules.
    names: HashMap<Box<str>, Option<usize>>,
}

impl<T> Default for Methods<T> {
    fn default() -> Self {
        Self {
            rules: Vec::new(),
            names: HashMap::new(),
        }
    }
}

impl<T> Methods<T> {
    /// Adds names that share rules, or that have none.
    #[cfg(feature = "service-config")]
    pub(crate) fn add(&mut self, names: impl Iterator<Item = Box<str>>, rules: Option<T>) {
        let index = rules.map(|rules| {
            self.rules.push(rules);
            self.rules.len() - 1
        });
        self.names.extend(names.map(|name| (name, index)));
    }

    /// Which rules a method has: its own, or else its service's, or else everybody's.
    pub(crate) fn find(&self, method: &str) -> Option<usize> {
        let service = method.rfind('/').map(|slash| &method[..=slash]);
        let found = self
            .names
            .get(method)
            .or_else(|| self.names.get(service?))
            .or_else(|| self.names.get(""));
        found.copied().flatten()
    }

    pub(crate) fn rules(&self, index: usize) -> Option<&T> {
        self.rules.get(index)
    }
}
