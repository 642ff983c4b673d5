//! The state machine of a bulkhead.
//!
//! How many slots are taken lives in one atomic number, so that a call which finds one free takes
//! no lock. The waiting line lives behind a lock. A bit in the number says that somebody stands in
//! line; while it is set, newcomers go to the end of the line instead of past it, and whoever gives
//! a slot back hands it to the first in line.

mod line;
#[cfg(all(test, loom))]
mod loom_tests;

use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, PerKey, Permit, Policy, Retention};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_duration, check_name, check_range};
use crate::sync::{AtomicU32, AtomicUsize, Mutex};
use line::{Line, Place};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A number of slots, and a waiting room in front of them. Clones share both.
///
/// A call holds a slot from admission to its end. Without a waiting room (the default) a call that
/// finds no slot is refused at once with [`Reason::BulkheadFull`]; with one it waits its turn,
/// first come, first served, and is refused with [`Reason::WaitedTooLong`] when its time is up.
#[derive(Clone)]
pub struct Slots {
    shared: Arc<Shared>,
}

impl Slots {
    /// `limit` slots, from 1 to 2³² − 1, and no waiting room. The name is `"bulkhead"`.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn new(limit: u32) -> Result<Self, SettingError> {
        Ok(Self::with(
            check_range("limit", limit, 1..=u32::MAX)?,
            Settings {
                name: "bulkhead",
                room: None,
            },
        ))
    }

    /// Lets at most `places` calls wait, from 1 to 1 000 000, each for `longest_wait` at most.
    ///
    /// # Errors
    ///
    /// `places` is out of range, or `longest_wait` is 0 or longer than a year.
    pub fn waiting_room(self, places: u32, longest_wait: Duration) -> Result<Self, SettingError> {
        let room = Room {
            places: check_range("waiting_room.places", places, 1..=1_000_000)? as usize,
            longest_wait: check_duration("waiting_room.longest_wait", longest_wait)?,
        };
        Ok(self.changed(|settings| settings.room = Some(room)))
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError> {
        let name = check_name("named", name)?;
        Ok(self.changed(|settings| settings.name = name))
    }

    /// Slots with the same settings that share nothing with these.
    pub fn fresh(&self) -> Self {
        Self::with(self.limit(), self.shared.settings)
    }

    /// Changes the number of slots while calls run. Waiting calls get what a higher limit frees at
    /// once; under a lower one no call is interrupted, and none is admitted until enough have
    /// ended.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn set_limit(&self, limit: u32) -> Result<(), SettingError> {
        let limit = check_range("limit", limit, 1..=u32::MAX)?;
        self.shared.limit.store(limit, Ordering::Release);
        self.shared.hand_over();
        Ok(())
    }

    /// How many calls may be under way at once.
    pub fn limit(&self) -> u32 {
        self.shared.limit.load(Ordering::Acquire)
    }

    /// How many are.
    pub fn taken(&self) -> usize {
        self.shared.state.load(Ordering::Acquire) / ONE
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.shared.line.lock().len()
    }

    fn with(limit: u32, settings: Settings) -> Self {
        Self {
            shared: Arc::new(Shared {
                state: AtomicUsize::new(0),
                limit: AtomicU32::new(limit),
                line: Mutex::new(Line::default()),
                settings,
            }),
        }
    }

    fn changed(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = self.shared.settings;
        change(&mut settings);
        Self::with(self.limit(), settings)
    }

    #[inline]
    fn permit(&self) -> Slot {
        Slot {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<C: ?Sized> Policy<C> for Slots {
    type Permit = Slot;
    type Waiting = Turn;

    #[inline]
    fn admit(&self, _: &C, now: &Now) -> Admission<Slot, Turn> {
        if self.shared.try_take() {
            return Admission::Admitted(self.permit());
        }
        match self.shared.settings.room {
            None => Admission::Refused(self.shared.rejection(Reason::BulkheadFull)),
            Some(room) => self.stand_in_line(room, now),
        }
    }

    fn poll_admit(
        &self,
        turn: &mut Turn,
        _: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Slot, Rejection>> {
        turn.poll(now, context)
    }

    fn wake_at(&self, turn: &Turn) -> Option<Instant> {
        turn.until
    }
}

impl Slots {
    #[cold]
    fn stand_in_line(&self, room: Room, now: &Now) -> Admission<Slot, Turn> {
        match self.shared.join(room.places) {
            Joined::TookSlot => Admission::Admitted(self.permit()),
            Joined::Full => Admission::Refused(self.shared.rejection(Reason::BulkheadFull)),
            Joined::Standing(place) => Admission::Wait(Turn {
                shared: Arc::clone(&self.shared),
                place: Some(place),
                until: now.instant().checked_add(room.longest_wait),
            }),
        }
    }
}

impl<C: ?Sized> PerKey<C> for Slots {
    const TAKES_BACK: bool = false;

    fn retention(&self, _: &Now) -> Retention {
        // Whoever stands in line holds the waiting bit.
        match self.shared.state.load(Ordering::Acquire) {
            0 => Retention::Idle,
            _ => Retention::Held,
        }
    }
}

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("name", &self.shared.settings.name)
            .field("limit", &self.limit())
            .field("taken", &self.taken())
            .field("waiting", &self.waiting())
            .finish()
    }
}

/// A slot that a call holds. Completing it and dropping it both give it back.
#[must_use = "dropping it gives the slot back"]
pub struct Slot {
    shared: Arc<Shared>,
}

impl Permit for Slot {
    const WANTS_OUTCOME: bool = false;

    fn complete(self, _: Outcome, _: &Now) {}
}

impl Drop for Slot {
    #[inline]
    fn drop(&mut self) {
        self.shared.release();
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

/// A call's place in the waiting line. Dropping it leaves the line, and passes on a slot that had
/// come its way already.
#[must_use = "dropping it leaves the line"]
pub struct Turn {
    shared: Arc<Shared>,
    /// `None` once the answer has been given.
    place: Option<Place>,
    until: Option<Instant>,
}

impl Turn {
    fn poll(&mut self, now: &Now, context: &mut Context<'_>) -> Poll<Result<Slot, Rejection>> {
        let Some(place) = self.place else {
            return Poll::Pending;
        };
        let mut line = self.shared.line.lock();
        if line.take_grant(place) {
            drop(line);
            self.place = None;
            return Poll::Ready(Ok(Slot {
                shared: Arc::clone(&self.shared),
            }));
        }
        if self.until.is_some_and(|until| now.instant() >= until) {
            drop(line);
            self.leave();
            let rejection = self.shared.rejection(Reason::WaitedTooLong);
            return Poll::Ready(Err(rejection));
        }
        let replaced = line.wake_me(place, context.waker());
        drop(line);
        // A waker's destructor is foreign code: it runs outside the lock.
        drop(replaced);
        Poll::Pending
    }

    fn leave(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        if self.shared.leave(place) {
            self.shared.release();
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

#[derive(Clone, Copy)]
struct Settings {
    name: &'static str,
    room: Option<Room>,
}

#[derive(Clone, Copy)]
struct Room {
    places: usize,
    longest_wait: Duration,
}

struct Shared {
    /// The number of slots taken, times [`ONE`], and the bit [`WAITING`].
    state: AtomicUsize,
    limit: AtomicU32,
    line: Mutex<Line>,
    settings: Settings,
}

/// Set while somebody stands in line. It changes only under the line's lock.
const WAITING: usize = 1;
const ONE: usize = 2;

enum Joined {
    TookSlot,
    Standing(Place),
    Full,
}

impl Shared {
    /// Takes a slot if one is free and nobody stands in line for it.
    #[inline]
    fn try_take(&self) -> bool {
        let limit = self.limit.load(Ordering::Acquire) as usize;
        let mut state = self.state.load(Ordering::Relaxed);
        while state & WAITING == 0 && state / ONE < limit {
            match self.state.compare_exchange_weak(
                state,
                state + ONE,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(actual) => state = actual,
            }
        }
        false
    }

    #[inline]
    fn release(&self) {
        if self.state.fetch_sub(ONE, Ordering::AcqRel) & WAITING != 0 {
            self.hand_over();
        }
    }

    fn join(&self, places: usize) -> Joined {
        let mut line = self.line.lock();
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let limit = self.limit.load(Ordering::Acquire) as usize;
            // A slot may have come free since the caller looked. If nobody stood in line then,
            // its owner has handed it to nobody.
            let (next, joined) = if state & WAITING == 0 && state / ONE < limit {
                (state + ONE, Some(Joined::TookSlot))
            } else if line.len() >= places {
                return Joined::Full;
            } else {
                (state | WAITING, None)
            };
            match self
                .state
                .compare_exchange(state, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return joined.unwrap_or_else(|| Joined::Standing(line.push())),
                Err(actual) => state = actual,
            }
        }
    }

    /// Leaves the line. Returns whether a slot had come this way already.
    fn leave(&self, place: Place) -> bool {
        let mut line = self.line.lock();
        let (granted, waker) = line.remove(place);
        self.tidy(&line);
        drop(line);
        drop(waker);
        granted
    }

    /// Gives free slots to those who stand first.
    #[cold]
    fn hand_over(&self) {
        loop {
            let mut line = self.line.lock();
            if line.len() == 0 || !self.take_for_line() {
                return;
            }
            let waker = line.grant_first();
            self.tidy(&line);
            drop(line);
            // Waking runs foreign code, so it happens outside the lock.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn take_for_line(&self) -> bool {
        let limit = self.limit.load(Ordering::Acquire) as usize;
        let one_more = |state| (state / ONE < limit).then_some(state + ONE);
        self.state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
            .is_ok()
    }

    /// Lets newcomers in again once the line is empty. Called with the line locked.
    fn tidy(&self, line: &Line) {
        if line.len() == 0 {
            self.state.fetch_and(!WAITING, Ordering::AcqRel);
        }
    }

    fn rejection(&self, reason: Reason) -> Rejection {
        Rejection::new(reason, self.settings.name)
    }
}
