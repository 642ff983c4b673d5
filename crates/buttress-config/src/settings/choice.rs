//! What the choices have in common.

use super::setting::{Definitions, Setting, may_be_empty, prose};
use crate::problem::{Reporter, nearest};
use crate::source::{At, Node};
use serde_json::{Value, json};

/// What stands beside the name of a choice.
pub(crate) enum Content {
    /// Nothing: the name is all.
    None(At<Node>),
    /// The text behind the colon.
    Text(At<Node>),
    /// The value of the table's one field.
    Field(&'static str, At<Node>),
}

/// Which of `names` it is.
pub(crate) fn chosen(
    node: &At<Node>,
    names: &[&'static str],
    report: &mut Reporter,
) -> Option<(&'static str, Content)> {
    let known = |name: &str| names.iter().copied().find(|known| *known == name);
    let (given, found) = match &**node {
        Node::Text(text) => match text.split_once(':') {
            None => (
                Some(text),
                known(text).map(|name| (name, Content::None(node.clone()))),
            ),
            Some((first, rest)) => {
                let rest = At::at(Node::Text(rest.trim().to_owned()), node.span());
                (
                    Some(text),
                    known(first.trim()).map(|name| (name, Content::Text(rest))),
                )
            }
        },
        Node::Table(table) => match table.iter().next() {
            Some((key, value)) if table.len() == 1 => {
                let found = known(key).map(|name| (name, Content::Field(name, value.clone())));
                (Some(&**key), found)
            }
            _ => (None, None),
        },
        _ => (None, None),
    };
    if found.is_none() {
        let allowed = format!("one of {}", listed(names));
        let meant = given.and_then(|given| {
            let (name, rest) = given
                .split_once(':')
                .map_or((&**given, None), |(name, rest)| (name, Some(rest)));
            let meant = nearest(name, names)?;
            Some(rest.map_or_else(|| meant.to_owned(), |rest| format!("{meant}:{rest}")))
        });
        report.unfit(node, allowed).meant(meant);
    }
    found
}

/// Whether a choice without settings was given none.
pub(crate) fn nothing_more(content: &Content, report: &mut Reporter) -> bool {
    let node = match content {
        Content::None(_) => return true,
        Content::Text(node) | Content::Field(_, node) => node,
    };
    if let (Content::Field(..), Node::Bool(true) | Node::Null) = (content, &**node) {
        return true;
    }
    report
        .error(node.span(), "has no settings")
        .must_be("just the name");
    false
}

/// The settings of a choice that has some.
pub(crate) fn content<T: Setting>(content: &Content, report: &mut Reporter) -> Option<T> {
    match content {
        Content::None(node) => T::read_wanted(node, report),
        Content::Text(node) => T::read(node, report),
        Content::Field(name, node) => report.field(name, |report| T::read(node, report)),
    }
}

/// A choice's schema: its name, or a table with its settings, or both in one text.
pub(crate) fn describe(
    name: &str,
    docs: &[&str],
    settings: Option<Value>,
    definitions: &Definitions,
) -> Vec<Value> {
    let description = prose(docs);
    let alone = settings
        .as_ref()
        .is_none_or(|settings| may_be_empty(settings, definitions));
    let alone = alone.then(|| json!({ "const": name, "description": description }));
    let mut forms: Vec<_> = alone.into_iter().collect();
    if let Some(settings) = settings {
        if may_be_text(&settings, definitions) {
            let pattern = format!("^{name}:.");
            forms.push(json!({ "type": "string", "pattern": pattern, "description": description }));
        }
        forms.push(json!({
            "type": "object",
            "description": description,
            "properties": { name: settings },
            "required": [name],
            "additionalProperties": false,
        }));
    }
    forms
}

fn may_be_text(schema: &Value, definitions: &Definitions) -> bool {
    let name = schema.get("$ref").and_then(Value::as_str);
    let name = name.and_then(|name| name.strip_prefix("#/definitions/"));
    if let Some(definition) = name.and_then(|name| definitions.get(name)) {
        return may_be_text(definition, definitions);
    }
    let forms = schema.get("anyOf").and_then(Value::as_array);
    schema.get("type").is_some_and(|kind| kind == "string")
        || forms.is_some_and(|forms| forms.iter().any(|form| may_be_text(form, definitions)))
}

pub(crate) fn schema(variants: &[Vec<Value>]) -> Value {
    json!({ "anyOf": variants.concat() })
}

fn listed(names: &[&str]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    names.join(", ")
}
