//! The state machine of paced draining.

#[cfg(all(test, not(loom)))]
mod tests;
mod turn;

pub use turn::PaceTurn;

use crate::look::{Blind, Look};
use crate::now::Now;
use crate::policy::{Admission, PerKey, Policy, Retention};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_duration, check_name, check_range};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Lets calls go one by one at a steady pace, and has the others wait in line: a leaky bucket.
///
/// Unlike a rate limit it saves nothing up: after a quiet hour, too, the second call goes one
/// interval after the first. Who is first in line goes when the interval is over, and when somebody
/// leaves the line, all those behind move up. A call whose turn would come too late is refused at
/// once, and one whose caller's deadline has passed when it comes is not run. One that is not polled
/// when its turn has come holds the others up for no longer than they may wait. `L` is what is
/// [seen](Look) in a call that has to wait.
///
/// ```
/// use buttress_core::{Admission, Now, Pacer, Policy};
/// use std::time::{Duration, Instant};
///
/// let pace = Pacer::new(10, Duration::from_secs(1))?.waiting_room(5, Duration::from_secs(1))?;
/// let now = Now::at(Instant::now());
/// assert!(matches!(pace.admit("a call", &now), Admission::Admitted(())));
/// assert!(matches!(pace.admit("another", &now), Admission::Wait(_)));
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
#[derive(Clone)]
pub struct Pacer<L = Blind> {
    shared: Arc<Shared>,
    look: L,
}

#[derive(Debug)]
struct Shared {
    line: Mutex<Line>,
}

#[derive(Clone, Copy, Debug)]
struct Settings {
    name: &'static str,
    interval: Duration,
    places: usize,
    longest_wait: Duration,
}

/// Tickets are numbered in the order in which they came.
#[derive(Debug)]
struct Line {
    settings: Settings,
    /// When the next call may go.
    next: Option<Instant>,
    tickets: BTreeMap<u64, Option<Waker>>,
    issued: u64,
}

impl Pacer {
    /// `calls` (1 to 2³² − 1) in each `period` (up to a year), evenly, and not more than one in a
    /// nanosecond. Nobody waits, and the name is `"pace"`.
    ///
    /// # Errors
    ///
    /// Either is out of range.
    pub fn new(calls: u32, period: Duration) -> Result<Self, SettingError> {
        let calls = check_range("calls", calls, 1..=u32::MAX)?;
        let interval = check_duration("period", period)? / calls;
        if interval.is_zero() {
            let allowed = "at most one in each nanosecond of the period";
            return Err(SettingError::new("calls", calls, allowed));
        }
        let settings = Settings {
            name: "pace",
            interval,
            places: 0,
            longest_wait: Duration::ZERO,
        };
        Ok(Self::with(settings, Blind))
    }
}

impl<L> Pacer<L> {
    /// Lets at most `places` calls wait, from 1 to 1 000 000, each for `longest_wait` at most.
    ///
    /// # Errors
    ///
    /// `places` is out of range, or `longest_wait` is 0 or longer than a year.
    pub fn waiting_room(self, places: u32, longest_wait: Duration) -> Result<Self, SettingError> {
        let places = check_range("waiting_room.places", places, 1..=1_000_000)? as usize;
        let longest_wait = check_duration("waiting_room.longest_wait", longest_wait)?;
        let settings = Settings {
            places,
            longest_wait,
            ..self.settings()
        };
        Ok(Self::with(settings, self.look))
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError> {
        let name = check_name("named", name)?;
        let settings = Settings {
            name,
            ..self.settings()
        };
        Ok(Self::with(settings, self.look))
    }

    /// What is seen in a call that has to wait: its caller's deadline.
    pub fn looking<M>(self, look: M) -> Pacer<M> {
        Pacer {
            shared: self.shared,
            look,
        }
    }

    /// One with the same settings that shares nothing with this one.
    pub fn fresh(&self) -> Self
    where
        L: Clone,
    {
        Self::with(self.settings(), self.look.clone())
    }

    /// Goes by the settings of another one from now on, while calls run: its pace, its waiting room and
    /// its name. Those that wait go at the new pace, but none waits longer than it might have before;
    /// they stay also if there is no room any more. The next call goes when it would have, or an
    /// interval of the new pace from now if that is earlier.
    pub fn follow<M>(&self, other: &Pacer<M>, now: &Now) {
        let settings = other.settings();
        let mut line = self.shared.line.lock();
        line.settings = settings;
        let soon = now.instant().checked_add(settings.interval);
        line.next = match (line.next, soon) {
            (Some(next), Some(soon)) => Some(next.min(soon)),
            (next, _) => next,
        };
        // It may be waiting for a later time.
        let first = line.take_first_waker();
        drop(line);
        if let Some(waker) = first {
            waker.wake();
        }
    }

    /// How many calls wait.
    pub fn waiting(&self) -> usize {
        self.shared.line.lock().tickets.len()
    }

    fn settings(&self) -> Settings {
        self.shared.line.lock().settings
    }

    fn with(settings: Settings, look: L) -> Self {
        let line = Mutex::new(Line {
            settings,
            next: None,
            tickets: BTreeMap::new(),
            issued: 0,
        });
        Self {
            shared: Arc::new(Shared { line }),
            look,
        }
    }
}

impl<C: ?Sized, L: Look<C>> Policy<C> for Pacer<L> {
    type Permit = ();
    type Waiting = PaceTurn;

