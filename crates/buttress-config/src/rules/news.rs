//! What is told of reloads: one event for each that came to something.

use super::Reload;
use super::reloaded::{Reloaded, brief};
use crate::problem::Problems;
use std::fmt::Display;

/// What somebody should hear of.
#[derive(Debug)]
pub(super) enum News {
    InForce(Reloaded),
    Bad(Problems),
    /// It cannot be read, which may be because it is not there.
    Gone(Problems),
    /// It was bad or gone, and now says what is in force.
    WellAgain,
}

impl News {
    /// Of a reload that found a text, or did not. Of a trouble that is `known` somebody has heard: who
    /// asks all the time would fill the log with it.
    pub(super) fn of(result: Result<Reloaded, Problems>, found: bool, known: bool) -> Option<Self> {
        match result {
            Ok(reloaded) if reloaded.reload == Reload::Changed => Some(Self::InForce(reloaded)),
            Ok(reloaded) => (!reloaded.was_well).then_some(Self::WellAgain),
            Err(_) if known => None,
            Err(problems) if found => Some(Self::Bad(problems)),
            Err(problems) => Some(Self::Gone(problems)),
        }
    }

    /// Who made the reload is the `file` that changed, or a `call` of the program's own. Operators are
    /// told by their router.
    pub(super) fn tell(&self, who: &str, file: impl Display) {
        match self {
            Self::InForce(reloaded) => {
                let Reloaded {
                    before,
                    after,
                    changes,
                    ..
                } = reloaded;
                tracing::info!(who, %file, before, after, %changes, "new rules are in force");
            }
            Self::Bad(problems) => {
                let problems = brief(problems);
                tracing::error!(who, %file, "the rules stay as they are: {problems}");
            }
            Self::Gone(problems) => {
                let problems = brief(problems);
                tracing::warn!(who, %file, "the rules stay as they are: {problems}");
            }
            Self::WellAgain => {
                tracing::info!(who, %file, "the file is well again, and says what is in force");
            }
        }
    }
}

/// Whether anybody hears what is in force, and so must know what has changed.
pub(super) fn is_heard() -> bool {
    tracing::enabled!(tracing::Level::INFO)
}
