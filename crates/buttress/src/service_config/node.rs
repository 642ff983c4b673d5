//! JSON values that know where they stand.

use super::error::ServiceConfigError;
use serde_json::Value;
use std::fmt;
use std::time::Duration;

/// A value and its place.
pub(super) struct Node<'a> {
    value: &'a Value,
    place: Place<'a>,
}

enum Place<'a> {
    Root,
    Field(&'a Place<'a>, &'static str),
    Item(&'a Place<'a>, usize),
}

type Result<T> = std::result::Result<T, ServiceConfigError>;

impl<'a> Node<'a> {
    pub(super) const fn root(value: &'a Value) -> Self {
        Self {
            value,
            place: Place::Root,
        }
    }

    /// Refuses the value, for what it must be instead.
    pub(super) fn must_be<T>(&self, allowed: impl fmt::Display) -> Result<T> {
        let mut shown = self.value.to_string();
        if let Some((end, _)) = shown.char_indices().nth(60) {
            shown.truncate(end);
            shown.push('…');
        }
        let problem = format!("is {shown}, but must be {allowed}");
        Err(ServiceConfigError::new(&self.place, problem))
    }

    /// Refuses the value, for a reason of its own.
    pub(super) fn refuse<T>(&self, problem: impl fmt::Display) -> Result<T> {
        Err(ServiceConfigError::new(&self.place, problem))
    }

    /// A field of an object; `null` is none.
    pub(super) fn field(&'a self, name: &'static str) -> Result<Option<Node<'a>>> {
        let Value::Object(fields) = self.value else {
            return self.must_be("an object");
        };
        let value = fields.get(name).filter(|value| !value.is_null());
        Ok(value.map(|value| Node {
            value,
            place: Place::Field(&self.place, name),
        }))
    }

    pub(super) fn required(&'a self, name: &'static str) -> Result<Node<'a>> {
        match self.field(name)? {
            Some(node) => Ok(node),
            None => Err(ServiceConfigError::new(
                Place::Field(&self.place, name),
                "is missing",
            )),
        }
    }

    pub(super) fn items(&'a self) -> Result<impl Iterator<Item = Node<'a>>> {
        let Value::Array(items) = self.value else {
            return self.must_be("an array");
        };
        Ok(items.iter().enumerate().map(|(index, value)| Node {
            value,
            place: Place::Item(&self.place, index),
        }))
    }

    pub(super) fn text(&self) -> Result<&'a str> {
        match self.value.as_str() {
            Some(text) => Ok(text),
            None => self.must_be("a string"),
        }
    }

    /// A number, which JSON made from protocol buffers may also write as a string.
    pub(super) fn number(&self) -> Option<f64> {
        let number = match self.value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.filter(|number| number.is_finite())
    }

    /// `"1.5s"`: digits, up to nine decimals, and the unit.
    pub(super) fn duration(&self) -> Option<Duration> {
        let number = self.value.as_str()?.strip_suffix('s')?;
        let (seconds, decimals) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str, most: usize| {
            let fits = (1..=most).contains(&text.len());
            fits && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        // Ten thousand years, as protocol buffers have them.
        if !digits(seconds, 12) || !digits(decimals, 9) {
            return None;
        }
        let nanoseconds: u32 = format!("{decimals:0<9}").parse().ok()?;
        Some(Duration::new(seconds.parse().ok()?, nanoseconds))
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => f.write_str("the service config"),
            Self::Field(Self::Root, name) => f.write_str(name),
            Self::Field(parent, name) => write!(f, "{parent}.{name}"),
            Self::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}
