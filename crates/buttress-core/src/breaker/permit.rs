use super::counts::{InARow, Record};
use super::machine::{Machine, of_duration};
use super::probes::{Probe, Result as ProbeResult};
use super::settings::OverloadCounts;
use super::state::Word;
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::Permit;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A call that a breaker admitted.
///
/// Completing it counts it. Dropping it counts nothing, and gives a probe's slot back.
#[must_use = "a call that is dropped is not counted"]
pub struct BreakerPermit {
    machine: Arc<Machine>,
    /// The word that admitted it: if it has changed since, the result comes too late.
    word: Word,
    /// When it began, where that is of interest.
    start: u64,
    /// For how long the callee asked not to be called again, in nanoseconds.
    pushback: u64,
    probe: Option<Probe>,
    answered: bool,
}

impl BreakerPermit {
    #[inline]
    pub(super) fn counted(machine: &Arc<Machine>, word: Word, start: u64) -> Self {
        Self {
            machine: Arc::clone(machine),
            word,
            start,
            pushback: 0,
            probe: None,
            answered: false,
        }
    }

    pub(super) fn uncounted(machine: &Arc<Machine>) -> Self {
        Self::counted(machine, Word::NONE, 0)
    }

    pub(super) fn probe(machine: &Arc<Machine>, word: Word, start: u64, probe: Probe) -> Self {
        let mut permit = Self::counted(machine, word, start);
        permit.probe = Some(probe);
        permit
    }

    /// What the call means that ran for so long; `None` if nothing.
    #[inline]
    fn judge(&self, outcome: Outcome, ran: u64) -> Option<Record> {
        let settings = &*self.machine.settings;
        let slow = ran >= settings.slow_after;
        let record = |failed, in_a_row| Record {
            failed,
            in_a_row,
            slow,
        };
        match outcome {
            Outcome::Success => Some(record(false, InARow::Ends)),
            Outcome::Failure => Some(record(true, InARow::Adds)),
            Outcome::Overload => match settings.overload {
                OverloadCounts::AsFailure => Some(record(true, InARow::Adds)),
                OverloadCounts::ForTheRate => Some(record(true, InARow::Leaves)),
                OverloadCounts::AsNothing => None,
            },
            // The caller waited for an answer for as long as makes a callee a dead one.
            Outcome::Cancelled if ran >= settings.hung_after && !self.answered => {
                Some(record(true, InARow::Adds))
            }
            Outcome::Cancelled if slow => Some(record(false, InARow::Leaves)),
            Outcome::Cancelled => None,
        }
    }

    /// For how long the call ran, where that is of interest: a success is not asked unless it may
    /// be slow, since reading the clock costs more than everything else here.
    #[inline]
    fn ran(&self, outcome: Outcome, now: &Now) -> u64 {
        let settings = &*self.machine.settings;
        let asks = settings.tells_slow || outcome != Outcome::Success;
        if !(asks && settings.reads_clock) {
            return 0;
        }
        let at = settings.since_anchor(now);
        self.machine.counts.move_to(at);
        at.saturating_sub(self.start)
    }

    #[cold]
    fn complete_probe(&self, probe: Probe, outcome: Outcome, now: &Now) {
        let settings = &self.machine.settings;
        let ran = settings.since_anchor(now).saturating_sub(self.start);
        // Streams end when their reader leaves, and nothing better can be learnt from them.
        let streamed =
            outcome == Outcome::Cancelled && self.answered && ran >= settings.probe_patience;
        let result = match self.judge(outcome, ran) {
            Some(record) if record.failed || record.slow => ProbeResult::Failed,
            Some(_) => ProbeResult::Succeeded,
            None if streamed => ProbeResult::Succeeded,
            None => ProbeResult::Nothing,
        };
        let machine = &self.machine;
        machine.probe_is_over(self.word, probe, result, Some(now));
    }
}

impl Permit for BreakerPermit {
    #[inline]
    fn complete(mut self, outcome: Outcome, now: &Now) {
        if self.pushback != 0 && outcome != Outcome::Success {
            self.machine.push_back(self.pushback, now);
        }
        if let Some(probe) = self.probe.take() {
            return self.complete_probe(probe, outcome, now);
        }
        if self.machine.word() != self.word {
            return;
        }
        if let Some(record) = self.judge(outcome, self.ran(outcome, now)) {
            self.machine.record(self.word, record, now);
        }
    }

    fn pushback(&mut self, wait: Duration) {
        if self.word != Word::NONE {
            self.pushback = of_duration(wait);
        }
    }

    fn answered(&mut self) {
        self.answered = true;
        if let Some(probe) = &mut self.probe {
            self.machine.probe_is_answered(self.word, probe);
        }
    }
}

impl Drop for BreakerPermit {
    #[inline]
    fn drop(&mut self) {
        if let Some(probe) = self.probe.take() {
            let nothing = ProbeResult::Nothing;
            self.machine.probe_is_over(self.word, probe, nothing, None);
        }
    }
}

impl fmt::Debug for BreakerPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerPermit")
            .field("probe", &self.probe.is_some())
            .finish_non_exhaustive()
    }
}
