//! What a closed breaker counts, and when it is too much.

use super::count_window::CountWindow;
use super::settings::{Checked, nanoseconds};
use super::time_window::TimeWindow;
use super::transition::{Cause, Tally};
use crate::sync::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// What a call means for a closed breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// For the rate.
    pub(super) failed: bool,
    /// For failures in a row.
    pub(super) in_a_row: InARow,
    pub(super) slow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InARow {
    /// One more.
    Adds,
    /// The row is over.
    Ends,
    /// Neither.
    Leaves,
}

#[derive(Debug)]
pub(super) struct Counts {
    in_a_row: AtomicU32,
    by_time: Option<TimeWindow>,
    by_count: Option<CountWindow>,
}

impl Counts {
    pub(super) fn new(settings: &Checked) -> Self {
        let tells_slow = settings.tells_slow;
        Self {
            in_a_row: AtomicU32::new(0),
            by_time: settings
                .time_window
                .map(|window| TimeWindow::new(nanoseconds(window), tells_slow)),
            by_count: settings
                .count_window
                .map(|calls| CountWindow::new(calls, tells_slow)),
        }
    }

    /// A call came, or failed, at this time.
    #[inline]
    pub(super) fn move_to(&self, at: u64) {
        if let Some(window) = &self.by_time {
            window.move_to(at);
        }
    }

    /// Counts a call, and says whether there are too many of its kind.
    #[inline]
    pub(super) fn record(&self, record: Record, settings: &Checked) -> Option<Cause> {
        let Record { failed, slow, .. } = record;
        let mut cause = self.count_in_a_row(record.in_a_row, settings);
        if let Some(window) = &self.by_count
            && let Some(tally) = window.record(failed, slow)
        {
            cause = cause.or_else(|| too_much(tally, settings));
        }
        if let Some(window) = &self.by_time
            && let Some(tally) = window.record(failed, slow, settings.min_calls)
        {
            cause = cause.or_else(|| too_much(tally, settings));
        }
        cause
    }

    #[inline]
    fn count_in_a_row(&self, in_a_row: InARow, settings: &Checked) -> Option<Cause> {
        match in_a_row {
            InARow::Adds => {
                let failures = self.in_a_row.fetch_add(1, Relaxed).saturating_add(1);
                let limit = settings.consecutive_failures?;
                (failures >= limit).then_some(Cause::ConsecutiveFailures)
            }
            InARow::Ends => {
                // Writing only where it changes something keeps the line shared.
                if self.in_a_row.load(Relaxed) != 0 {
                    self.in_a_row.store(0, Relaxed);
                }
                None
            }
            InARow::Leaves => None,
        }
    }

    pub(super) fn in_a_row(&self) -> u32 {
        self.in_a_row.load(Relaxed)
    }

    pub(super) fn by_time(&self, at: u64) -> Option<Tally> {
        self.by_time.as_ref().map(|window| window.tally(at))
    }

    pub(super) fn by_count(&self) -> Option<Tally> {
        self.by_count.as_ref().map(CountWindow::tally)
    }

    /// Whether there is nothing to remember.
    pub(super) fn are_empty(&self, at: u64) -> bool {
        let empty = |tally: Option<Tally>| tally.is_none_or(|tally| tally.calls == 0);
        self.in_a_row() == 0 && empty(self.by_count()) && empty(self.by_time(at))
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.in_a_row.store(0, Relaxed);
        if let Some(window) = &self.by_time {
            window.clear();
        }
        if let Some(window) = &self.by_count {
            window.clear();
        }
    }
}

fn too_much(tally: Tally, settings: &Checked) -> Option<Cause> {
    if tally.calls < u64::from(settings.min_calls) {
        return None;
    }
    // A quotient is rounded as a decimal fraction in a program is: 7 of 100 is 0.07.
    if tally.failure_rate() >= settings.failure_rate {
        return Some(Cause::FailureRate);
    }
    (tally.slow_rate() >= settings.slow_rate).then_some(Cause::SlowCallRate)
}
