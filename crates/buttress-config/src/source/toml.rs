//! TOML, by the crate `toml`.

use super::{At, DEEPEST, Node, Span, Table};
use crate::problem::Reporter;
use toml::Spanned;
use toml::de::{DeFloat, DeInteger, DeTable, DeValue};

/// Reads the text, and reports all that is wrong with its syntax.
pub(crate) fn parse(text: &str, report: &mut Reporter) -> At<Node> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let span = error.span().unwrap_or_default();
        let span = Span::new(span.start, span.end);
        report.error(span, error.message().trim());
    }
    let span = span_of(&root);
    At::at(table(root.into_inner(), 1, report), span)
}

fn span_of<T>(spanned: &Spanned<T>) -> Span {
    let span = spanned.span();
    Span::new(span.start, span.end)
}

fn table(table: DeTable<'_>, depth: usize, report: &mut Reporter) -> Node {
    let mut fields = Table::default();
    for (key, value) in table {
        let key_span = span_of(&key);
        let value = node(value, depth, report);
        fields.push(At::at(key.into_inner().into_owned(), key_span), value);
    }
    Node::Table(fields)
}

fn node(value: Spanned<DeValue<'_>>, depth: usize, report: &mut Reporter) -> At<Node> {
    let span = span_of(&value);
    if depth > DEEPEST {
        report.too_deep(span);
        return At::at(Node::Null, span);
    }
    let node = match value.into_inner() {
        // What the parser puts where it found no value.
        value if span.end() == span.start() && !is_composed(&value) => Node::Null,
        DeValue::String(text) => Node::Text(text.into_owned()),
        DeValue::Integer(number) => integer(&number, span, report),
        DeValue::Float(number) => float(&number, span, report),
        DeValue::Boolean(value) => Node::Bool(value),
        DeValue::Datetime(time) => Node::Text(time.to_string()),
        DeValue::Array(items) => {
            let items = items.into_iter();
            Node::Array(
                items
                    .map(|item| self::node(item, depth + 1, report))
                    .collect(),
            )
        }
        DeValue::Table(fields) => table(fields, depth + 1, report),
    };
    At::at(node, span)
}

/// Tables may be there without a place of their own: `a.b = 1` makes one.
const fn is_composed(value: &DeValue<'_>) -> bool {
    matches!(value, DeValue::Array(_) | DeValue::Table(_))
}

fn integer(number: &DeInteger<'_>, span: Span, report: &mut Reporter) -> Node {
    let read = i64::from_str_radix(number.as_str(), number.radix());
    read.map_or_else(
        |_| {
            report.error(span, format!("{number} is too large for any setting"));
            Node::Null
        },
        Node::Integer,
    )
}

fn float(number: &DeFloat<'_>, span: Span, report: &mut Reporter) -> Node {
    number.as_str().parse().map_or_else(
        |_| {
            report.error(span, format!("{number} is no number"));
            Node::Null
        },
        Node::Float,
    )
}
