//! Names that calls, headers and policies have.

use super::scalar::text_schema;
use super::setting::{Definitions, Setting};
use crate::problem::{Reporter, nearest};
use crate::source::{At, Node};
use buttress::Criticality;
use serde_json::{Value, json};

/// The name of a header field. Small and capital letters are the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HeaderName(String);

impl HeaderName {
    /// The name in small letters.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name by which refusals tell a policy: 1 to 64 printable ASCII characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PolicyName(String);

impl PolicyName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for HeaderName {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let name = match &**node {
            Node::Text(name) if is_token(name) => Some(name.to_ascii_lowercase()),
            _ => {
                report.unfit(node, "a header's name such as \"x-tenant\"");
                None
            }
        };
        name.map(Self)
    }

    fn schema(_: &mut Definitions) -> Value {
        text_schema("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$", &["A header's name."])
    }

    fn show(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl Setting for PolicyName {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let printable = |name: &str| name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        match &**node {
            Node::Text(name) if (1..=64).contains(&name.len()) && printable(name) => {
                Some(Self(name.clone()))
            }
            _ => {
                report.unfit(node, "1 to 64 printable ASCII characters");
                None
            }
        }
    }

    fn schema(_: &mut Definitions) -> Value {
        text_schema("^[ -~]{1,64}$", &["The name that refusals carry."])
    }

    fn show(&self) -> Value {
        Value::from(self.as_str())
    }
}

impl Setting for Criticality {
    fn read(node: &At<Node>, report: &mut Reporter) -> Option<Self> {
        let given = match &**node {
            Node::Text(text) => Some(text),
            _ => None,
        };
        let known = given.and_then(|given| Self::parse(given.as_bytes()));
        if known.is_none() {
            let names = Self::ALL.map(Self::name);
            let meant = given.and_then(|given| nearest(given, &names));
            let allowed = "CRITICAL_PLUS, CRITICAL, SHEDDABLE_PLUS or SHEDDABLE";
            report.unfit(node, allowed).meant(meant);
        }
        known
    }

    fn schema(_: &mut Definitions) -> Value {
        let names = Self::ALL.map(Self::name);
        let small = names.map(str::to_ascii_lowercase);
        json!({ "anyOf": [{ "enum": names }, { "enum": small }] })
    }

    fn show(&self) -> Value {
        Value::from(self.name())
    }
}

/// Whether it can be a header field's name, or a method (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.len() <= 256 && text.bytes().all(fits)
}
