//! Putting other rules into force.

use super::compile::{self, compile};
use super::news::{News, is_heard};
use super::turn::Turn;
use super::{Compiled, InForce, Registry, Reloaded, Rules, State};
use crate::problem::{Problem, Problems, Severity};
use crate::source::{self, Document, Format};
use std::fmt::Display;
use std::path::Path;

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// New rules are in force.
    Changed,
    /// The file says what was in force already.
    Unchanged,
}

impl Rules {
    /// Reads the file again, and puts what it says into force. If there is something wrong with it,
    /// nothing changes.
    ///
    /// An empty file changes nothing either, and is an error, unless nothing is what was in force:
    /// who writes a file in place empties it first, and all state would be lost at that moment. A
    /// file that has a comment only is meant to say nothing, and does.
    ///
    /// It is told as an event of `tracing`, as [`watch`](Self::watch) does it, and is not told again
    /// by that, nor is the same trouble by the next call. Who hears the event must not reload: it comes
    /// before the next reload may begin.
    ///
    /// It reads a file, so it may block for a moment. Of reloads at the same time, one waits for the
    /// other.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file; or that the rules are not from a file.
    pub fn reload(&self) -> Result<Reload, Problems> {
        let Some(path) = self.path() else {
            return Err(one_problem("rules", "", "are not from a file".to_owned()));
        };
        self.in_turn(|turn| {
            let read = read(&path);
            let found = read.is_ok();
            let known = turn.last_time(|found| found.is_trouble(&read));
            let result = turn.go_by(&path, read, is_heard());
            told(result, found, known, path.display())
        })
    }

    /// Puts another document into force.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn replace(&self, document: Document) -> Result<Reload, Problems> {
        let file = document.file().to_owned();
        self.in_turn(|turn| {
            let result = turn.put_and_compare(document, is_heard());
            told(result, true, false, file)
        })
    }
}

impl Turn<'_> {
    pub(super) fn put_text(
        &mut self,
        path: &Path,
        text: &str,
        compare: bool,
    ) -> Result<Reloaded, Problems> {
        let document = parse(path, text)?;
        let in_force = self.rules.current.in_force();
        let same = document.settings() == in_force.document.settings();
        if text.trim().is_empty() && !same {
            let what = "is empty, and may be in the middle of being written".to_owned();
            return Err(one_problem(&path.to_string_lossy(), "", what));
        }
        self.put_and_compare(document, compare)
    }

    /// Nothing has been put into force since `before` was.
    pub(super) fn put(&mut self, before: &InForce, document: Document) -> Result<Reload, Problems> {
        let current = &self.rules.current;
        if document.settings() == before.document.settings() {
            let registry = before.registry.clone();
            current.keep(InForce { document, registry });
            return Ok(Reload::Unchanged);
        }
        let generation = current.generation() + 1;
        let made = compile(document.settings(), &before.registry, generation)
            .map_err(|failure| unexpected(document.file(), failure))?;
        self.make(made.changes);
        let (mut compiled, mut registry) = (made.compiled, made.registry);
        // Nobody asks for the layer of an upstream that is about to leave.
        let state = current.shared.state.lock();
        self.keep_those_that_left(&state, &mut compiled, &before.registry, &mut registry);
        current.replace(compiled);
        current.keep(InForce { document, registry });
        Ok(Reload::Changed)
    }

    /// An upstream that the file no longer has goes on for those who have a layer of it. They must
    /// not be without any protection.
    fn keep_those_that_left(
        &self,
        state: &State,
        next: &mut Compiled,
        before: &Registry,
        registry: &mut Registry,
    ) {
        for (name, upstream) in &self.rules.current.look().upstreams {
            if state.has_layer(name) && !next.upstreams.contains_key(name) {
                next.upstreams.insert(name.clone(), upstream.clone());
                registry.keep(before, name, upstream);
            }
        }
    }
}

/// Tells of a reload by a call, which is told what came of it.
fn told(
    result: Result<Reloaded, Problems>,
    found: bool,
    known: bool,
    file: impl Display,
) -> Result<Reload, Problems> {
    let answer = match &result {
        Ok(reloaded) => Ok(reloaded.reload),
        Err(problems) => Err(problems.clone()),
    };
    if let Some(news) = News::of(result, found, known) {
        news.tell("call", file);
    }
    answer
}

pub(super) fn read(path: &Path) -> Result<String, Problems> {
    let failed = |error| format!("cannot be read: {error}");
    source::read_regular(path)
        .map_err(|error| one_problem(&path.to_string_lossy(), "", failed(error)))
}

pub(super) fn parse(path: &Path, text: &str) -> Result<Document, Problems> {
    Document::parse(&path.to_string_lossy(), text, Format::of(path))
}

/// A document that was checked cannot be made into rules: that is for us to mend, and no reason to
/// stop a service.
pub(super) fn unexpected(file: &str, (path, what): compile::Failure) -> Problems {
    one_problem(file, &path, what)
}

pub(super) fn one_problem(file: &str, path: &str, what: String) -> Problems {
    let problem = Problem {
        severity: Severity::Error,
        file: file.to_owned(),
        line: 0,
        column: 0,
        path: path.to_owned(),
        what,
        allowed: None,
        did_you_mean: None,
        excerpt: None,
    };
    Problems::from_iter([problem])
}
