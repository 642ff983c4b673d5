use std::cell::Cell;
use std::time::Instant;

/// The time of a decision, read from the clock at most once, and only if somebody asks.
///
/// A clock read costs about as much as a whole policy. A guard makes one `Now` for an admission
/// and passes it to every policy: those that need no time cause no read, and those that do share
/// one.
///
/// ```
/// use buttress_core::Now;
/// use std::time::Instant;
///
/// let start = Instant::now();
/// assert_eq!(Now::at(start).instant(), start);
/// ```
#[derive(Debug)]
pub struct Now {
    read: Cell<Option<Instant>>,
    clock: fn() -> Instant,
}

impl Now {
    /// A time that is known already.
    pub const fn at(instant: Instant) -> Self {
        Self {
            read: Cell::new(Some(instant)),
            clock: unused,
        }
    }

    /// A time that `clock` tells when it is first asked for.
    pub const fn lazy(clock: fn() -> Instant) -> Self {
        Self {
            read: Cell::new(None),
            clock,
        }
    }

    /// The instant of the decision: the same one each time it is asked.
    #[inline]
    pub fn instant(&self) -> Instant {
        match self.read.get() {
            Some(instant) => instant,
            None => self.read_clock(),
        }
    }

    /// The instant, if somebody has asked already.
    #[inline]
    pub fn known(&self) -> Option<Instant> {
        self.read.get()
    }

    #[inline]
    fn read_clock(&self) -> Instant {
        let instant = (self.clock)();
        self.read.set(Some(instant));
        instant
    }
}

/// `Now::at` holds its instant from the start, so its clock is never asked. Were it asked all the
/// same, a real reading would be the least surprising answer.
#[expect(clippy::disallowed_methods, reason = "no policy ever reaches it")]
fn unused() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn the_clock_is_read_once_and_only_when_asked() {
        static READS: AtomicUsize = AtomicUsize::new(0);
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        fn clock() -> Instant {
            READS.fetch_add(1, Ordering::Relaxed);
            Instant::now()
        }
        let now = Now::lazy(clock);
        assert_eq!(READS.load(Ordering::Relaxed), 0);
        assert_eq!(now.instant(), now.instant());
        assert_eq!(READS.load(Ordering::Relaxed), 1);
    }
}
