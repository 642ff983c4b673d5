use std::error::Error;
use std::fmt;

/// What makes no sense in a service config, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceConfigError {
    place: String,
    problem: String,
}

impl ServiceConfigError {
    pub(super) fn new(place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self {
            place: place.to_string(),
            problem: problem.to_string(),
        }
    }

    /// Where it stands, as `methodConfig[0].retryPolicy.maxAttempts`; `the service config` if it is
    /// the whole.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong with it.
    pub fn problem(&self) -> &str {
        &self.problem
    }
}

impl fmt::Display for ServiceConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.place, self.problem)
    }
}

impl Error for ServiceConfigError {}
