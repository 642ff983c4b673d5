//! The one place that reads the clock, which is tokio's.

use buttress_core::Now;
use std::cell::Cell;
use std::time::Instant;

/// The time right now.
#[inline]
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// The time at which a call arrived: one reading for all the layers of a stack, since a reading
/// costs more than most policies, and the layers' `call`s run within each other.
#[inline]
pub(crate) fn at_arrival() -> Instant {
    ARRIVAL.get().unwrap_or_else(now)
}

/// The same for those who may do without: known if an outer layer has read it, and read if asked.
#[inline]
pub(crate) fn arrival() -> Now {
    ARRIVAL.get().map_or(Now::lazy(now), Now::at)
}

/// While it lives, layers that are called find the time that is known already.
///
/// It is a guard and not a function around a closure, because a closure that takes the request
/// with it copies it once more.
#[must_use]
pub(crate) struct Arrival(Option<Instant>);

impl Arrival {
    #[inline]
    pub(crate) fn at(instant: Instant) -> Self {
        Self(ARRIVAL.replace(Some(instant)))
    }
}

/// Forgets the time when the call returns, and also when it panics.
impl Drop for Arrival {
    #[inline]
    fn drop(&mut self) {
        ARRIVAL.set(self.0);
    }
}

thread_local! {
    static ARRIVAL: Cell<Option<Instant>> = const { Cell::new(None) };
}
