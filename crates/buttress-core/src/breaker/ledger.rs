use super::probes::Probes;
use super::settings::Checked;
use super::transition::Transition;
use std::collections::VecDeque;

/// What changes only with the state, or while the breaker is half-open. It is behind a lock.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) probes: Probes,
    /// How often it has opened.
    pub(super) openings: u64,
    /// How many attempts to close it have failed, one after the other.
    failed_attempts: u32,
    /// How long it was open the last time, and when it closed then.
    open_for: u64,
    closed_at: u64,
    /// Transitions that nobody has been told of yet.
    pub(super) news: VecDeque<Transition>,
    /// Somebody is telling them.
    pub(super) telling: bool,
}

/// What of a breaker's past counts for another one in its place.
pub(super) struct Legacy {
    openings: u64,
    failed_attempts: u32,
    open_for: u64,
    /// For how long opening it would still mean that its probes were lucky.
    too_early_for: u64,
}

impl Ledger {
    /// It opens. Returns for how long.
    pub(super) fn open(&mut self, at: u64, after_probes: bool, settings: &Checked) -> u64 {
        self.failed_attempts = if after_probes || self.closed_too_early(at) {
            self.failed_attempts.saturating_add(1)
        } else {
            0
        };
        self.openings += 1;
        settings.open_time.after(self.failed_attempts)
    }

    /// Until when, callee's wishes included.
    pub(super) fn opened_until(&mut self, at: u64, until: u64) {
        self.open_for = until.saturating_sub(at);
    }

    pub(super) fn close(&mut self, at: u64) {
        self.closed_at = at;
    }

    /// Whether it would open for longer than the first time if it opened now: it was closed for
    /// less time than it had been open before, so the probes were lucky.
    pub(super) fn closed_too_early(&self, at: u64) -> bool {
        at < self.closed_at.saturating_add(self.open_for)
    }

    pub(super) fn legacy(&self, at: u64) -> Legacy {
        let calm_at = self.closed_at.saturating_add(self.open_for);
        Legacy {
            openings: self.openings,
            failed_attempts: self.failed_attempts,
            open_for: self.open_for,
            too_early_for: calm_at.saturating_sub(at),
        }
    }

    /// Begins with another one's past, which is open or closed as this one will be.
    pub(super) fn inherit(&mut self, legacy: &Legacy, is_closed: bool, at: u64) {
        // It may be told more than once.
        self.openings = self.openings.max(legacy.openings);
        self.failed_attempts = legacy.failed_attempts;
        // When it closed may be earlier than this one can tell. What is left from then is not.
        self.closed_at = at;
        self.open_for = if is_closed {
            legacy.too_early_for
        } else {
            legacy.open_for
        };
    }

    /// Forgets all about the past.
    pub(super) fn forget(&mut self) {
        self.openings = 0;
        self.failed_attempts = 0;
        self.open_for = 0;
        self.closed_at = 0;
    }
}
