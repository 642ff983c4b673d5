//! Calls without a key.

use crate::key::MissingKey;
use crate::rejection::Rejection;
use std::sync::atomic::{AtomicBool, Ordering};

/// What becomes of a call that has no key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKeyMeans {
    /// It is refused: the safe choice, and the default.
    #[default]
    Refused,
    /// All such calls share one key.
    Shared,
    /// It is admitted.
    Admitted,
}

/// Decides on calls without a key, and tells the operator once if it is the service's own fault.
#[derive(Debug)]
pub(crate) struct MissingKeys {
    pub(crate) means: MissingKeyMeans,
    pub(crate) name: &'static str,
    reported: AtomicBool,
}

/// What a call without a key that is not refused counts as.
pub(crate) enum Instead {
    SharedKey,
    Admitted,
}

impl MissingKeys {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self {
            means: MissingKeyMeans::Refused,
            name,
            reported: AtomicBool::new(false),
        }
    }

    #[cold]
    pub(crate) fn decide(&self, missing: MissingKey) -> Result<Instead, Rejection> {
        if let MissingKey::NotSetUp(remedy) = missing
            && !self.reported.swap(true, Ordering::Relaxed)
        {
            // Once, however many calls come: it is the service that must be mended.
            tracing::error!(policy = self.name, "calls cannot be told apart: {remedy}");
        }
        match self.means {
            MissingKeyMeans::Refused => Err(Rejection::new(missing.reason(), self.name)),
            MissingKeyMeans::Shared => Ok(Instead::SharedKey),
            MissingKeyMeans::Admitted => Ok(Instead::Admitted),
        }
    }
}
