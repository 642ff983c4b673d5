use super::buckets::{Buckets, FIRST, SECONDS};
use crate::slots::{enough_for_this_machine, of_this_thread};
use std::sync::OnceLock;
use std::time::Instant;

/// Calls and withdrawals of the last ten seconds.
///
/// Calls are counted by each thread for itself, since there are many of them; a withdrawal adds
/// them up.
#[derive(Debug)]
pub(super) struct Window {
    /// The beginning of the first second: the first time that was seen.
    start: OnceLock<Instant>,
    calls: Box<[Buckets]>,
    withdrawals: Box<Buckets>,
    /// Of the calls.
    millionths: u64,
    at_least: u64,
}

impl Window {
    pub(super) fn new(millionths: u32, at_least: u32) -> Self {
        let threads = 0..enough_for_this_machine();
        Self {
            start: OnceLock::new(),
            calls: threads.map(|_| Buckets::new()).collect(),
            withdrawals: Box::new(Buckets::new()),
            millionths: millionths.into(),
            at_least: at_least.into(),
        }
    }

    #[inline]
    pub(super) fn deposit(&self, now: Instant) {
        let second = self.second(now);
        let thread = of_this_thread() % self.calls.len();
        if let Some(calls) = self.calls.get(thread) {
            calls.add(second);
        }
    }

    /// Writes the withdrawal down first and takes it back if it was too much: of several at once,
    /// the last one sees all others, so there are never more than allowed.
    pub(super) fn withdraw(&self, now: Instant) -> bool {
        let second = self.second(now);
        self.withdrawals.add(second);
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
        let calls: u64 = self.calls.iter().map(|calls| calls.sum(second)).sum();
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
