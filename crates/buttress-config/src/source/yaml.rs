//! YAML, by the events of the crate `saphyr-parser`.

use super::{At, DEEPEST, Node, Span, Table};
use crate::problem::Reporter;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Tag};
use std::borrow::Cow;
use std::collections::HashSet;

/// Reads the text, and reports what is wrong with its syntax: the first mistake, since nothing
/// behind that can be relied on, and everything before it that is not used here.
pub(crate) fn parse(text: &str, report: &mut Reporter) -> At<Node> {
    let offsets = Offsets::of(text);
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = match event {
            Ok((event, span)) => (event, offsets.span(span.start, span.end)),
            Err(error) => {
                let at = offsets.byte(*error.marker());
                report.error(Span::new(at, at), error.info());
                break;
            }
        };
        if tree.take(event, span, report).is_err() {
            break;
        }
    }
    tree.root.unwrap_or_else(|| At::new(Node::Null))
}

/// The bytes at which characters begin; the parser counts these.
enum Offsets {
    Same,
    Each(Vec<u32>),
}

impl Offsets {
    fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self::Same;
        }
        // Files are at most 4 MiB long.
        Self::Each(text.char_indices().map(|(at, _)| at as u32).collect())
    }

    fn byte(&self, marker: Marker) -> usize {
        match self {
            Self::Same => marker.index(),
            Self::Each(offsets) => {
                let byte = offsets.get(marker.index()).copied();
                byte.map_or(usize::MAX, |byte| byte as usize)
            }
        }
    }

    fn span(&self, start: Marker, end: Marker) -> Span {
        Span::new(self.byte(start), self.byte(end))
    }
}

/// The tree in the making.
#[derive(Default)]
struct Tree {
    root: Option<At<Node>>,
    /// What has begun and not ended yet, from the outside to the inside.
    open: Vec<Open>,
}

enum Open {
    List(Vec<At<Node>>, Span),
    Table {
        fields: Table,
        /// The names so far, to find those that are there twice.
        names: HashSet<String>,
        next: Next,
        span: Span,
    },
}

/// What comes next in a table.
enum Next {
    Name,
    /// The value of this name.
    Value(At<String>),
    /// The value of a name that was refused.
    Nothing,
}

/// Reading cannot go on.
struct Stop;

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span, report: &mut Reporter) -> Result<(), Stop> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                refuse_anchor(anchor, span, report);
                let node = scalar(&text, style, tag.as_ref(), span, report);
                self.add(At::at(node, span), report);
            }
            Event::SequenceStart(anchor, _) => {
                refuse_anchor(anchor, span, report);
                self.begin(Open::List(Vec::new(), span), span, report)?;
            }
            Event::MappingStart(anchor, _) => {
                refuse_anchor(anchor, span, report);
                let table = Open::Table {
                    fields: Table::default(),
                    names: HashSet::new(),
                    next: Next::Name,
                    span,
                };
                self.begin(table, span, report)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let node = match self.open.pop() {
                    Some(Open::List(items, start)) => {
                        At::at(Node::Array(items), Span::new(start.start(), span.end()))
                    }
                    Some(Open::Table {
                        fields,
                        span: start,
                        ..
                    }) => At::at(Node::Table(fields), Span::new(start.start(), span.end())),
                    None => return Err(Stop),
                };
                self.add(node, report);
            }
            Event::Alias(_) => {
                report
                    .error(span, "is an alias, by which a short file could be endless")
                    .must_be("written out");
                self.add(At::at(Node::Null, span), report);
            }
            Event::DocumentStart(_) if self.root.is_some() => {
                report.error(span, "begins a second document, and a file has one");
                return Err(Stop);
            }
            Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::StreamStart
            | Event::StreamEnd
            | Event::Nothing => {}
        }
        Ok(())
    }

    fn begin(&mut self, open: Open, span: Span, report: &mut Reporter) -> Result<(), Stop> {
        if self.open.len() >= DEEPEST {
            report.too_deep(span);
            return Err(Stop);
        }
        self.open.push(open);
        Ok(())
    }

    fn add(&mut self, node: At<Node>, report: &mut Reporter) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(items, _)) => items.push(node),
            Some(Open::Table {
                fields,
                names,
                next,
                ..
            }) => match std::mem::replace(next, Next::Name) {
                Next::Value(name) => fields.push(name, node),
                Next::Nothing => {}
                Next::Name => {
                    let name = name_of(&node, names, report);
                    *next = name.map_or(Next::Nothing, Next::Value);
                }
            },
        }
    }
}

/// The name that a key is, unless it is none or was there before.
fn name_of(
    node: &At<Node>,
    names: &mut HashSet<String>,
    report: &mut Reporter,
) -> Option<At<String>> {
    let name = match &**node {
        Node::Text(name) => name.clone(),
        Node::Integer(_) | Node::Float(_) | Node::Bool(_) => node.to_string(),
        _ => {
            report.unfit(node, "a name");
            return None;
        }
    };
    if !names.insert(name.clone()) {
        report.error(node.span(), format!("is {name:?}, which is there twice"));
        return None;
    }
    Some(At::at(name, node.span()))
}

fn refuse_anchor(anchor: usize, span: Span, report: &mut Reporter) {
    if anchor != 0 {
        report
            .error(span, "has an anchor, and there are no aliases here")
            .must_be("without");
    }
}

fn scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Cow<'_, Tag>>,
    span: Span,
    report: &mut Reporter,
) -> Node {
    match tag {
        None => {}
        Some(tag) if tag.is_yaml_core_schema() && tag.suffix == "str" => {
            return Node::Text(text.to_owned());
        }
        Some(tag) => {
            let what = format!("has the tag {tag}, which nothing here needs");
            report.error(span, what);
        }
    }
    if style != ScalarStyle::Plain {
        return Node::Text(text.to_owned());
    }
    plain(text)
}

/// What YAML 1.2's core schema makes of a scalar without quotes.
fn plain(text: &str) -> Node {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Node::Null,
        "true" | "True" | "TRUE" => return Node::Bool(true),
        "false" | "False" | "FALSE" => return Node::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let radix = match digits.get(..2) {
        Some("0x") => Some(16),
        Some("0o") => Some(8),
        _ => None,
    };
    // These have no sign, neither in front nor behind.
    if let Some(radix) = radix {
        let unsigned = text.get(2..).filter(|_| digits == text);
        let unsigned = unsigned.filter(|digits| !digits.starts_with(['+', '-']));
        let number = unsigned.and_then(|digits| i64::from_str_radix(digits, radix).ok());
        return number.map_or_else(|| Node::Text(text.to_owned()), Node::Integer);
    }
    if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Node::Text(text.to_owned());
    }
    if let Ok(number) = text.parse() {
        return Node::Integer(number);
    }
    let decimal = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
    match text.parse() {
        Ok(number) if digits.chars().all(decimal) => Node::Float(number),
        _ => Node::Text(text.to_owned()),
    }
}
