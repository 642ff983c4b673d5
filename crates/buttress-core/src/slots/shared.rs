//! What all clones of a bulkhead share.

use super::discipline::Discipline;
use super::line::{Line, Place, Standing};
use crate::now::Now;
use crate::rejection::{Reason, Rejection};
use crate::sync::{AtomicU32, AtomicUsize, Mutex};
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Waker;
use std::time::{Duration, Instant};

/// What is looked at only when there is no free slot.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) name: &'static str,
    pub(super) room: Option<Room>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) places: usize,
    pub(super) longest_wait: Duration,
    pub(super) discipline: Discipline,
}

pub(super) struct Shared {
    /// The number of slots taken, times [`ONE`], and the bit [`WAITING`].
    state: AtomicUsize,
    limit: AtomicU32,
    line: Mutex<Line>,
    settings: ArcSwap<Settings>,
}

impl Settings {
    fn discipline(&self) -> Discipline {
        self.room.map_or(Discipline::Fifo, |room| room.discipline)
    }
}

/// Set while somebody stands in line. It changes only under the line's lock.
const WAITING: usize = 1;
const ONE: usize = 2;

pub(super) enum Joined {
    TookSlot,
    Standing(Place),
    Full,
}

impl Shared {
    pub(super) fn new(limit: u32, settings: Arc<Settings>) -> Self {
        Self {
            state: AtomicUsize::new(0),
            limit: AtomicU32::new(limit),
            line: Mutex::new(Line::new(settings.discipline())),
            settings: ArcSwap::new(settings),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.limit.load(Ordering::Acquire)
    }

    pub(super) fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Goes by other settings from now on. Those in line stay there, in the order that the new
    /// discipline gives them; with a room that is gone, too, they are served or leave by themselves.
    pub(super) fn follow(&self, settings: Arc<Settings>) {
        let mut line = self.line.lock();
        line.follow(settings.discipline());
        // Under the lock, so that of two who change them at once the same one wins everything.
        self.settings.store(settings);
    }

    /// Changes the limit and puts `at_hand` slots back, which are taken from the shelves after the
    /// change, so that a lower limit counts for them, too.
    pub(super) fn set_limit(&self, limit: u32, at_hand: impl FnOnce() -> usize) {
        self.limit.store(limit, Ordering::Release);
        self.state.fetch_sub(at_hand() * ONE, Ordering::AcqRel);
        // Whoever is about to wait may have read the old limit and not yet said that it waits, but
        // it holds the line's lock. So the line is looked at whatever the state says.
        self.hand_over();
    }

    /// How many slots are taken, those on shelves included.
    pub(super) fn taken(&self) -> usize {
        self.state.load(Ordering::Acquire) / ONE
    }

    pub(super) fn waiting(&self) -> usize {
        self.line.lock().len()
    }

    pub(super) fn rejection(&self, reason: Reason) -> Rejection {
        Rejection::new(reason, self.settings().name)
    }

    /// Takes a slot if one is free and nobody stands in line for it.
    #[inline]
    pub(super) fn try_take(&self) -> bool {
        let limit = self.limit() as usize;
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

    /// Whether a slot may lie on a shelf: nobody stands in line for it, and the limit has room
    /// for it.
    #[inline]
    pub(super) fn allows_shelves(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        state & WAITING == 0 && state / ONE <= self.limit() as usize
    }

    #[inline]
    pub(super) fn give_back(&self, slots: usize) {
        if self.state.fetch_sub(slots * ONE, Ordering::AcqRel) & WAITING != 0 {
            self.hand_over();
        }
    }

    /// Stands in line, if there is room or somebody gives way, or takes a slot that has come free.
    pub(super) fn join(&self, rank: usize, now: Instant) -> Joined {
        let mut line = self.line.lock();
        line.saw(now);
        // They change under the lock only, so the room is not smaller than this.
        let places = self.settings().room.map_or(0, |room| room.places);
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let (next, joined) = if state & WAITING == 0 && state / ONE < self.limit() as usize {
                // It has come free since the caller looked, and it is nobody else's.
                (state + ONE, Some(Joined::TookSlot))
            } else if line.len() > places || line.len() == places && !line.has_one_to_displace(rank)
            {
                // A room that was made smaller has too many in it, and nobody takes the place of one.
                return Joined::Full;
            } else {
                (state | WAITING, None)
            };
            match self
                .state
                .compare_exchange(state, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => {
                    if let Some(joined) = joined {
                        return joined;
                    }
                    break;
                }
                Err(actual) => state = actual,
            }
        }
        // Before anybody is displaced, so that the line does not look empty in between.
        let place = line.push(rank, now);
        let displaced = if line.len() > places {
            line.displace(rank)
        } else {
            None
        };
        drop(line);
        // Waking runs foreign code, so it happens outside the lock.
        if let Some(waker) = displaced {
            waker.wake();
        }
        Joined::Standing(place)
    }

    /// What has become of a place. If it is still in line, arranges for `waker` to be woken when it
    /// is served.
    pub(super) fn poll_grant(&self, place: Place, now: &Now, waker: &Waker) -> Standing {
        let mut line = self.line.lock();
        let standing = line.fetch(place, || now.instant());
        if standing != Standing::Waits {
            return standing;
        }
        let replaced = line.wake_me(place, waker);
        drop(line);
        // A waker's destructor is foreign code: it runs outside the lock.
        drop(replaced);
        Standing::Waits
    }

    /// Leaves the line. Returns whether a slot had come this way already.
    pub(super) fn leave(&self, place: Place) -> bool {
        let mut line = self.line.lock();
        let (granted, waker) = line.remove(place);
        self.tidy(&line);
        drop(line);
        drop(waker);
        granted
    }

    /// Gives free slots to those whose turn it is.
    #[cold]
    fn hand_over(&self) {
        loop {
            let mut line = self.line.lock();
            if line.len() == 0 || !self.take_for_line() {
                return;
            }
            let waker = line.grant_next();
            self.tidy(&line);
            drop(line);
            // Waking runs foreign code, so it happens outside the lock.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    fn take_for_line(&self) -> bool {
        let limit = self.limit() as usize;
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
}
