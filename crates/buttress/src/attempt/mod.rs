//! Which attempt a request is, told to everyone who works for it.
//!
//! Where each tier retries on its own, attempts multiply: three tiers with three attempts each make
//! 27 at the lowest. [`IncomingAttempt`] puts an [`Attempt`] into a request's extensions. Handed on
//! to the requests that are made to serve it, as a [`Deadline`](crate::Deadline) is, it does two
//! things:
//!
//! - It tells a [`Retry`](crate::Retry) that the request is made on behalf of a retry, so that
//!   [`not_of_retries`](crate::RetryBuilder::not_of_retries) can leave it alone.
//! - It brings back that retrying was tried in vain: then [`IncomingAttempt`] marks the service's
//!   answer, if it is a failure, and no tier further up retries it.
//!
//! # How it fails when misused
//!
//! Both need the [`Attempt`] to be handed on. A service that passes the callee's response on as it
//! is (a proxy) also passes the mark on by itself.

mod future;
mod incoming;

pub use future::{AttemptMark, IncomingAttemptFuture};
pub use incoming::{IncomingAttempt, IncomingAttemptService};

use buttress_core::SettingError;
use http::{Extensions, HeaderName};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which attempt a request is. It is found in the request's extensions; clones share what is learnt.
///
/// ```
/// use buttress::Attempt;
///
/// let incoming = http::Request::new(());
/// let mut outgoing = http::Request::new(());
///
/// // What works for the incoming request is part of the same attempt.
/// if let Some(attempt) = Attempt::of(incoming.extensions()) {
///     attempt.put(outgoing.extensions_mut());
/// }
/// ```
#[derive(Clone, Debug)]
pub struct Attempt {
    previous: u32,
    given_up: Arc<AtomicBool>,
}

impl Attempt {
    /// An attempt with so many before it.
    pub fn after(previous: u32) -> Self {
        Self {
            previous,
            given_up: Arc::default(),
        }
    }

    /// That of the request with these extensions.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().cloned()
    }

    /// Gives it to the request with these extensions.
    pub fn put(self, extensions: &mut Extensions) {
        extensions.insert(self);
    }

    /// How many attempts there were before this one.
    pub const fn previous(&self) -> u32 {
        self.previous
    }

    /// Whether this is a retry.
    pub const fn is_retry(&self) -> bool {
        self.previous > 0
    }

    /// Retrying is of no use: it has been tried, or is not allowed. If this service fails, its
    /// answer will say so. [`Retry`](crate::Retry) does it for the requests that it gives up.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether somebody [gave up](Self::give_up).
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }
}

/// A header's name, that a setting of that name holds.
pub(crate) fn header_name(setting: &'static str, name: &str) -> Result<HeaderName, SettingError> {
    crate::deadline::header_name(name)
        .map_err(|error| SettingError::new(setting, error.value(), error.allowed().to_owned()))
}
