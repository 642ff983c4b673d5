use crate::sync::AtomicU64;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Calls and withdrawals of the last ten seconds, in buckets of one.
///
/// Each bucket is one number that says which second it is of, so the first one to write in a new
/// second empties the bucket by the same write. Nothing else ages.
#[derive(Debug)]
pub(super) struct Window {
    /// The beginning of the first second: the first time that was seen.
    start: OnceLock<Instant>,
    buckets: [AtomicU64; BUCKETS],
    /// Of the calls.
    millionths: u64,
    at_least: u64,
}

/// How many seconds count, with the one that is under way.
const SECONDS: u64 = 10;

/// More than that, so that a second that somebody still counts is not yet written over; and a power
/// of two.
const BUCKETS: usize = 16;

impl Window {
    pub(super) fn new(millionths: u32, at_least: u32) -> Self {
        Self {
            start: OnceLock::new(),
            buckets: [(); BUCKETS].map(|()| AtomicU64::new(0)),
            millionths: millionths.into(),
            at_least: at_least.into(),
        }
    }

    #[inline]
    pub(super) fn deposit(&self, now: Instant) {
        let second = self.second(now);
        let bucket = self.bucket(second);
        let count = Count(bucket.load(Ordering::Relaxed));
        if count.is_of(second) {
            // If the second passes before it is written, the call counts in a later one, and
            // nobody minds. A bucket that is full has no room for all threads at once.
            if count.calls() < Count::NEARLY_FULL {
                bucket.fetch_add(Count::CALL, Ordering::Relaxed);
            }
        } else {
            change(bucket, |count| {
                let count = count.in_second(second);
                (count.calls() < Count::NEARLY_FULL).then(|| count.with(Count::CALL))
            });
        }
    }

    /// Writes the withdrawal down first and takes it back if it was too much: of several at once,
    /// the last one sees all others, so there are never more than allowed.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        let second = self.second(now);
        let bucket = self.bucket(second);
        let written = change(bucket, |count| {
            let count = count.in_second(second);
            (count.withdrawals() < Count::NEARLY_FULL).then(|| count.with(Count::WITHDRAWAL))
        });
        if !written {
            return false;
        }
        let (calls, withdrawals) = self.totals(second);
        if withdrawals <= self.allowed(calls) {
            return true;
        }
        change(bucket, |count| {
            (count.is_of(second) && count.withdrawals() > 0)
                .then(|| Count(count.0 - Count::WITHDRAWAL))
        });
        false
    }

    pub(super) fn left(&self, now: Instant) -> u64 {
        let (calls, withdrawals) = self.totals(self.second(now));
        self.allowed(calls).saturating_sub(withdrawals)
    }

    fn allowed(&self, calls: u64) -> u64 {
        let share = calls * self.millionths / 1_000_000;
        share.max(self.at_least * SECONDS)
    }

    fn totals(&self, second: u64) -> (u64, u64) {
        // The next second, too: others may be there already.
        (0..=SECONDS)
            .filter_map(|ago| {
                let second = (second + 1).checked_sub(ago)?;
                let bucket = self.bucket(second);
                // Where others may be writing down a withdrawal, what is read is the newest: of two
                // who wrote into different buckets, one sees the other.
                let count = Count(match ago {
                    0..=2 => bucket.fetch_add(0, Ordering::AcqRel),
                    _ => bucket.load(Ordering::Relaxed),
                });
                count.is_of(second).then_some(count)
            })
            .fold((0, 0), |(calls, withdrawals), count| {
                (calls + count.calls(), withdrawals + count.withdrawals())
            })
    }

    #[inline]
    fn bucket(&self, second: u64) -> &AtomicU64 {
        // The remainder is smaller than the array.
        &self.buckets[second as usize % BUCKETS]
    }

    /// Which second it is. The first is such that a bucket that was never written is of none that
    /// counts.
    #[inline]
    fn second(&self, now: Instant) -> u64 {
        let start = self.start.get_or_init(|| now);
        now.saturating_duration_since(*start).as_secs() + BUCKETS as u64
    }
}

/// Writes what `change` makes of the bucket, unless that is nothing. Returns whether it was written.
fn change(bucket: &AtomicU64, change: impl Fn(Count) -> Option<Count>) -> bool {
    let mut count = bucket.load(Ordering::Relaxed);
    loop {
        let Some(changed) = change(Count(count)) else {
            return false;
        };
        match bucket.compare_exchange_weak(count, changed.0, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => count = now,
        }
    }
}

/// What a bucket holds: 24 bits of calls, 24 of withdrawals, and 16 of the second, without the four
/// that its place tells. So it is mistaken for another only after twelve days to the second in
/// which nothing was written to it.
#[derive(Clone, Copy)]
struct Count(u64);

impl Count {
    const CALL: u64 = 1;
    const WITHDRAWAL: u64 = 1 << 24;
    /// More calls in a second than that are not counted. The rest is room for as many threads to
    /// write at once.
    const NEARLY_FULL: u64 = (1 << 24) - (1 << 16);

    const fn calls(self) -> u64 {
        self.0 & 0xff_ffff
    }

    const fn withdrawals(self) -> u64 {
        (self.0 >> 24) & 0xff_ffff
    }

    const fn is_of(self, second: u64) -> bool {
        self.0 >> 48 == tag(second)
    }

    /// Itself, or an empty one if it is of an earlier second. One that is of a little later second
    /// is left as it is: the time of some calls is behind.
    const fn in_second(self, second: u64) -> Self {
        let ahead = (self.0 >> 48).wrapping_sub(tag(second)) & 0xffff;
        if ahead < 16 {
            self
        } else {
            Self(tag(second) << 48)
        }
    }

    const fn with(self, more: u64) -> Self {
        Self(self.0 + more)
    }
}

const fn tag(second: u64) -> u64 {
    (second / BUCKETS as u64) & 0xffff
}
