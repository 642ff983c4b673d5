//! Settings as text.

use super::setting::Setting;
use super::{RouteSettings, ServerPolicies, Settings, UpstreamSettings};
use serde_json::{Map, Value};
use std::fmt::Write;

impl Settings {
    /// As JSON, in the shape of a file. Reading it gives the same settings.
    pub fn to_json(&self) -> Value {
        self.show()
    }

    /// As TOML. Reading it gives the same settings.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        if let Value::Object(fields) = self.show() {
            table(&mut text, &mut Vec::new(), &fields);
        }
        text
    }
}

macro_rules! shown {
    ($($type:ty),+) => {$(
        impl $type {
            /// As JSON, in the shape of a file.
            pub fn to_json(&self) -> Value {
                self.show()
            }
        }
    )+};
}

shown!(RouteSettings, ServerPolicies, UpstreamSettings);

/// Tables that have a header of their own are no deeper than this; deeper ones are written inline.
const DEEPEST_HEADER: usize = 2;

fn table(text: &mut String, path: &mut Vec<String>, fields: &Map<String, Value>) {
    let mut later = Vec::new();
    for (name, value) in fields {
        let below = path.len() < DEEPEST_HEADER;
        match value {
            Value::Object(fields) if below => later.push((name, vec![fields], false)),
            Value::Array(items) if below && !items.is_empty() => {
                let tables: Vec<_> = items.iter().filter_map(Value::as_object).collect();
                if tables.len() == items.len() {
                    later.push((name, tables, true));
                } else {
                    _ = writeln!(text, "{} = {}", key(name), inline(value));
                }
            }
            _ => _ = writeln!(text, "{} = {}", key(name), inline(value)),
        }
    }
    for (name, tables, repeated) in later {
        path.push(key(name));
        for fields in tables {
            let header = path.join(".");
            _ = if repeated {
                writeln!(text, "\n[[{header}]]")
            } else {
                writeln!(text, "\n[{header}]")
            };
            table(text, path, fields);
        }
        path.pop();
    }
}

/// A value on one line of TOML.
pub(crate) fn inline(value: &Value) -> String {
    match value {
        Value::Null => "{}".to_owned(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => quoted(text),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) if fields.is_empty() => "{}".to_owned(),
        Value::Object(fields) => {
            let fields = fields.iter();
            let fields: Vec<_> = fields
                .map(|(name, value)| format!("{} = {}", key(name), inline(value)))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
    }
}

fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !name.is_empty() && name.chars().all(bare) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

/// JSON's escapes are TOML's, but TOML wants one more.
fn quoted(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
