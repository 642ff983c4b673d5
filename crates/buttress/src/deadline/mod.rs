//! Deadlines: the instant by which the caller stops waiting, told to everyone who works for it.
//!
//! A timeout at each hop is not enough: when the caller has given up, everything further in still
//! works, for nobody, and that is how an overloaded service stays overloaded. A deadline travels
//! with the request. [`IncomingDeadline`] reads it from the request's headers into a [`Deadline`]
//! in its extensions, every [`Timeout`](crate::Timeout) on the way lowers it, and
//! [`OutgoingDeadline`] writes what is left of it on the requests that are made to do the work.
//! It only ever shrinks.
//!
//! # How it fails when misused
//!
//! A deadline is worth what is done with it: hand it on, by copying the [`Deadline`] from the
//! incoming request's extensions to the outgoing one's. And a client's deadline is a wish: the
//! bound given to [`IncomingDeadline`] is what protects the service from one that is too long.

mod incoming;
mod outgoing;

pub use incoming::{IncomingDeadline, IncomingDeadlineLayer, IncomingDeadlineService};
pub(crate) use outgoing::header_name;
pub use outgoing::{OutgoingDeadline, OutgoingDeadlineService};

use crate::clock;
use http::Extensions;
use std::time::{Duration, Instant};

/// The instant by which the caller of a request stops waiting. It is found in the request's
/// extensions.
///
/// ```
/// use buttress::Deadline;
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let incoming = http::Request::new(());
/// let mut outgoing = http::Request::new(());
///
/// // What works for the incoming request has no more time than it has.
/// if let Some(deadline) = Deadline::of(incoming.extensions()) {
///     deadline.put(outgoing.extensions_mut());
/// }
///
/// // Or of one's own.
/// Deadline::after(Duration::from_secs(1)).put(outgoing.extensions_mut());
/// assert!(Deadline::of(outgoing.extensions()).unwrap().left() <= Duration::from_secs(1));
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Instant);

impl Deadline {
    /// At `instant`.
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// So long from now. What is longer than a year is a year.
    pub fn after(time: Duration) -> Self {
        Self(clock::now() + time.min(buttress_core::setting::LONGEST))
    }

    /// The deadline of the request with these extensions.
    pub fn of(extensions: &Extensions) -> Option<Self> {
        extensions.get().copied()
    }

    /// Gives the request with these extensions this deadline, unless it has an earlier one.
    pub fn put(self, extensions: &mut Extensions) {
        match extensions.get_mut::<Self>() {
            Some(known) => known.lower(self.0),
            None => _ = extensions.insert(self),
        }
    }

    /// The instant.
    pub const fn instant(self) -> Instant {
        self.0
    }

    /// The time that is left; 0 if there is none.
    pub fn left(self) -> Duration {
        self.0.saturating_duration_since(clock::now())
    }

    /// Moves the deadline to `instant` if that is earlier. There is no way to move it back.
    pub fn lower(&mut self, instant: Instant) {
        self.0 = self.0.min(instant);
    }
}
