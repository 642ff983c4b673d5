//! JSON (RFC 8259), by a parser that knows where it is.
//!
//! `serde_json` does not say where in a file a value stood, and YAML's parser takes more than JSON.

use super::{At, DEEPEST, Node, Span, Table};
use crate::problem::Reporter;
use std::collections::HashSet;

/// Reads the text, and reports what is wrong with its syntax: the first mistake, since nothing
/// behind that can be relied on.
pub(crate) fn parse(text: &str, report: &mut Reporter) -> At<Node> {
    // Other editors put a mark in front, which a reader may pass over (section 8.1).
    let at = text.len() - text.strip_prefix('\u{feff}').unwrap_or(text).len();
    let mut parser = Parser { text, at };
    let root = parser.value(1, report);
    match root {
        Ok(root) => {
            parser.skip_space();
            if parser.at < text.len() {
                let rest = Span::new(parser.at, parser.at + 1);
                report.error(rest, "stands behind the end of the value");
            }
            root
        }
        Err(Wrong { at, what }) => {
            report.error(Span::new(at, at), what);
            At::new(Node::Null)
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

/// The first mistake.
struct Wrong {
    at: usize,
    what: String,
}

type Parsed<T> = Result<T, Wrong>;

impl Parser<'_> {
    fn value(&mut self, depth: usize, report: &mut Reporter) -> Parsed<At<Node>> {
        self.skip_space();
        let start = self.at;
        if depth > DEEPEST {
            return Err(self.wrong(format!("is nested more than {DEEPEST} levels deep")));
        }
        let node = match self.peek() {
            Some(b'{') => Node::Table(self.table(depth, report)?),
            Some(b'[') => Node::Array(self.list(depth, report)?),
            Some(b'"') => Node::Text(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b'a'..=b'z') => self.word()?,
            _ => return Err(self.expected("a value")),
        };
        Ok(At::at(node, Span::new(start, self.at)))
    }

    fn table(&mut self, depth: usize, report: &mut Reporter) -> Parsed<Table> {
        let mut fields = Table::default();
        let mut names = HashSet::new();
        self.at += 1;
        self.skip_space();
        if self.take(b'}') {
            return Ok(fields);
        }
        loop {
            self.skip_space();
            let start = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.expected("a name in quotes"));
            }
            let name = self.string()?;
            let span = Span::new(start, self.at);
            self.skip_space();
            if !self.take(b':') {
                return Err(self.expected("`:`"));
            }
            let value = self.value(depth + 1, report)?;
            if names.insert(name.clone()) {
                fields.push(At::at(name, span), value);
            } else {
                _ = report.error(span, format!("is {name:?}, which is there twice"));
            }
            self.skip_space();
            if self.take(b'}') {
                return Ok(fields);
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn list(&mut self, depth: usize, report: &mut Reporter) -> Parsed<Vec<At<Node>>> {
        let mut items = Vec::new();
        self.at += 1;
        self.skip_space();
        if self.take(b']') {
            return Ok(items);
        }
        loop {
            items.push(self.value(depth + 1, report)?);
            self.skip_space();
            if self.take(b']') {
                return Ok(items);
            }
            if !self.take(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    /// From one quote to the other; what is between them is `serde_json`'s to read.
    fn string(&mut self) -> Parsed<String> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(byte) if byte >= 0x20 => self.at += 1,
                _ => return Err(self.expected("the quote that ends the text")),
            }
        }
        self.at += 1;
        let quoted = self.text.get(start..self.at).unwrap_or_default();
        serde_json::from_str(quoted).map_err(|_| Wrong {
            at: start,
            what: "is no text: it has an escape that there is not".to_owned(),
        })
    }

    fn number(&mut self) -> Parsed<Node> {
        let start = self.at;
        let part = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
        while self.peek().is_some_and(part) {
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or_default();
        let wrong = || Wrong {
            at: start,
            what: format!("is {text}, which is no number"),
        };
        // Whether it is one is `serde_json`'s to say, which reads the last digit less exactly.
        serde_json::from_str::<serde_json::Number>(text).map_err(|_| wrong())?;
        match (text.parse(), text.parse::<f64>()) {
            (Ok(number), _) => Ok(Node::Integer(number)),
            (Err(_), Ok(number)) => Ok(Node::Float(number)),
            (Err(_), Err(_)) => Err(wrong()),
        }
    }

    fn word(&mut self) -> Parsed<Node> {
        let words = [
            ("true", Node::Bool(true)),
            ("false", Node::Bool(false)),
            ("null", Node::Null),
        ];
        let rest = self.text.get(self.at..).unwrap_or_default();
        for (word, node) in words {
            if rest.starts_with(word) {
                self.at += word.len();
                return Ok(node);
            }
        }
        Err(self.expected("a value"))
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    fn take(&mut self, wanted: u8) -> bool {
        let there = self.peek() == Some(wanted);
        self.at += usize::from(there);
        there
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn expected(&self, what: &str) -> Wrong {
        match self
            .text
            .get(self.at..)
            .and_then(|rest| rest.chars().next())
        {
            Some(found) => self.wrong(format!("has {found:?} where {what} is expected")),
            None => self.wrong(format!("ends where {what} is expected")),
        }
    }

    fn wrong(&self, what: String) -> Wrong {
        Wrong { at: self.at, what }
    }
}
