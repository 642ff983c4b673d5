use super::counts::{InARow, Record};
use super::machine::Machine;
use super::probes::Result as ProbeResult;
use super::settings::OverloadCounts;
use super::ticket::Ticket;
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::Permit;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

/// A call that a breaker admitted.
///
/// Completing it counts it. Dropping it counts nothing, and gives a probe's slot back.
#[must_use = "a call that is dropped is not counted"]
pub struct BreakerPermit {
    machine: Arc<Machine>,
    ticket: Ticket,
}

impl BreakerPermit {
    #[inline]
    pub(super) fn new(machine: &Arc<Machine>, ticket: Ticket) -> Self {
        Self {
            machine: Arc::clone(machine),
            ticket,
        }
    }
}

impl Permit for BreakerPermit {
    #[inline]
    fn complete(mut self, outcome: Outcome, now: &Now) {
        self.machine.is_over(self.ticket, outcome, now);
        // Nothing is left to give back.
        self.ticket = Ticket::NONE;
    }

    /// As if the caller had dropped the call then, or callers in a hurry could open the breaker for
    /// everybody. A probe is there to get an answer, and has none.
    fn expired(self, now: &Now) {
        let outcome = if self.ticket.is_probe() {
            Outcome::Failure
        } else {
            Outcome::Cancelled
        };
        self.complete(outcome, now);
    }

    fn pushback(&mut self, wait: Duration) {
        if self.ticket != Ticket::NONE {
            // Rounded up, so that it is not too early; 49 days at most.
            let wait = wait.as_nanos().div_ceil(1_000_000);
            let wait = u32::try_from(wait).unwrap_or(u32::MAX);
            self.machine.note_pushback(wait);
        }
    }

    fn answered(&mut self) {
        if !self.ticket.is_probe() || self.machine.probe_is_answered(self.ticket) {
            self.ticket = self.ticket.answered();
        }
    }
}

impl Drop for BreakerPermit {
    #[inline]
    fn drop(&mut self) {
        if self.ticket.is_probe() {
            let nothing = ProbeResult::Nothing;
            self.machine.probe_is_over(self.ticket, nothing, None);
        }
    }
}

impl fmt::Debug for BreakerPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerPermit")
            .field("probe", &self.ticket.is_probe())
            .finish_non_exhaustive()
    }
}

/// How calls end.
impl Machine {
    #[inline(never)]
    fn is_over(&self, ticket: Ticket, outcome: Outcome, now: &Now) {
        if outcome != Outcome::Success || ticket.is_probe() {
            return self.is_otherwise_over(ticket, outcome, now);
        }
        if !ticket.is_of(self.word()) {
            return;
        }
        // A success is not asked how long it ran unless it may be slow: reading the clock costs
        // more than everything else here.
        let slow = self.settings.tells_slow && self.ran(ticket, now) >= self.settings.slow_after;
        let record = Record {
            failed: false,
            in_a_row: InARow::Ends,
            slow,
        };
        self.record(ticket, record, now);
    }

    #[inline(never)]
    fn is_otherwise_over(&self, ticket: Ticket, outcome: Outcome, now: &Now) {
        let failed = matches!(outcome, Outcome::Failure | Outcome::Overload);
        if failed && self.pushback.load(Relaxed) != 0 {
            self.heed_pushback(now);
        }
        if ticket.is_probe() {
            return self.complete_probe(ticket, outcome, now);
        }
        if !ticket.is_of(self.word()) {
            return;
        }
        let ran = if self.settings.reads_clock {
            self.ran(ticket, now)
        } else {
            0
        };
        if let Some(record) = self.judge(ticket, outcome, ran) {
            self.record(ticket, record, now);
        }
    }

    fn complete_probe(&self, ticket: Ticket, outcome: Outcome, now: &Now) {
        let ran = self.ran(ticket, now);
        // Streams end when their reader leaves, and nothing better can be learnt from them.
        let streamed = outcome == Outcome::Cancelled
            && ticket.is_answered()
            && ran >= self.settings.probe_patience;
        let result = match self.judge(ticket, outcome, ran) {
            Some(record) if record.failed || record.slow => ProbeResult::Failed,
            Some(_) => ProbeResult::Succeeded,
            None if streamed => ProbeResult::Succeeded,
            None => ProbeResult::Nothing,
        };
        self.probe_is_over(ticket, result, Some(now));
    }

    /// For how long the call ran. Moves the window on, too.
    #[inline]
    fn ran(&self, ticket: Ticket, now: &Now) -> u64 {
        let at = self.settings.since_anchor(now);
        self.counts.move_to(at);
        ticket.ran(at)
    }

    /// What a call means that ran for so long; `None` if nothing.
    fn judge(&self, ticket: Ticket, outcome: Outcome, ran: u64) -> Option<Record> {
        let slow = ran >= self.settings.slow_after;
        let record = |failed, in_a_row| Record {
            failed,
            in_a_row,
            slow,
        };
        match outcome {
            Outcome::Success => Some(record(false, InARow::Ends)),
            Outcome::Failure => Some(record(true, InARow::Adds)),
            Outcome::Overload => match self.settings.overload {
                OverloadCounts::AsFailure => Some(record(true, InARow::Adds)),
                OverloadCounts::ForTheRate => Some(record(true, InARow::Leaves)),
                OverloadCounts::AsNothing => None,
            },
            // The caller waited for an answer for as long as makes a callee a dead one.
            Outcome::Cancelled if ran >= self.settings.hung_after && !ticket.is_answered() => {
                Some(record(true, InARow::Adds))
            }
            // A reader who leaves says nothing about how long the answer took to begin.
            Outcome::Cancelled if slow && !ticket.is_answered() => {
                Some(record(false, InARow::Leaves))
            }
            Outcome::Cancelled => None,
        }
    }
}
