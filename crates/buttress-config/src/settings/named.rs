//! Things that a file gives names to.

use super::setting::{Definitions, Setting};
use crate::problem::Reporter;
use crate::source::{At, Node};
use hashbrown::HashMap;
use serde_json::{Map, Value, json};

/// Things with names of the file's own, in the file's order.
#[derive(Clone, Debug)]
pub struct Named<T> {
    entries: Vec<(At<String>, At<T>)>,
    /// Where each name stands: what goes through all of them asks for each.
    places: HashMap<Box<str>, usize>,
}

impl<T> Named<T> {
    /// None.
    pub fn new() -> Self {
        Self {
            entries: Vec::new(),
            places: HashMap::new(),
        }
    }

    /// The one of that name. It takes as long with ten as with ten thousand.
    pub fn get(&self, name: &str) -> Option<&At<T>> {
        let entry = self.entries.get(*self.places.get(name)?);
        entry.map(|(_, value)| value)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (&At<String>, &At<T>)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Of two with the same name, which is a problem of its own, the first is found.
    fn push(&mut self, name: At<String>, value: At<T>) {
        let place = self.entries.len();
        self.places.entry(name.as_str().into()).or_insert(place);
        self.entries.push((name, value));
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where names stand follows from the entries.
impl<T: PartialEq> PartialEq for Named<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<T: Setting> Setting for Named<T> {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let Node::Table(table) = &**node else {
            report.unfit(node, "a table");
            return None;
        };
        let mut named = Self::new();
        for (name, node) in table.iter() {
            let value = report.field(name, |report| T::read(node, report));
            if let Some(value) = value {
                named.push(name.clone(), At::at(value, node.span()));
            }
        }
        // Without those that cannot be read, which were reported: more may be wrong with the rest.
        Some(named)
    }

    fn schema(definitions: &mut Definitions) -> Value {
        json!({ "type": "object", "additionalProperties": T::schema(definitions) })
    }

    fn show(&self) -> Value {
        let entries = self.iter();
        let entries = entries.map(|(name, value)| ((**name).clone(), value.show()));
        Value::Object(entries.collect::<Map<_, _>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_with_a_name_the_first_is_found_and_all_keep_their_order() {
        let mut named = Named::new();
        for (value, name) in ["b", "a", "b", "c"].into_iter().enumerate() {
            named.push(At::new(name.to_owned()), At::new(value));
        }
        let found = ["a", "b", "c", "d"].map(|name| named.get(name).map(|value| **value));
        assert_eq!(found, [Some(1), Some(0), Some(3), None]);
        assert_eq!(named.names().collect::<Vec<_>>(), ["b", "a", "b", "c"]);
        assert_eq!(named.len(), 4);
    }
}
