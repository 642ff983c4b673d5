//! Who hears of a change.

use super::ledger::Ledger;
use super::machine::Machine;
use super::state::{Mode, Phase, Word};
use super::transition::{Cause, Transition};
use crate::now::Now;
use std::sync::atomic::Ordering::{Relaxed, Release};
use std::time::Duration;

#[cfg(not(loom))]
type Locked<'a> = parking_lot::MutexGuard<'a, Ledger>;
#[cfg(loom)]
type Locked<'a> = loom::sync::MutexGuard<'a, Ledger>;

impl Machine {
    /// Every change of the word.
    pub(super) fn change(&self, ledger: &mut Ledger, next: Word, cause: Cause, at: u64, now: &Now) {
        let word = self.word();
        self.word.store(next.0, Release);
        let counted = word.mode() == Mode::MetricsOnly && next.mode() == Mode::MetricsOnly;
        let (from, to) = if counted {
            (word.decision(), next.decision())
        } else {
            (word.state(), next.state())
        };
        if from == to {
            return;
        }
        let opened = next.phase() == Phase::Open;
        let open_for = self.gate.load(Relaxed).saturating_sub(at);
        if ledger.news.len() == MOST_NEWS {
            ledger.news.pop_front();
        }
        ledger.news.push_back(Transition {
            breaker: self.settings.name,
            from,
            to,
            cause,
            at: self.settings.instant(at, now),
            open_for: opened.then(|| Duration::from_nanos(open_for)),
            metrics_only: counted,
        });
    }

    /// Tells what has changed, in order and without holding the lock: listeners are foreign code,
    /// and may ask the breaker something.
    pub(super) fn tell<'a>(&'a self, mut ledger: Locked<'a>) {
        if ledger.telling || ledger.news.is_empty() {
            return;
        }
        ledger.telling = true;
        let on_panic = StopTelling(self);
        while let Some(transition) = ledger.news.pop_front() {
            drop(ledger);
            self.log(&transition);
            if let Some(listener) = &self.settings.listener {
                listener(&transition);
            }
            ledger = self.ledger.lock();
        }
        ledger.telling = false;
        std::mem::forget(on_panic);
    }

    fn log(&self, transition: &Transition) {
        let (from, to, cause) = (
            transition.from.name(),
            transition.to.name(),
            transition.cause.name(),
        );
        let Transition {
            breaker,
            open_for,
            metrics_only,
            ..
        } = transition;
        macro_rules! say {
            ($level:ident) => {
                tracing::$level!(
                    breaker,
                    from,
                    to,
                    cause,
                    ?open_for,
                    metrics_only,
                    "the circuit breaker changed its state"
                )
            };
        }
        if self.one_of_many {
            say!(debug);
        } else if open_for.is_some() {
            say!(warn);
        } else {
            say!(info);
        }
    }
}

/// As many are kept for a listener that is held up.
const MOST_NEWS: usize = 64;

/// If a listener panics, the next change is told all the same.
struct StopTelling<'a>(&'a Machine);

impl Drop for StopTelling<'_> {
    fn drop(&mut self) {
        self.0.ledger.lock().telling = false;
    }
}
