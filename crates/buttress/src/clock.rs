//! The one place that reads the clock, which is tokio's.

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

/// Runs `call`, an inner service's, such that the layers inside it find the time that is already
/// known.
#[inline]
pub(crate) fn arriving_at<T>(instant: Instant, call: impl FnOnce() -> T) -> T {
    let _restore = Restore(ARRIVAL.replace(Some(instant)));
    call()
}

thread_local! {
    static ARRIVAL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Forgets the time when the call returns, and also when it panics.
struct Restore(Option<Instant>);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        ARRIVAL.set(self.0);
    }
}
