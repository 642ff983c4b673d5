//! Which names of policies a file mentions, whether or not what mentions them can be used.
//!
//! That nothing uses a policy is true of what the file says, and not only of what could be read of
//! it: a field that is wrong elsewhere changes nothing about it. Only where it is not known what was
//! meant, a policy may be the one.

use crate::problem::nearest;
use crate::settings::{Fields, ServerPolicies, UpstreamSettings, is_foreign};
use crate::source::{At, Node, Table};
use std::collections::{HashMap, HashSet};

/// The names in a file.
pub(super) struct Mentions<'a> {
    /// Those of the policies, of all that may be meant to be one.
    policies: HashSet<&'a str>,
    /// Where they might be used.
    uses: HashSet<&'a str>,
    /// Whether something that uses policies could not be read at all.
    unknown: bool,
    /// How often each word is there in a text whose syntax is broken.
    words: Option<HashMap<&'a str, usize>>,
}

impl<'a> Mentions<'a> {
    /// Those of the file with this tree. `broken` is its text, if a part of that could not be read.
    pub(super) fn of(root: &'a Node, broken: Option<&'a str>) -> Self {
        let mut mentions = Self {
            policies: HashSet::new(),
            uses: HashSet::new(),
            unknown: false,
            words: broken.map(words),
        };
        let fields = fields(root);
        for (name, node) in fields {
            match name.as_str() {
                "policy" => mentions.name(node),
                "server" => mentions.server(node),
                "upstream" => mentions.stacks(node, UpstreamSettings::names()),
                other if is_table(node) && nearest(other, &["policy"]).is_some() => {
                    mentions.name(node);
                }
                _ => mentions.texts(node),
            }
        }
        mentions
    }

    /// Whether there may be a policy of that name.
    pub(super) fn may_have(&self, name: &str) -> bool {
        self.policies.contains(name) || self.is_elsewhere(name)
    }

    /// Whether the policy of that name may be used, as far as that cannot be said.
    pub(super) fn may_use(&self, name: &str) -> bool {
        self.unknown || self.uses.contains(name) || self.is_elsewhere(name)
    }

    /// Whether a name that is there once may be there again, where the syntax is broken.
    fn is_elsewhere(&self, name: &str) -> bool {
        let words = self.words.as_ref();
        words.is_some_and(|words| words.get(name).is_none_or(|count| *count > 1))
    }

    fn name(&mut self, policies: &'a At<Node>) {
        let names = all(policies).map(|(name, _)| name.as_str());
        self.policies.extend(names);
    }

    fn server(&mut self, server: &'a At<Node>) {
        for (name, node) in fields(server) {
            match (name.as_str(), &**node) {
                ("route", Node::Array(routes)) => {
                    for route in routes {
                        self.stack(route, ServerPolicies::names());
                    }
                }
                ("defaults" | "route", _) => self.stack(node, ServerPolicies::names()),
                _ => self.texts(node),
            }
        }
    }

    fn stacks(&mut self, stacks: &'a At<Node>, known: &[&str]) {
        for (_, stack) in all(stacks) {
            self.stack(stack, known);
        }
    }

    /// A field that there is not may be a misspelt `use`.
    fn stack(&mut self, stack: &'a At<Node>, known: &[&str]) {
        for (name, node) in fields(stack) {
            match name.as_str() {
                "use" => {
                    self.unknown |= !is_list_of_text(node);
                    self.texts(node);
                }
                "match" => {}
                name if known.contains(&name) => {}
                _ => self.texts(node),
            }
        }
    }

    /// All that stands in there.
    fn texts(&mut self, node: &'a Node) {
        match node {
            Node::Text(text) => _ = self.uses.insert(text),
            Node::Array(items) => items.iter().for_each(|item| self.texts(item)),
            Node::Table(table) => {
                for (name, node) in table.iter() {
                    self.uses.insert(name);
                    self.texts(node);
                }
            }
            Node::Null | Node::Bool(_) | Node::Integer(_) | Node::Float(_) => {}
        }
    }
}

/// The fields of a table, without the application's. What is no table has none.
fn fields(node: &Node) -> impl Iterator<Item = (&At<String>, &At<Node>)> {
    all(node).filter(|(name, _)| !is_foreign(name))
}

/// All of them, as where the file gives the names.
fn all(node: &Node) -> impl Iterator<Item = (&At<String>, &At<Node>)> {
    let table = match node {
        Node::Table(table) => Some(table),
        _ => None,
    };
    table.into_iter().flat_map(Table::iter)
}

const fn is_table(node: &Node) -> bool {
    matches!(node, Node::Table(_))
}

fn is_list_of_text(node: &Node) -> bool {
    match node {
        Node::Text(_) | Node::Null => true,
        Node::Array(items) => items.iter().all(|item| matches!(**item, Node::Text(_))),
        _ => false,
    }
}

/// How often each word is there. Names that are none are not found.
fn words(text: &str) -> HashMap<&str, usize> {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut words = HashMap::new();
    for word in text.split(|c| !part(c)) {
        *words.entry(word).or_default() += 1;
    }
    words
}
