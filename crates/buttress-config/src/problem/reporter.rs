use super::{Lines, Problem, Problems, Severity, nearest};
use crate::source::{At, DEEPEST, Node, Span};
use std::collections::{HashMap, HashSet};
use std::fmt::{Display, Write};

/// Collects what is wrong with a file, and knows in which field whoever reads is at the moment.
#[derive(Debug, Default)]
pub(crate) struct Reporter {
    path: String,
    found: Vec<(Span, Problem)>,
    /// How many there are beyond those, and the last of them.
    more: usize,
    /// Whether there is an error among those.
    more_errors: bool,
    last: Option<Problem>,
    /// The numbers of items in the file, if some before them could not be read.
    numbers: HashMap<Span, usize>,
    /// The fields that are there and could not be read, by their tables.
    unread: HashSet<(Span, &'static str)>,
    /// Where values stand that were refused by themselves.
    refused: HashSet<Span>,
    /// Whether the syntax is wrong, so that fields without a value may have one.
    broken: bool,
}

impl Reporter {
    /// Goes into a field for the time that `read` takes.
    pub(crate) fn field<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        let dot = if before == 0 { "" } else { "." };
        // A name that needs quotes gets them, or a dot in it would look like a field's.
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        _ = if !name.is_empty() && name.chars().all(plain) {
            write!(self.path, "{dot}{name}")
        } else {
            write!(self.path, "{dot}{name:?}")
        };
        let read = read(self);
        self.path.truncate(before);
        read
    }

    /// Goes into a field of a field, by a path that is written already.
    pub(crate) fn below<T>(&mut self, path: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        let dot = if before == 0 || path.is_empty() {
            ""
        } else {
            "."
        };
        _ = write!(self.path, "{dot}{path}");
        let read = read(self);
        self.path.truncate(before);
        read
    }

    /// Goes into an item of a list, counted from 0.
    pub(crate) fn item<T>(&mut self, index: usize, read: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.path.len();
        _ = write!(self.path, "[{index}]");
        let read = read(self);
        self.path.truncate(before);
        read
    }

    /// An item stands behind one that could not be read.
    pub(crate) fn renumber(&mut self, span: Span, index: usize) {
        self.numbers.insert(span, index);
    }

    /// The number in the file of the item that stands there, and is the `index`th that could be
    /// read.
    pub(crate) fn number(&self, span: Span, index: usize) -> usize {
        self.numbers.get(&span).copied().unwrap_or(index)
    }

    /// A field of the table that stands there could not be read. A list of which that is true of an
    /// item has no field of a name.
    pub(crate) fn leave_unread(&mut self, table: Span, name: &'static str) {
        self.unread.insert((table, name));
    }

    /// The same of one that has no value, which it may well have if the syntax is wrong.
    pub(crate) fn leave_empty(&mut self, table: Span, name: &'static str) {
        if self.broken {
            self.leave_unread(table, name);
        }
    }

    /// What was found so far is wrong with the syntax. Returns how much that is.
    pub(crate) fn end_of_syntax(&mut self) -> usize {
        self.broken = !self.found.is_empty();
        self.found.len()
    }

    /// Whether what that field says is not known, so that nothing can be said against it.
    pub(crate) fn is_unread(&self, table: Span, name: &'static str) -> bool {
        self.unread.contains(&(table, name))
    }

    /// What stands there was refused, and will be another value.
    pub(crate) fn refuse(&mut self, value: Span) {
        if value.end() > 0 {
            self.refused.insert(value);
        }
    }

    /// Whether what stands there was refused, so that nothing can be said against others because of it.
    pub(crate) fn is_refused(&self, value: Span) -> bool {
        self.refused.contains(&value)
    }

