//! What is wrong with a file: all of it at once, each with its place.

mod lines;
mod nearest;
mod reporter;
mod show;

pub use lines::Lines;
pub(crate) use nearest::nearest;
pub(crate) use reporter::Reporter;

use std::cmp::Ordering;

/// How bad a [`Problem`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file cannot be used.
    Error,
    /// The file can be used, and does probably not what was meant.
    Warning,
}

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file's name, as it was given.
    pub file: String,
    /// The line, from 1; 0 if it is about the file as a whole.
    pub line: usize,
    /// The character in the line, from 1; 0 if it is about the file as a whole.
    pub column: usize,
    /// The field, as `server.route[3].retry.attempts`. Empty if it is none.
    pub path: String,
    /// What is wrong: a clause without a full stop.
    pub what: String,
    /// What would have been right. It completes the sentence "must be …".
    pub allowed: Option<String>,
    /// What was probably meant.
    pub did_you_mean: Option<String>,
    /// The line as it stands in the file, and how many characters of it are meant.
    pub(crate) excerpt: Option<(String, usize)>,
}

/// All that is wrong with a file, in the order of the places. There is at least one error, unless
/// they were asked for as [warnings](crate::Document::warnings).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    problems: Vec<Problem>,
}

impl Problems {
    /// Whether one of them is an error.
    pub fn has_errors(&self) -> bool {
        let mut problems = self.problems.iter();
        problems.any(|problem| problem.severity == Severity::Error)
    }

    /// The problems, in the order of their places.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.problems.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.problems.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }
}

impl FromIterator<Problem> for Problems {
    fn from_iter<I: IntoIterator<Item = Problem>>(problems: I) -> Self {
        let mut problems: Vec<_> = problems.into_iter().collect();
        problems.sort_by(by_place);
        problems.dedup();
        Self { problems }
    }
}

impl<'a> IntoIterator for &'a Problems {
    type Item = &'a Problem;
    type IntoIter = std::slice::Iter<'a, Problem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for Problem {}
impl std::error::Error for Problems {}

fn by_place(one: &Problem, other: &Problem) -> Ordering {
    let place = |problem: &Problem| (problem.line, problem.column, problem.severity);
    place(one).cmp(&place(other))
}
