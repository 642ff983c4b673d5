//! The last while.

use super::divisor::Divisor;
use super::transition::Tally;
use crate::sync::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

/// Ten buckets of time, each with a few counters: what a call costs does not depend on how many
/// there are. The window moves on by a tenth of its length at a time, so it holds between nine and
/// ten tenths of it.
///
/// Reading the clock costs more than counting. So calls that come, which read it anyway, move the
/// window on, and a success is counted in the latest bucket that anybody has moved it to.
#[derive(Debug)]
pub(super) struct TimeWindow {
    /// Nanoseconds.
    bucket: Divisor,
    /// The number of the latest bucket.
    latest: AtomicU64,
    /// The number of the latest bucket with anything bad in it, plus 1.
    latest_bad: AtomicU64,
    calls: Series,
    failed: Series,
    /// In a box, since few breakers have it.
    slow: Option<Box<Series>>,
}

pub(super) const BUCKETS: u32 = 10;

impl TimeWindow {
    /// A window of so many nanoseconds.
    pub(super) fn new(length: u64, tells_slow: bool) -> Self {
        Self {
            bucket: Divisor::new(length.div_ceil(u64::from(BUCKETS))),
            latest: AtomicU64::new(0),
            latest_bad: AtomicU64::new(0),
            calls: Series::new(),
            failed: Series::new(),
            slow: tells_slow.then(|| Box::new(Series::new())),
        }
    }

    /// Moves the window on to a time.
    #[inline]
    pub(super) fn move_to(&self, at: u64) {
        let (bucket, _) = self.bucket.divide(at);
        if self.latest.load(Relaxed) < bucket {
            self.latest.fetch_max(bucket, Relaxed);
        }
    }

    /// Counts a call. Returns what the window holds then, unless it holds nothing bad, or this
    /// call cannot have made it worse.
    #[inline]
    pub(super) fn record(&self, failed: bool, slow: bool, min_calls: u32) -> Option<Tally> {
        let bucket = self.latest.load(Relaxed);
        let calls = self.calls.add(bucket);
        if failed || slow {
            if failed {
                self.failed.add(bucket);
            }
            if slow && let Some(series) = &self.slow {
                series.add(bucket);
            }
            self.latest_bad.fetch_max(bucket + 1, Relaxed);
        } else if self.latest_bad.load(Relaxed) + u64::from(BUCKETS) <= bucket + 1
            || calls > min_calls
        {
            // A success makes things worse only by completing the minimum, or by being the first
            // after the window moved on.
            return None;
        }
        Some(self.tally_of(bucket))
    }

    pub(super) fn tally(&self, at: u64) -> Tally {
        self.move_to(at);
        self.tally_of(self.latest.load(Relaxed))
    }

    fn tally_of(&self, bucket: u64) -> Tally {
        let failed = self.failed.sum(bucket);
        let slow = self.slow.as_ref().map_or(0, |series| series.sum(bucket));
        // The calls last: whoever counts a failure counts the call first.
        let calls = self.calls.sum(bucket);
        Tally {
            calls,
            failed: failed.min(calls),
            slow: slow.min(calls),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.latest_bad.store(0, Relaxed);
        self.calls.clear();
        self.failed.clear();
        if let Some(series) = &self.slow {
            series.clear();
        }
    }
}

/// One counter for each bucket, in a ring. A counter's word holds the number of the bucket that it
/// counts for, too, so that the first to count for a new bucket starts it over in the same step,
/// and nobody ever adds up what is too old.
#[derive(Debug)]
struct Series([AtomicU64; BUCKETS as usize]);

/// A counter stops here: far from where it would run into the bucket's number.
const FULL: u32 = u32::MAX - (1 << 16);

/// By so many buckets a counter may be ahead of a call that was held up on its way to it.
const LATER: u32 = 1 << 16;

impl Series {
    fn new() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }

    /// Counts one, and returns how many the bucket has then.
    #[inline]
    fn add(&self, bucket: u64) -> u32 {
        let cell = &self.0[(bucket % u64::from(BUCKETS)) as usize];
        // The low half of the number tells buckets apart for months at least. A cell may have rested
        // for longer, so that its number seems to be ahead, but never by so little.
        let stamp = bucket as u32;
        let mut seen = cell.load(Relaxed);
        loop {
            let (its, count) = split(seen);
            if its.wrapping_sub(stamp) < LATER {
                // Its own bucket; or a later one already, and then it counts there.
                if count < FULL {
                    return split(cell.fetch_add(1, Relaxed)).1 + 1;
                }
                return count;
            }
            let started = u64::from(stamp) << 32 | 1;
            match cell.compare_exchange_weak(seen, started, Relaxed, Relaxed) {
                Ok(_) => return 1,
                Err(actual) => seen = actual,
            }
        }
    }

    fn sum(&self, bucket: u64) -> u64 {
        let now = bucket as u32;
        let in_window = |cell: &AtomicU64| {
            let (stamp, count) = split(cell.load(Relaxed));
            let age = now.wrapping_sub(stamp).cast_signed();
            // Others may have moved the window on since `bucket` was read.
            if age.unsigned_abs() < BUCKETS {
                u64::from(count)
            } else {
                0
            }
        };
        self.0.iter().map(in_window).sum()
    }

    fn clear(&self) {
        for cell in &self.0 {
            cell.store(0, Relaxed);
        }
    }
}

/// The number of the bucket and the count.
#[inline]
const fn split(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}
