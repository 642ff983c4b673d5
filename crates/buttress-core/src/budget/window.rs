use super::buckets::{Buckets, FIRST, SECONDS};
use crate::now::Now;
use crate::slots::{enough_for_this_machine, of_this_thread};
use crate::sync::AtomicU64;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Calls and withdrawals of the last ten seconds.
///
/// There are many calls, so each thread counts them for itself, and a withdrawal adds them up. And a
/// reading of the clock costs more than all the rest, so where nobody has read it, it is read for
/// one call in eight, and at a withdrawal. The others of the eight count as if they were made then,
/// which is a little late, and no call counts twice.
#[derive(Debug)]
pub(super) struct Window {
    /// The beginning of the first second: the first time that was seen.
    start: OnceLock<Instant>,
    calls: Box<[Calls]>,
    withdrawals: Box<Buckets>,
    /// Of the calls.
    millionths: u64,
    at_least: u64,
}

/// What one thread, or the few that share it, counts.
#[derive(Debug)]
struct Calls {
    counted: Buckets,
    /// Those of which the time is not known yet.
    undated: AtomicU64,
}

/// How many calls share a reading of the clock.
const TOGETHER: u64 = 8;

impl Window {
    pub(super) fn new(millionths: u32, at_least: u32) -> Self {
        let calls = |_| Calls {
            counted: Buckets::new(),
            undated: AtomicU64::new(0),
        };
        Self {
            start: OnceLock::new(),
            calls: (0..enough_for_this_machine()).map(calls).collect(),
            withdrawals: Box::new(Buckets::new()),
            millionths: millionths.into(),
            at_least: at_least.into(),
        }
    }

    #[inline]
    pub(super) fn deposit(&self, now: &Now) {
        // The remainder is smaller than their number, which is not 0.
        let calls = &self.calls[of_this_thread() % self.calls.len()];
        if let Some(instant) = now.known() {
            calls.counted.add(1, self.second(instant));
        } else if calls.undated.fetch_add(1, Ordering::Relaxed) + 1 >= TOGETHER {
            calls.date(self.second(now.instant()));
        }
    }

    /// Writes the withdrawal down first and takes it back if it was too much: of several at once,
    /// the last one sees all others, so there are never more than allowed.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        let second = self.second(now);
        self.withdrawals.add(1, second);
        if self.withdrawals.sum_with_others(second) <= self.allowed(second) {
            return true;
        }
        self.withdrawals.take_back(second);
        false
    }

    pub(super) fn left(&self, now: Instant) -> u64 {
        let second = self.second(now);
        let withdrawals = self.withdrawals.sum(second);
        self.allowed(second).saturating_sub(withdrawals)
    }

    fn allowed(&self, second: u64) -> u64 {
        let calls = |calls: &Calls| {
            calls.date(second);
            calls.counted.sum(second)
        };
        let calls: u64 = self.calls.iter().map(calls).sum();
        let share = u128::from(calls) * u128::from(self.millionths) / 1_000_000;
        // No more than there were calls.
        (share as u64).max(self.at_least * SECONDS)
    }

    #[inline]
    fn second(&self, now: Instant) -> u64 {
        let start = self.start.get_or_init(|| now);
        now.saturating_duration_since(*start).as_secs() + FIRST
    }
}

impl Calls {
    /// The calls without a time were made in that second.
    fn date(&self, second: u64) {
        if self.undated.load(Ordering::Relaxed) > 0 {
            let calls = self.undated.swap(0, Ordering::Relaxed);
            self.counted.add(calls, second);
        }
    }
}
