use crate::sync::AtomicU64;
use std::sync::atomic::Ordering;

/// Events of the last ten seconds, in buckets of one.
///
/// Each bucket is one number that says which second it is of, so the first one to write in a new
/// second empties the bucket by the same write. Nothing else ages.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Buckets([AtomicU64; BUCKETS]);

/// How many seconds count, with the one that is under way.
pub(super) const SECONDS: u64 = 10;

/// More than that, so that a second that somebody still counts is not yet written over; and a power
/// of two.
const BUCKETS: usize = 16;

/// The first second. A bucket that was never written is of none that counts.
pub(super) const FIRST: u64 = BUCKETS as u64;

impl Buckets {
    pub(super) fn new() -> Self {
        Self([(); BUCKETS].map(|()| AtomicU64::new(0)))
    }

    /// Counts some events.
    #[inline]
    pub(super) fn add(&self, events: u64, second: u64) {
        let bucket = self.bucket(second);
        if Count(bucket.load(Ordering::Relaxed)).is_of(second) {
            // If the second passes before it is written, they count in a later one, and nobody
            // minds.
            bucket.fetch_add(events, Ordering::AcqRel);
        } else {
            change(bucket, |count| {
                Some(Count(count.in_second(second).0 + events))
            });
        }
    }

    /// Counts an event no more.
    pub(super) fn take_back(&self, second: u64) {
        change(self.bucket(second), |count| {
            (count.is_of(second) && count.events() > 0).then(|| Count(count.0 - 1))
        });
    }

    /// How many events there were up to a second.
    pub(super) fn sum(&self, second: u64) -> u64 {
        self.counts(second, |bucket, _| bucket.load(Ordering::Relaxed))
    }

    /// The same, and of several who count an event each and then ask, the last one sees all others,
    /// whichever second they think it is.
    pub(super) fn sum_with_others(&self, second: u64) -> u64 {
        self.counts(second, |bucket, ago| match ago {
            // Where others may be writing. Reading it by writing, of two who wrote into different
            // buckets one sees the other.
            0..=2 => bucket.fetch_add(0, Ordering::AcqRel),
            _ => bucket.load(Ordering::Relaxed),
        })
    }

    fn counts(&self, second: u64, read: impl Fn(&AtomicU64, u64) -> u64) -> u64 {
        // The next second, too: others may be there already.
        (0..=SECONDS)
            .filter_map(|ago| {
                let second = (second + 1).checked_sub(ago)?;
                let count = Count(read(self.bucket(second), ago));
                count.is_of(second).then(|| count.events())
            })
            .sum()
    }

    #[inline]
    fn bucket(&self, second: u64) -> &AtomicU64 {
        // The remainder is smaller than the array.
        &self.0[second as usize % BUCKETS]
    }
}

/// Writes what `change` makes of the bucket, unless that is nothing.
fn change(bucket: &AtomicU64, change: impl Fn(Count) -> Option<Count>) {
    let mut count = bucket.load(Ordering::Relaxed);
    while let Some(changed) = change(Count(count)) {
        match bucket.compare_exchange_weak(count, changed.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => count = now,
        }
    }
}

/// What a bucket holds: 32 bits of events, more than there can be in a second, and 32 of the second,
/// without the four that its place tells. So it is mistaken for another only after two thousand years
/// in which nothing was written to it.
#[derive(Clone, Copy)]
struct Count(u64);

impl Count {
    const fn events(self) -> u64 {
        self.0 & ((1 << 32) - 1)
    }

    const fn is_of(self, second: u64) -> bool {
        self.0 >> 32 == tag(second)
    }

    /// Itself, or an empty one if it is of an earlier second. One that is of a little later second
    /// is left as it is: the time of some calls is behind.
    const fn in_second(self, second: u64) -> Self {
        let ahead = (self.0 >> 32).wrapping_sub(tag(second)) & 0xffff_ffff;
        if ahead < 16 {
            self
        } else {
            Self(tag(second) << 32)
        }
    }
}

const fn tag(second: u64) -> u64 {
    (second / BUCKETS as u64) & 0xffff_ffff
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_that_rested_for_days_is_taken_for_an_old_one() {
        for sixteens in [65_521, 65_535, 65_536, 1 << 31] {
            let buckets = Buckets::new();
            let second = FIRST + sixteens * BUCKETS as u64;
            buckets.add(1, second);
            assert_eq!(buckets.sum(second), 1, "after {sixteens} times 16 s");
        }
    }
}
