//! Who is waited for while a request's body is sent.
//!
//! A call that has no answer yet tells nothing about the callee as long as the request is not there:
//! its sender may be slow. A timeout that does not know that takes slow senders for a slow callee, and
//! a circuit breaker then cuts the callee off from everybody. But a callee that reads nothing leaves
//! the body unfinished, too. What tells the two apart is who has the turn: the sender, if the body was
//! asked for more and had nothing; else the callee.

use crate::clock;
use parking_lot::Mutex;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How far the body of an attempt has been sent, for those who wait for its answer. It says nothing
/// of an attempt whose body is complete from the start.
#[derive(Default)]
pub struct Upload {
    shared: Option<Arc<Shared>>,
}

#[derive(Default)]
struct Shared {
    /// When the caller stops waiting for the whole call.
    deadline: Option<Instant>,
    turn: Mutex<Turn>,
}

/// Who is waited for.
#[cfg_attr(
    not(feature = "http"),
    expect(dead_code, reason = "only HTTP has bodies")
)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The callee: nobody has asked for the body yet.
    #[default]
    Untouched,
    /// Whoever sends the body: it was asked for more and had nothing.
    Sender,
    /// The callee, which has something to go on with. Since when, if that was not at once.
    Callee(Option<Instant>),
    /// Nobody: the body broke off.
    Broken,
}

/// What came of asking a body for more.
#[cfg(feature = "http")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Nothing,
    Part,
    TheEnd,
    Error,
}

impl Upload {
    pub(crate) const fn nothing() -> Self {
        Self { shared: None }
    }

    pub(crate) const fn is_nothing(&self) -> bool {
        self.shared.is_none()
    }

    /// One that begins, of a call with this deadline.
    #[cfg(feature = "http")]
    pub(super) fn begin(deadline: Option<Instant>) -> Self {
        let mut shared = with_spare(Vec::pop).flatten().unwrap_or_default();
        if let Some(shared) = Arc::get_mut(&mut shared) {
            shared.deadline = deadline;
            *shared.turn.get_mut() = Turn::Untouched;
        }
        let shared = Some(shared);
        Self { shared }
    }

    #[cfg(feature = "http")]
    pub(super) fn share(&self) -> Self {
        let shared = self.shared.clone();
        Self { shared }
    }

    pub(super) fn turn(&self) -> Option<Turn> {
        self.shared.as_ref().map(|shared| *shared.turn.lock())
    }

    /// When the caller stops waiting for the whole call.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.shared.as_ref()?.deadline
    }
}

impl Turn {
    /// From when on the callee has been waited for; `now` if it is not. Nothing if that is from the
    /// beginning.
    pub(super) const fn callee_since(self, now: Instant) -> Option<Instant> {
        match self {
            Self::Sender => Some(now),
            Self::Callee(since) => since,
            Self::Untouched | Self::Broken => None,
        }
    }

    /// Whether somebody who leaves now cannot have lost patience with the callee.
    pub(super) fn excuses_leaving(self) -> bool {
        match self {
            Self::Sender | Self::Broken => true,
            Self::Callee(Some(since)) => clock::now().saturating_duration_since(since) < HASTE,
            Self::Callee(None) | Self::Untouched => false,
        }
    }
}

/// Who leaves within this time has not lost patience, but changed their mind. It is what circuit
/// breakers take for it, too.
const HASTE: Duration = Duration::from_millis(250);

/// The body's side of an [`Upload`].
#[derive(Debug)]
#[cfg(feature = "http")]
pub(super) struct Sending(pub(super) Upload);

#[cfg(feature = "http")]
impl Sending {
    /// What came of asking the body for more. No clock is read for what is there in one piece.
    #[inline]
    pub(super) fn note(&mut self, asked: Asked) {
        if let Some(shared) = &self.0.shared {
            shared.note(asked);
            if matches!(asked, Asked::TheEnd | Asked::Error) {
                self.0 = Upload::nothing();
            }
        }
    }
}

#[cfg(feature = "http")]
impl Shared {
    fn note(&self, asked: Asked) {
        let mut turn = self.turn.lock();
        *turn = match (asked, *turn) {
            (Asked::Nothing, _) => Turn::Sender,
            (Asked::Error, _) => Turn::Broken,
            (Asked::Part | Asked::TheEnd, Turn::Untouched) => Turn::Callee(None),
            (Asked::Part | Asked::TheEnd, _) => Turn::Callee(Some(clock::now())),
        };
    }
}

/// Nobody waits for the sender of a body that the callee wants no more of.
#[cfg(feature = "http")]
impl Drop for Sending {
    #[inline]
    fn drop(&mut self) {
        if let Some(shared) = &self.0.shared {
            let mut turn = shared.turn.lock();
            if *turn == Turn::Sender {
                *turn = Turn::Callee(Some(clock::now()));
            }
        }
    }
}

/// The memory of the last one is used again by a later call of the thread, so that a call with a body
/// allocates nothing.
impl Drop for Upload {
    #[inline]
    fn drop(&mut self) {
        if let Some(mut shared) = self.shared.take()
            && Arc::get_mut(&mut shared).is_some()
        {
            with_spare(|spare| {
                if spare.len() < MOST_SPARE {
                    spare.push(shared);
                }
            });
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Upload").field(&self.turn()).finish()
    }
}

/// So many wait to be used again, on each thread: 64 KiB at most.
const MOST_SPARE: usize = 512;

thread_local! {
    static SPARE: Cell<Vec<Arc<Shared>>> = const { Cell::new(Vec::new()) };
}

/// Nothing if the thread is ending.
fn with_spare<R>(look: impl FnOnce(&mut Vec<Arc<Shared>>) -> R) -> Option<R> {
    let with = |cell: &Cell<Vec<_>>| {
        let mut spare = cell.take();
        let result = look(&mut spare);
        cell.set(spare);
        result
    };
    SPARE.try_with(with).ok()
}
