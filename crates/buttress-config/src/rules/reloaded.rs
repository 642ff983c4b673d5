//! Reloads of which somebody is told what they did.

use super::difference::{Difference, shortened};
#[cfg(feature = "admin")]
use super::reload::{one_problem, read};
use super::state::Found;
use super::turn::Turn;
use super::{Reload, Rules};
use crate::problem::Problems;
use crate::source::Document;
use std::path::Path;

/// What a reload did.
#[derive(Clone, Debug)]
pub(crate) struct Reloaded {
    pub(crate) reload: Reload,
    /// The rules' number before and after. Nobody else changed anything between the two.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// If somebody wanted to know.
    pub(crate) changes: Difference,
    /// Whether the file could be used before.
    pub(crate) was_well: bool,
}

impl Rules {
    /// [`reload`](Self::reload), by somebody who says by `tell` what came of it: nobody else will.
    #[cfg(feature = "admin")]
    pub(crate) fn reload_by_hand(
        &self,
        tell: impl FnOnce(&Result<Reloaded, Problems>),
    ) -> Result<Reloaded, Problems> {
        self.in_turn(|turn| {
            let result = match self.path() {
                Some(path) => turn.go_by(&path, read(&path), true),
                None => Err(one_problem("rules", "", "are not from a file".to_owned())),
            };
            tell(&result);
            result
        })
    }
}

impl Turn<'_> {
    /// Whether what was found in the file the last time is so.
    pub(super) fn last_time(&self, is_so: impl FnOnce(&Found) -> bool) -> bool {
        let state = self.rules.current.shared.state.lock();
        state.found.as_ref().is_some_and(is_so)
    }

    /// Puts into force what was read, and remembers it when that is done.
    pub(super) fn go_by(
        &mut self,
        path: &Path,
        read: Result<String, Problems>,
        compare: bool,
    ) -> Result<Reloaded, Problems> {
        let (found, result) = match read {
            Ok(text) => {
                let result = self.put_text(path, &text, compare);
                let well = result.is_ok();
                (Found::Text { text, well }, result)
            }
            Err(problems) => (Found::Nothing(problems.clone()), Err(problems)),
        };
        let shared = &self.rules.current.shared;
        let before = shared.state.lock().found.replace(found);
        result.map(|reloaded| Reloaded {
            was_well: before.is_none_or(|before| before.is_well()),
            ..reloaded
        })
    }

    pub(super) fn put_and_compare(
        &mut self,
        document: Document,
        compare: bool,
    ) -> Result<Reloaded, Problems> {
        let rules = self.rules;
        let (in_force, before) = (rules.current.in_force(), rules.generation());
        let reload = self.put(&in_force, document)?;
        let changes = if compare && reload == Reload::Changed {
            let now = rules.current.in_force();
            Difference::between(in_force.document.settings(), now.document.settings())
        } else {
            Difference::default()
        };
        Ok(Reloaded {
            reload,
            before,
            after: rules.generation(),
            changes,
            was_well: true,
        })
    }
}

/// What is wrong with a file, as much of it as a log should have.
pub(crate) fn brief(problems: &Problems) -> String {
    let mut told = String::new();
    for (number, problem) in problems.iter().enumerate() {
        if number == MOST_PROBLEMS {
            let more = problems.len() - number;
            return format!("{told}\n\nand {more} more");
        }
        let space = if number > 0 { "\n\n" } else { "" };
        told = format!(
            "{told}{space}{}",
            shortened(&problem.to_string(), LONGEST_PROBLEM)
        );
    }
    told
}

const MOST_PROBLEMS: usize = 5;
const LONGEST_PROBLEM: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_has_a_part_of_what_is_wrong_with_a_file() {
        let one = "x".repeat(1_000);
        let lines: Vec<_> = (0..100).map(|n| format!("{one}{n} = 1\n")).collect();
        let text = lines.concat();
        let problems = Rules::from_toml(&text).unwrap_err();
        let brief = brief(&problems);
        let more = format!("\n\nand {} more", problems.len() - MOST_PROBLEMS);
        assert!(brief.ends_with(&more), "{brief}");
        assert!(brief.chars().count() < MOST_PROBLEMS * (LONGEST_PROBLEM + 2) + 20);
        let one = Rules::from_toml("nonsense = 1").unwrap_err();
        assert_eq!(super::brief(&one), one.to_string());
    }
}