    /// The name that was probably meant, as long as problems are shown. To look for it takes long.
    pub(crate) fn nearest<'a, N>(
        &self,
        given: &str,
        names: impl IntoIterator<Item = &'a N>,
    ) -> Option<&'a str>
    where
        N: AsRef<str> + ?Sized + 'a,
    {
        if self.is_full() {
            return None;
        }
        nearest(given, names)
    }

    /// Whether what is added now is counted, and not shown.
    fn is_full(&self) -> bool {
        self.found.len() >= MOST
    }

    /// Whether there is an error so far.
    pub(crate) fn has_errors(&self) -> bool {
        if self.more_errors {
            return true;
        }
        let mut found = self.found.iter();
        found.any(|(_, problem)| problem.severity == Severity::Error)
    }

    /// The file cannot be used because of what stands there.
    pub(crate) fn error(&mut self, span: Span, what: impl Display) -> &mut Problem {
        self.add(Severity::Error, span, what)
    }

    /// The file can be used, but what stands there was hardly meant.
    pub(crate) fn warning(&mut self, span: Span, what: impl Display) -> &mut Problem {
        self.add(Severity::Warning, span, what)
    }

    /// What stands there is something else than it must be.
    pub(crate) fn unfit(&mut self, node: &At<Node>, allowed: impl Display) -> &mut Problem {
        let what = format!("is {}", **node);
        self.error(node.span(), what).must_be(allowed)
    }

    /// A value is nested deeper than any setting.
    pub(crate) fn too_deep(&mut self, span: Span) {
        self.error(span, format!("is nested more than {DEEPEST} levels deep"));
    }

    /// Forgets what was found after the first `syntax` problems in the lines in which these are:
    /// what could not be read makes no sense either.
    pub(crate) fn forget_beside(&mut self, syntax: usize, text: &str) {
        let lines = Lines::of(text);
        let line = |span: Span| lines.place(text, span.start()).0;
        let (first, _) = self.found.split_at(syntax.min(self.found.len()));
        let broken: HashSet<_> = first.iter().map(|(span, _)| line(*span)).collect();
        let mut index = 0;
        self.found.retain(|(span, _)| {
            index += 1;
            index <= syntax || !broken.contains(&line(*span))
        });
    }

    /// How many problems there are so far.
    pub(crate) fn count(&self) -> usize {
        self.found.len()
    }

    /// The problems, with their lines and columns in `text`.
    pub(crate) fn finish(self, file: &str, text: &str) -> Problems {
        let lines = Lines::of(text);
        let more = (self.more > 0).then(|| {
            let what = format!("more problems than are shown: {}", self.more);
            // A file may well have many warnings, and is as good as with few.
            let severity = if self.more_errors {
                Severity::Error
            } else {
                Severity::Warning
            };
            let problem = Problem::new(severity, String::new(), what);
            Problem {
                file: file.to_owned(),
                ..problem
            }
        });
        let found = self.found.into_iter().map(|(span, mut problem)| {
            file.clone_into(&mut problem.file);
            if !text.is_empty() {
                (problem.line, problem.column) = lines.place(text, span.start());
                problem.excerpt = lines.excerpt(text, span);
            }
            problem
        });
        found.chain(more).collect()
    }

    fn add(&mut self, severity: Severity, span: Span, what: impl Display) -> &mut Problem {
        let problem = Problem::new(severity, self.path.clone(), what.to_string());
        let index = self.found.len();
        if self.is_full() {
            self.more += 1;
            self.more_errors |= severity == Severity::Error;
            // It takes what is said about the problem, and goes with it.
            return self.last.insert(problem);
        }
        self.found.push((span, problem));
        &mut self.found[index].1
    }
}

/// Nobody reads more of them, and a file may have a million.
const MOST: usize = 1_000;

impl Problem {
    fn new(severity: Severity, path: String, what: String) -> Self {
        Self {
            severity,
            file: String::new(),
            line: 0,
            column: 0,
            path,
            what,
            allowed: None,
            did_you_mean: None,
            excerpt: None,
        }
    }

    /// What would have been right.
    pub(crate) fn must_be(&mut self, allowed: impl Display) -> &mut Self {
        self.allowed = Some(allowed.to_string());
        self
    }

    /// What was probably meant, if that can be guessed.
    pub(crate) fn meant(&mut self, meant: Option<impl Display>) -> &mut Self {
        self.did_you_mean = meant.map(|meant| meant.to_string());
        self
    }
}
