use crate::sync::{AtomicU64, Mutex};
use std::sync::atomic::Ordering;

/// What was asked of a callee and what it accepted, in the buckets of a sliding window.
///
/// The buckets form a ring. Counting is one addition to the newest; nobody waits for anybody.
/// Whoever first sees that the next bucket's time has come turns the ring, and empties the buckets
/// that are to be used again before it says which one is the newest. One does so at a time, or
/// somebody who is held up in the middle of it would empty what others have filled since. Whoever
/// finds the ring being turned goes on with the bucket that was the newest so far.
#[derive(Debug)]
pub(super) struct Counts {
    /// The number of the newest bucket, counted from the beginning of time.
    newest: AtomicU64,
    /// Held by whoever turns the ring. Nobody waits for it.
    turning: Mutex<()>,
    /// Requests in the upper half, accepts in the lower one, so that both are counted at once. A
    /// bucket of the longest window is five minutes: 14 million calls a second fit into the halves.
    buckets: [AtomicU64; BUCKETS as usize],
}

/// The window is so many buckets: each that is forgotten takes a twelfth of what is known along.
pub(super) const BUCKETS: u64 = if cfg!(loom) { 2 } else { 12 };

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) requests: u64,
    pub(super) accepts: u64,
}

impl Counts {
    pub(super) fn new() -> Self {
        Self {
            newest: AtomicU64::new(0),
            turning: Mutex::new(()),
            buckets: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// Forgets what is too old at `at`, in nanoseconds, where a bucket is `width` of them.
    #[inline]
    pub(super) fn turn(&self, at: u64, width: u64) {
        let newest = self.newest.load(Ordering::Acquire);
        // A division only where it is worth it.
        if at >= (newest + 1).saturating_mul(width) {
            self.turn_to(at / width);
        }
    }

    #[cold]
    fn turn_to(&self, bucket: u64) {
        let Some(_turning) = self.turning.try_lock() else {
            return;
        };
        let newest = self.newest.load(Ordering::Acquire);
        let passed = bucket.saturating_sub(newest).min(BUCKETS);
        for offset in 1..=passed {
            self.bucket(newest + offset).swap(0, Ordering::AcqRel);
        }
        if passed > 0 {
            self.newest.store(bucket, Ordering::Release);
        }
    }

    /// A request that came to nothing, or that was accepted.
    #[inline]
    pub(super) fn count(&self, accepted: bool) {
        let newest = self.newest.load(Ordering::Acquire);
        let what = REQUEST + u64::from(accepted);
        self.bucket(newest).fetch_add(what, Ordering::AcqRel);
    }

    #[inline]
    pub(super) fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for bucket in &self.buckets {
            let both = bucket.load(Ordering::Relaxed);
            tally.requests += both / REQUEST;
            tally.accepts += both % REQUEST;
        }
        tally
    }

    #[inline]
    fn bucket(&self, number: u64) -> &AtomicU64 {
        &self.buckets[(number % BUCKETS) as usize]
    }
}

/// One request, none accepted.
const REQUEST: u64 = 1 << 32;

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc;
    use loom::thread;

    fn tally(requests: u64, accepts: u64) -> Tally {
        Tally { requests, accepts }
    }

    #[test]
    fn loom_what_is_counted_while_the_ring_turns_is_neither_lost_nor_forgotten_twice() {
        loom::model(|| {
            let counts = Arc::new(Counts::new());
            counts.count(true);
            counts.turn(1, 1);
            counts.count(true);
            let work = |counts: &Counts, accepted| {
                counts.turn(2, 1);
                counts.count(accepted);
            };
            let other = Arc::clone(&counts);
            let thread = thread::spawn(move || work(&other, true));
            work(&counts, false);
            thread.join().unwrap();
            // The first is forgotten, and the second still in the window.
            assert_eq!(counts.tally(), tally(3, 2));
            counts.turn(9, 1);
            assert_eq!(counts.tally(), tally(0, 0));
        });
    }

    #[test]
    fn loom_what_is_forgotten_is_forgotten_once_however_long_it_takes() {
        loom::model(|| {
            let counts = Arc::new(Counts::new());
            counts.count(true);
            // Who is held up in the middle of it may find that the ring has turned once more.
            let threads = [2, 4].map(|at| {
                let counts = Arc::clone(&counts);
                thread::spawn(move || counts.turn(at, 1))
            });
            for thread in threads {
                thread.join().unwrap();
            }
            counts.turn(4, 1);
            assert_eq!(counts.tally(), tally(0, 0));
            counts.count(true);
            assert_eq!(counts.tally(), tally(1, 1));
        });
    }

    #[test]
    fn loom_a_straggler_is_counted_once() {
        loom::model(|| {
            let counts = Arc::new(Counts::new());
            let other = Arc::clone(&counts);
            let thread = thread::spawn(move || other.count(true));
            counts.turn(2, 1);
            thread.join().unwrap();
            // Counted before the ring turned and forgotten, or after.
            let seen = counts.tally();
            assert!(seen == tally(0, 0) || seen == tally(1, 1), "{seen:?}");
        });
    }
}
