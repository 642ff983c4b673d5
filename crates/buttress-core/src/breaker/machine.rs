//! What all clones of a breaker, and the calls that it admitted, share.

use super::counts::{Counts, Record};
use super::ledger::Ledger;
use super::permit::BreakerPermit;
use super::probes::Result as ProbeResult;
use super::settings::Checked;
use super::state::{Mode, Phase, Word};
use super::ticket::Ticket;
use super::transition::{Cause, Snapshot};
use crate::never::Never;
use crate::now::Now;
use crate::policy::Admission;
use crate::rejection::{Reason, Rejection};
use crate::sync::{AtomicU32, AtomicU64, Mutex, fence};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::time::Duration;

pub(super) struct Machine {
    pub(super) word: AtomicU64,
    /// While it is open or half-open, nobody is let in before this time. Whoever comes later takes
    /// the lock and looks closer.
    pub(super) gate: AtomicU64,
    pub(super) counts: Counts,
    pub(super) settings: Arc<Checked>,
    /// The callee asked not to be called before this time.
    pub(super) not_before: AtomicU64,
    /// What callees asked calls for that are not over yet, in milliseconds.
    pub(super) pushback: AtomicU32,
    pub(super) would_have_refused: AtomicU64,
    /// The word changes only under its lock.
    pub(super) ledger: Mutex<Ledger>,
    /// One of the breakers of many keys: its changes are no news for an operator, and how many
    /// there are is up to the callers.
    pub(super) one_of_many: bool,
}

/// How many nanoseconds to wait, where that is known.
type Wait = Option<u64>;

impl Machine {
    pub(super) fn new(settings: Arc<Checked>, one_of_many: bool) -> Self {
        Self {
            word: AtomicU64::new(Word::START.0),
            gate: AtomicU64::new(0),
            counts: Counts::new(&settings),
            settings,
            not_before: AtomicU64::new(0),
            pushback: AtomicU32::new(0),
            would_have_refused: AtomicU64::new(0),
            ledger: Mutex::new(Ledger::default()),
            one_of_many,
        }
    }

    /// One of many, in the same mode.
    pub(super) fn for_a_key(&self) -> Self {
        let own = Self::new(Arc::clone(&self.settings), true);
        let mode = self.word().mode();
        if mode != Mode::Automatic {
            let word = Word::START.next(mode, Phase::Closed);
            own.word.store(word.0, Release);
        }
        own
    }

