//! Numbers, texts, and lists of them.

use super::setting::{Definitions, Setting, may_be_empty, prose, replace};
use crate::problem::Reporter;
use crate::source::{At, Node, Span};
use serde_json::{Value, json};

macro_rules! whole_numbers {
    ($($type:ty),+) => {$(
        impl Setting for $type {
            fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
                let number = match **node {
                    Node::Integer(number) => number.try_into().ok(),
                    _ => None,
                };
                if number.is_none() {
                    let most = <$type>::MAX;
                    report.unfit(node, format!("a whole number from 0 to {most}"));
                }
                number
            }

            fn schema(_: &mut Definitions) -> Value {
                json!({ "type": "integer", "minimum": 0, "maximum": <$type>::MAX })
            }

            fn show(&self) -> Value {
                Value::from(*self)
            }

            fn stand_in() -> Option<Self> {
                Some(100)
            }

            fn forget(&mut self, path: &str) -> bool {
                replace(self, path)
            }
        }
    )+};
}

whole_numbers!(u8, u16, u32);

/// TOML has no number beyond 2⁶³ − 1.
impl Setting for u64 {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let number = match **node {
            Node::Integer(number) => number.try_into().ok(),
            _ => None,
        };
        if number.is_none() {
            report.unfit(node, format!("a whole number from 0 to {}", i64::MAX));
        }
        number
    }

    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "integer", "minimum": 0, "maximum": i64::MAX })
    }

    fn show(&self) -> Value {
        Value::from(*self)
    }
}

impl Setting for f64 {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let number = match **node {
            Node::Integer(number) => Some(number as f64),
            Node::Float(number) if number.is_finite() => Some(number),
            _ => None,
        };
        if number.is_none() {
            report.unfit(node, "a number");
        }
        number
    }

    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "number" })
    }

    fn show(&self) -> Value {
        Value::from(*self)
    }
}

impl Setting for bool {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        if let Node::Bool(value) = **node {
            return Some(value);
        }
        report.unfit(node, "true or false");
        None
    }

    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "boolean" })
    }

    fn show(&self) -> Value {
        Value::Bool(*self)
    }
}

impl Setting for String {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        if let Node::Text(text) = &**node {
            return Some(text.clone());
        }
        report.unfit(node, "text");
        None
    }

    fn schema(_: &mut Definitions) -> Value {
        json!({ "type": "string" })
    }

    fn show(&self) -> Value {
        Value::from(self.as_str())
    }
}

/// A list. A single item may stand without brackets.
impl<T: Setting> Setting for Vec<At<T>> {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let Node::Array(nodes) = &**node else {
            let item = T::read(node, report)?;
            return Some(vec![At::at(item, node.span())]);
        };
        let list = node.span();
        let mut items = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            let item = report.item(index, |report| T::read(node, report));
            if items.len() < index {
                report.renumber(node.span(), index);
            }
            if item.is_none() {
                report.leave_unread(list, "");
            }
            items.extend(item.map(|item| At::at(item, node.span())));
        }
        // Without those that cannot be read, which were reported: more may be wrong with the rest.
        Some(items)
    }

    fn schema(definitions: &mut Definitions) -> Value {
        let item = T::schema(definitions);
        json!({ "anyOf": [{ "type": "array", "items": item }, item] })
    }

    fn show(&self) -> Value {
        self.iter().map(|item| item.show()).collect()
    }
}

/// Something that can be switched off where it would otherwise be there: `false`. `true` switches
/// it on with its defaults.
#[derive(Clone, Debug, PartialEq)]
pub enum Switch<T> {
    /// Not there.
    Off,
    /// There.
    On(T),
}

impl<T> Switch<T> {
    /// What is there.
    pub const fn on(&self) -> Option<&T> {
        match self {
            Self::Off => None,
            Self::On(settings) => Some(settings),
        }
    }
}

/// The settings of a policy, if there is one and it is on.
pub(crate) fn on<T>(policy: Option<&At<Switch<T>>>) -> Option<&T> {
    policy?.on()
}

impl<T: Setting> Setting for Switch<T> {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        match **node {
            Node::Bool(false) => Some(Self::Off),
            Node::Bool(true) => T::read_wanted(node, report).map(Self::On),
            _ => T::read(node, report).map(Self::On),
        }
    }

    fn schema(definitions: &mut Definitions) -> Value {
        let settings = T::schema(definitions);
        let switch = if may_be_empty(&settings, definitions) {
            json!({ "type": "boolean" })
        } else {
            json!({ "const": false })
        };
        json!({ "anyOf": [switch, settings] })
    }

    fn show(&self) -> Value {
        match self.on().map(Setting::show) {
            None => Value::Bool(false),
            Some(Value::Object(fields)) if fields.is_empty() => Value::Bool(true),
            Some(settings) => settings,
        }
    }

    fn find(&self, field: &str) -> Option<(String, Span)> {
        self.on()?.find(field)
    }

    fn forget(&mut self, path: &str) -> bool {
        match self {
            Self::Off => false,
            Self::On(settings) => settings.forget(path),
        }
    }
}

/// Part of a schema for text that has a form.
pub(super) fn text_schema(pattern: &str, docs: &[&str]) -> Value {
    json!({ "type": "string", "pattern": pattern, "description": prose(docs) })
}