    fn admit(&self, call: &C, now: &Now) -> Admission<(), PaceTurn> {
        let at = now.instant();
        let deadline = self.look.deadline(call);
        let mut line = self.shared.line.lock();
        let settings = line.settings;
        let next = line.next.map_or(at, |next| next.max(at));
        let ahead = line.tickets.len();
        if ahead == 0 && next == at {
            line.next = at.checked_add(settings.interval);
            return Admission::Admitted(());
        }
        // A million waits of a year at most.
        let wait = (next - at).saturating_add(settings.interval.saturating_mul(ahead as u32));
        let too_many = ahead >= settings.places;
        let turn = at
            .checked_add(wait)
            .filter(|_| wait <= settings.longest_wait);
        let Some(turn) = turn.filter(|_| !too_many) else {
            // When the line is a place shorter, or so much that the wait is not too long.
            let after = wait.saturating_sub(settings.longest_wait);
            let after = if too_many {
                after.max(next - at)
            } else {
                after
            };
            let refusal = Rejection::new(Reason::Overloaded, settings.name);
            return Admission::Refused(refusal.retry_after(after));
        };
        if deadline.is_some_and(|deadline| deadline <= turn) {
            // It would wait in vain.
            return Admission::Refused(Rejection::new(Reason::DeadlinePassed, settings.name));
        }
        let ticket = line.issued;
        line.issued += 1;
        line.tickets.insert(ticket, None);
        Admission::Wait(PaceTurn {
            shared: Arc::clone(&self.shared),
            ticket: Some(ticket),
            until: at.checked_add(settings.longest_wait + TIMER_PRECISION),
            deadline,
            wake_at: None,
        })
    }

    fn poll_admit(
        &self,
        turn: &mut PaceTurn,
        _: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        turn.poll(now.instant(), context)
    }

    fn wake_at(&self, turn: &PaceTurn) -> Option<Instant> {
        turn.wake_at
    }
}

impl<C: ?Sized, L: Look<C>> PerKey<C> for Pacer<L> {
    const TAKES_BACK: bool = false;

    fn retention(&self, now: &Now) -> Retention {
        let line = self.shared.line.lock();
        if !line.tickets.is_empty() {
            Retention::Held
        } else if line.next.is_some_and(|next| next > now.instant()) {
            Retention::Active
        } else {
            Retention::Idle
        }
    }
}

impl<L> fmt::Debug for Pacer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer")
            .field("name", &self.settings().name)
            .field("interval", &self.settings().interval)
            .field("waiting", &self.waiting())
            .finish_non_exhaustive()
    }
}

impl Settings {
    /// When the next call may go after one that was due at `due` and went at `now`. A timer rings a
    /// little late, which must not add up; and if it was much too late, what was missed is not made
    /// up for in a burst.
    fn after(&self, due: Instant, now: Instant) -> Option<Instant> {
        let earliest = now.checked_sub(TIMER_PRECISION).unwrap_or(now);
        due.max(earliest).checked_add(self.interval)
    }
}

impl Line {
    fn is_first(&self, ticket: u64) -> bool {
        let first = self.tickets.first_key_value();
        first.is_some_and(|(first, _)| *first == ticket)
    }

    /// The first has not come for its turn: somebody keeps its future and does not poll it. It makes
    /// way. Returns whom to wake: it, and who is first now, unless that is who asked.
    fn put_first_out(&mut self, asking: u64) -> [Option<Waker>; 2] {
        let first = self.tickets.pop_first().and_then(|(_, waker)| waker);
        let next = if self.is_first(asking) {
            None
        } else {
            self.take_first_waker()
        };
        [first, next]
    }

    /// Who is first now must be woken, in order to wait for its time.
    fn take_first_waker(&mut self) -> Option<Waker> {
        let mut first = self.tickets.first_entry()?;
        first.get_mut().take()
    }
}

/// How late tokio's timers ring: they count in milliseconds.
const TIMER_PRECISION: Duration = Duration::from_millis(2);