    #[inline]
    pub(super) fn word(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    #[inline]
    pub(super) fn admit(self: &Arc<Self>, now: &Now) -> Admission<BreakerPermit, Never> {
        let word = self.word();
        if word.is_closed_and_automatic() {
            return Admission::Admitted(self.let_pass(word, now));
        }
        match self.admit_unless_open(word, now) {
            Ok(permit) => Admission::Admitted(permit),
            Err(wait) => Admission::Refused(self.rejection(wait)),
        }
    }

    /// Admits a call whose result counts in the state of `word`.
    #[inline]
    fn let_pass(self: &Arc<Self>, word: Word, now: &Now) -> BreakerPermit {
        let start = if self.settings.reads_clock {
            self.begin(now)
        } else {
            0
        };
        BreakerPermit::new(self, Ticket::new(word, start))
    }

    #[inline(never)]
    fn begin(&self, now: &Now) -> u64 {
        let start = self.settings.since_anchor(now);
        self.counts.move_to(start);
        start
    }

    /// A permit, or for how long nobody will get one. It returns no rejection, since that is large,
    /// and is best made where it is put into a box.
    #[inline(never)]
    fn admit_unless_open(self: &Arc<Self>, word: Word, now: &Now) -> Result<BreakerPermit, Wait> {
        match (word.mode(), word.phase()) {
            (Mode::ForcedOpen, _) => Err(None),
            (Mode::Disabled, _) => Ok(BreakerPermit::new(self, Ticket::NONE)),
            (_, Phase::Closed) => Ok(self.let_pass(word, now)),
            (_, Phase::Open | Phase::HalfOpen) => {
                let at = self.settings.since_anchor(now);
                if at < self.gate.load(Relaxed) {
                    return self.refuse(word, at);
                }
                self.admit_probe(at, now)
            }
        }
    }

    fn refuse(self: &Arc<Self>, word: Word, at: u64) -> Result<BreakerPermit, Wait> {
        if word.mode() == Mode::MetricsOnly {
            self.would_have_refused.fetch_add(1, Relaxed);
            return Ok(BreakerPermit::new(self, Ticket::NONE));
        }
        Err(match word.phase() {
            Phase::Open => Some(self.gate.load(Relaxed).saturating_sub(at)),
            // The probes are out, and when they will be back nobody knows.
            _ => None,
        })
    }

    #[inline]
    fn rejection(&self, wait: Wait) -> Rejection {
        let rejection = Rejection::new(Reason::CircuitOpen, self.settings.name);
        match wait {
            Some(wait) => rejection.retry_after(Duration::from_nanos(wait)),
            None => rejection,
        }
    }

    /// The open time may be over, or a probe's slot free: takes it, or finds that it is not so.
    #[cold]
    fn admit_probe(self: &Arc<Self>, at: u64, now: &Now) -> Result<BreakerPermit, Wait> {
        let settings = &*self.settings;
        let mut ledger = self.ledger.lock();
        let word = self.word();
        if !word.decides() || word.phase() == Phase::Closed {
            drop(ledger);
            return self.admit_unless_open(self.word(), now);
        }
        if word.phase() == Phase::Open {
            if at < self.gate.load(Relaxed) {
                return self.refuse(word, at);
            }
            let next = word.next(word.mode(), Phase::HalfOpen);
            ledger.probes.begin(next.generation());
            self.change(&mut ledger, next, Cause::OpenTimePassed, at, now);
        } else if !ledger.probes.has_slot(settings) {
            if at < ledger.probes.lost_at(settings) {
                return self.refuse(word, at);
            }
            ledger.probes.give_up();
            if self.decide(&mut ledger, now) {
                self.tell(ledger);
                return self.admit_unless_open(self.word(), now);
            }
            let next = word.next(word.mode(), Phase::HalfOpen);
            self.word.store(next.0, Release);
        }
        ledger.probes.take(at);
        self.set_gate(&ledger);
        let permit = BreakerPermit::new(self, Ticket::probe(self.word(), at));
        self.tell(ledger);
        Ok(permit)
    }

    /// A probe's answer has begun. Returns whether that is worth a note.
    pub(super) fn probe_is_answered(&self, ticket: Ticket) -> bool {
        let mut ledger = self.ledger.lock();
        let news = ticket.is_of(self.word()) && !ticket.is_answered();
        if news {
            ledger.probes.answer();
        }
        news
    }

    /// A probe is over. Without a time nothing can have been learnt.
    pub(super) fn probe_is_over(&self, ticket: Ticket, result: ProbeResult, now: Option<&Now>) {
        let mut ledger = self.ledger.lock();
        let word = self.word();
        let rounds = word.generation().wrapping_sub(ledger.probes.since);
        let Some(age) = ticket.age(word) else {
            return;
        };
        // A probe of an earlier half-open state has no slot in this one.
        if word.phase() != Phase::HalfOpen || u64::from(age) > rounds {
            return;
        }
        let probes = &mut ledger.probes;
        probes.finish(age == 0, ticket.is_answered(), result);
        let decided = now.is_some_and(|now| self.decide(&mut ledger, now));
        if !decided {
            self.set_gate(&ledger);
        }
        self.tell(ledger);
    }

    /// Closes or opens a half-open breaker, if its probes say so.
    fn decide(&self, ledger: &mut Ledger, now: &Now) -> bool {
        let Some(well) = ledger.probes.verdict(&self.settings) else {
            return false;
        };
        let at = self.settings.since_anchor(now);
        if well {
            let mode = self.word().mode();
            ledger.close(at);
            self.close(ledger, mode, Cause::ProbesSucceeded, at, now);
        } else {
            self.open(ledger, Cause::ProbesFailed, at, now);
        }
        true
    }

    /// Counts a call that a closed breaker admitted, and opens it if that was one too many.
    #[inline]
    pub(super) fn record(&self, ticket: Ticket, record: Record, now: &Now) {
        if let Some(cause) = self.counts.record(record, &self.settings) {
            self.trip(ticket, cause, now);
        }
    }

    #[cold]
    fn trip(&self, ticket: Ticket, cause: Cause, now: &Now) {
        let mut ledger = self.ledger.lock();
        // Of several calls that are one too many, the first one opens it.
        if ticket.is_of(self.word()) {
            let at = self.settings.since_anchor(now);
            self.open(&mut ledger, cause, at, now);
            self.tell(ledger);
        }
    }

    /// The callee asked a call not to be called for so many milliseconds. It takes effect when the
    /// call is over.
    pub(super) fn note_pushback(&self, wait: u32) {
        self.pushback.fetch_max(wait, Relaxed);
    }

    #[cold]
    pub(super) fn heed_pushback(&self, now: &Now) {
        let wait = u64::from(self.pushback.swap(0, Relaxed)) * 1_000_000;
        let at = self.settings.since_anchor(now);
        let until = at + wait.min(self.settings.open_time.longest);
        self.not_before.fetch_max(until, Relaxed);
        // Whoever opens it now sees this wish, or is seen here to have opened it.
        fence(SeqCst);
        if self.word().phase() == Phase::Open {
            let _ledger = self.ledger.lock();
            if self.word().phase() == Phase::Open {
                self.gate.fetch_max(until, Relaxed);
            }
        }
    }

    fn open(&self, ledger: &mut Ledger, cause: Cause, at: u64, now: &Now) {
        let word = self.word();
        let open_for = ledger.open(at, cause == Cause::ProbesFailed, &self.settings);
        let until = (at.saturating_add(open_for)).max(self.not_before.load(Relaxed));
        ledger.opened_until(at, until);
        self.gate.store(until, Relaxed);
        let next = word.next(word.mode(), Phase::Open);
        self.change(ledger, next, cause, at, now);
        fence(SeqCst);
        self.gate.fetch_max(self.not_before.load(Relaxed), Relaxed);
    }

    fn close(&self, ledger: &mut Ledger, mode: Mode, cause: Cause, at: u64, now: &Now) {
        self.counts.clear();
        let next = self.word().next(mode, Phase::Closed);
        self.change(ledger, next, cause, at, now);
    }

    /// Says before when there is nothing to get for newcomers.
    fn set_gate(&self, ledger: &Ledger) {
        let gate = if ledger.probes.has_slot(&self.settings) {
            0
        } else {
            ledger.probes.lost_at(&self.settings)
        };
        self.gate.store(gate, Relaxed);
    }

    /// Puts the breaker into a mode by hand. Its windows start afresh.
    pub(super) fn set_mode(&self, mode: Mode, forget: bool, now: &Now) {
        let mut ledger = self.ledger.lock();
        let at = self.settings.since_anchor(now);
        if forget {
            ledger.forget();
            self.not_before.store(0, Relaxed);
            self.pushback.store(0, Relaxed);
            self.would_have_refused.store(0, Relaxed);
        } else {
            ledger.close(at);
        }
        self.close(&mut ledger, mode, Cause::ByHand, at, now);
        self.tell(ledger);
    }

    /// What the next call meets.
    fn word_at(&self, at: u64) -> Word {
        let word = self.word();
        if word.phase() == Phase::Open && self.gate.load(Relaxed) <= at {
            // Nobody has called since the open time passed.
            return word.next(word.mode(), Phase::HalfOpen);
        }
        word
    }

    pub(super) fn snapshot(&self, now: &Now) -> Snapshot {
        let at = self.settings.since_anchor(now);
        let ledger = self.ledger.lock();
        let word = self.word_at(at);
        let wait = self.gate.load(Relaxed).saturating_sub(at);
        let open = word.phase() == Phase::Open;
        let half_open = self.word().phase() == Phase::HalfOpen;
        Snapshot {
            state: word.state(),
            decision: word.decision(),
            retry_after: open.then(|| Duration::from_nanos(wait)),
            consecutive_failures: self.counts.in_a_row(),
            time_window: self.counts.by_time(at),
            count_window: self.counts.by_count(),
            probes: if half_open { ledger.probes.out } else { 0 },
            openings: ledger.openings,
            would_have_refused: self.would_have_refused.load(Relaxed),
        }
    }

    pub(super) fn state(&self, now: &Now) -> super::CircuitState {
        match self.word() {
            word if word.phase() == Phase::Open => {
                self.word_at(self.settings.since_anchor(now)).state()
            }
            word => word.state(),
        }
    }

    /// Whether a new breaker would decide the same.
    pub(super) fn is_as_new(&self, now: &Now) -> bool {
        if !self.word().is_closed_and_automatic() {
            return false;
        }
        let at = self.settings.since_anchor(now);
        self.counts.are_empty(at)
            && self.not_before.load(Relaxed) <= at
            && !self.ledger.lock().closed_too_early(at)
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("name", &self.settings.name)
            .field("state", &self.word().state())
            .finish_non_exhaustive()
    }
}
