use crate::problem::nearest;
use std::fmt;

/// There is no upstream of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownUpstream {
    name: String,
    nearest: Option<String>,
}

impl UnknownUpstream {
    pub(super) fn new(name: &str, known: &[&str]) -> Self {
        Self {
            name: name.chars().take(64).collect(),
            nearest: nearest(name, known).map(ToString::to_string),
        }
    }

    /// The name that there is not.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of an upstream that may have been meant.
    pub fn did_you_mean(&self) -> Option<&str> {
        self.nearest.as_deref()
    }
}

impl fmt::Display for UnknownUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no upstream `{}`", self.name)?;
        match &self.nearest {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for UnknownUpstream {}
