//! Going on from where another breaker is, whose settings may be others.

use super::ledger::Legacy;
use super::machine::Machine;
use super::state::{CircuitState, Mode, Phase, Word};
use super::transition::Cause;
use crate::now::Now;
use std::sync::atomic::Ordering::Relaxed;

/// What a breaker leaves to the one in its place. Each counts time from a point of its own, so that
/// what is to come is told by how long it is away.
struct Estate {
    word: Word,
    closed_for: u64,
    unwanted_for: u64,
    would_have_refused: u64,
    legacy: Legacy,
}

impl Machine {
    fn estate(&self, now: &Now) -> Estate {
        let ledger = self.ledger.lock();
        let at = self.settings.since_anchor(now);
        Estate {
            word: self.word(),
            closed_for: self.gate.load(Relaxed).saturating_sub(at),
            unwanted_for: self.not_before.load(Relaxed).saturating_sub(at),
            would_have_refused: self.would_have_refused.load(Relaxed),
            legacy: ledger.legacy(at),
        }
    }

    pub(super) fn take_over(&self, before: &Self, now: &Now) {
        let estate = before.estate(now);
        let mut ledger = self.ledger.lock();
        let at = self.settings.since_anchor(now);
        let later = |time: u64| match time {
            0 => 0,
            time => at.saturating_add(time),
        };
        let is_closed = estate.word.phase() == Phase::Closed;
        ledger.inherit(&estate.legacy, is_closed, at);
        self.not_before
            .fetch_max(later(estate.unwanted_for), Relaxed);
        self.would_have_refused
            .fetch_max(estate.would_have_refused, Relaxed);
        let phase = match estate.word.phase() {
            Phase::Closed => Phase::Closed,
            Phase::Open => {
                self.gate.store(later(estate.closed_for), Relaxed);
                Phase::Open
            }
            // Its probes are its own, so they begin anew.
            Phase::HalfOpen => {
                self.gate.store(0, Relaxed);
                Phase::Open
            }
        };
        if self.word().phase() != phase || self.word().mode() != estate.word.mode() {
            let next = self.word().next(estate.word.mode(), phase);
            self.change(&mut ledger, next, Cause::TakenOver, at, now);
        }
        self.tell(ledger);
    }

    /// The mode by hand.
    pub(super) fn mode(&self) -> Option<CircuitState> {
        let word = self.word();
        (word.mode() != Mode::Automatic).then(|| word.state())
    }

    pub(super) fn begin_in(&self, mode: CircuitState, now: &Now) {
        let mode = match mode {
            CircuitState::ForcedOpen => Mode::ForcedOpen,
            CircuitState::Disabled => Mode::Disabled,
            CircuitState::MetricsOnly => Mode::MetricsOnly,
            CircuitState::Closed | CircuitState::Open | CircuitState::HalfOpen => return,
        };
        let mut ledger = self.ledger.lock();
        let at = self.settings.since_anchor(now);
        let next = self.word().next(mode, Phase::Closed);
        self.change(&mut ledger, next, Cause::TakenOver, at, now);
        self.tell(ledger);
    }

    /// Whether one that takes its place would decide otherwise if it took over nothing but the mode.
    pub(super) fn remembers(&self, now: &Now) -> bool {
        let at = self.settings.since_anchor(now);
        self.word().phase() != Phase::Closed
            || self.not_before.load(Relaxed) > at
            || self.ledger.lock().closed_too_early(at)
    }
}
