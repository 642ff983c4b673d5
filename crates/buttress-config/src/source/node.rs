use super::At;
use std::fmt;

/// A value of a file, whatever the file's format.
#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    /// Nothing: `null` in YAML and JSON.
    Null,
    /// A yes or no.
    Bool(bool),
    /// A whole number.
    Integer(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A list.
    Array(Vec<At<Node>>),
    /// Fields with names, in the file's order.
    Table(Table),
}

/// Fields with names, in the file's order. No name is there twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    entries: Vec<(At<String>, At<Node>)>,
}

impl Table {
    /// The field of that name.
    pub fn get(&self, name: &str) -> Option<&At<Node>> {
        let entry = self.entries.iter().find(|(key, _)| **key == name);
        entry.map(|(_, node)| node)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&At<String>, &At<Node>)> {
        self.entries.iter().map(|(key, node)| (key, node))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whoever parses has made sure that the name is new.
    pub(crate) fn push(&mut self, key: At<String>, node: At<Node>) {
        self.entries.push((key, node));
    }
}

impl Node {
    /// What kind of value it is, with its article.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a yes or no",
            Self::Integer(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// How a problem shows it: short, and on one line.
impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Integer(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(text) => {
                let shown: String = text.chars().take(LONGEST_SHOWN).collect();
                let more = if shown.len() < text.len() { "…" } else { "" };
                write!(f, "{:?}", format!("{shown}{more}"))
            }
            Self::Null | Self::Array(_) | Self::Table(_) => f.write_str(self.kind()),
        }
    }
}

const LONGEST_SHOWN: usize = 60;

/// The value as JSON, without the places.
impl From<&Node> for serde_json::Value {
    fn from(node: &Node) -> Self {
        match node {
            Node::Null => Self::Null,
            Node::Bool(value) => Self::Bool(*value),
            Node::Integer(value) => Self::from(*value),
            Node::Float(value) => Self::from(*value),
            Node::Text(text) => Self::String(text.clone()),
            Node::Array(items) => items.iter().map(|item| Self::from(&**item)).collect(),
            Node::Table(table) => {
                let fields = table.iter();
                let fields = fields.map(|(key, node)| ((**key).clone(), Self::from(&**node)));
                Self::Object(fields.collect())
            }
        }
    }
}
