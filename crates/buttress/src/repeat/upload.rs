//! Who is waited for while a request's body is sent.
//!
//! A call that has no answer yet tells nothing about the callee as long as the request is not there:
//! its sender may be slow. Who does not know that takes slow senders for a slow callee, and a circuit
//! breaker then cuts the callee off from everybody. But a callee that reads nothing leaves the body
//! unfinished, too. What tells the two apart is who has the turn: the sender, if the body was asked
//! for more and had nothing; else the callee.
//!
//! That is all that is known: how a call counts that ends now. No call runs for longer because of it.

use super::{AnswerKind, Look};
use buttress_core::{Outcome, Reason, Rejection};
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// How far the body of an attempt has been sent, for those who judge how the attempt went. It says
/// nothing of one whose body is complete from the start.
#[derive(Default)]
pub struct Upload {
    turn: Option<Arc<AtomicU8>>,
}

/// Who is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The callee: nobody has asked for the body yet, or it has something to go on with.
    Callee,
    /// Whoever sends the body: it was asked for more and had nothing.
    Sender,
    /// Nobody: the body broke off.
    Broken,
}

impl Upload {
    pub(crate) const fn nothing() -> Self {
        Self { turn: None }
    }

    #[inline]
    pub(super) const fn is_nothing(&self) -> bool {
        self.turn.is_none()
    }

    /// Whether the request's sender is waited for, or is gone: who leaves now has not lost patience
    /// with the callee.
    pub(super) fn excuses_leaving(&self) -> bool {
        self.turn() != Turn::Callee
    }

    /// How a call went that has failed with an error, or by this refusal of a layer further in. What
    /// a callee answers itself is its own, and not to be asked about.
    pub(super) fn excuse(&self, outcome: Outcome, refusal: Option<&Rejection>) -> Outcome {
        if !matches!(outcome, Outcome::Failure | Outcome::Overload) {
            return outcome;
        }
        let excused = match self.turn() {
            Turn::Callee => false,
            Turn::Sender => refusal.is_some_and(is_for_time),
            Turn::Broken => true,
        };
        if excused { Outcome::Cancelled } else { outcome }
    }

    /// The same for what an answer looks like.
    pub(crate) fn judge(&self, look: &mut Look) {
        look.outcome = match &look.answer {
            AnswerKind::Failed => self.excuse(look.outcome, None),
            AnswerKind::Rejected(rejection) => self.excuse(look.outcome, Some(rejection)),
            _ => look.outcome,
        };
    }

    fn turn(&self) -> Turn {
        let turn = self.turn.as_ref();
        match turn.map_or(CALLEE, |turn| turn.load(Ordering::Relaxed)) {
            SENDER => Turn::Sender,
            BROKEN => Turn::Broken,
            _ => Turn::Callee,
        }
    }
}

#[cfg(feature = "http")]
impl Upload {
    pub(super) fn begin() -> Self {
        let turn = SPARE.try_with(|spare| {
            let mut turns = spare.take();
            let turn = turns.pop();
            spare.set(turns);
            turn
        });
        let turn = turn.ok().flatten().unwrap_or_default();
        turn.store(CALLEE, Ordering::Relaxed);
        Self { turn: Some(turn) }
    }

    pub(super) fn share(&self) -> Self {
        let turn = self.turn.clone();
        Self { turn }
    }

    /// Whether the body broke off.
    pub(crate) fn is_broken(&self) -> bool {
        self.turn() == Turn::Broken
    }

    /// No ordering: whoever is told by the callee or the client what became of the body is told
    /// after this, and else it is a race who was first.
    fn tell(&self, turn: Turn) {
        if let Some(told) = &self.turn {
            let turn = match turn {
                Turn::Callee => CALLEE,
                Turn::Sender => SENDER,
                Turn::Broken => BROKEN,
            };
            told.store(turn, Ordering::Relaxed);
        }
    }
}

const CALLEE: u8 = 0;
const SENDER: u8 = 1;
const BROKEN: u8 = 2;

fn is_for_time(refusal: &Rejection) -> bool {
    matches!(refusal.reason(), Reason::TimedOut | Reason::DeadlinePassed)
}

/// The body's side of an [`Upload`].
#[derive(Debug)]
#[cfg(feature = "http")]
pub(super) struct Sending(pub(super) Upload);

#[cfg(feature = "http")]
impl Sending {
    /// The body was asked for more.
    #[inline]
    pub(super) fn tell(&self, turn: Turn) {
        self.0.tell(turn);
    }

    /// There will be no more of it.
    #[inline]
    pub(super) fn end(&mut self, turn: Turn) {
        self.0.tell(turn);
        self.0 = Upload::nothing();
    }
}

/// The memory of the last one is used again by a later call of the thread, so that a call whose body
/// is there at once allocates nothing.
impl Drop for Upload {
    #[inline]
    fn drop(&mut self) {
        if let Some(mut turn) = self.turn.take()
            && Arc::get_mut(&mut turn).is_some()
        {
            // A thread that ends keeps nothing.
            let _ = SPARE.try_with(|spare| {
                let mut turns = spare.take();
                if turns.len() < MOST_SPARE {
                    turns.push(turn);
                }
                spare.set(turns);
            });
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upload").field(&self.turn()).finish()
    }
}

/// So many wait to be used again, on each thread.
const MOST_SPARE: usize = 64;

thread_local! {
    static SPARE: Cell<Vec<Arc<AtomicU8>>> = const { Cell::new(Vec::new()) };
}
