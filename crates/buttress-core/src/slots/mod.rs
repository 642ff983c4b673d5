//! The state machine of a bulkhead.
//!
//! How many slots are taken lives in one atomic number, so that a call which finds one free takes
//! no lock. The waiting line lives behind a lock. A bit in the number says that somebody stands in
//! line; while it is set, newcomers go to the end of the line instead of past it, and whoever gives
//! a slot back hands it to the first in line.
//!
//! Threads that share one number spend their time passing its cache line around. So each thread
//! has a shelf on which slots that its calls gave back stay at hand; the number still counts them
//! as taken. Who finds no slot free looks on the others' shelves before giving up.

mod discipline;
#[cfg(all(test, not(loom)))]
mod follow_tests;
mod line;
#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod model_tests;
mod shared;
mod shelf;
#[cfg(all(test, not(loom)))]
mod tests;
mod turn;

pub use discipline::Discipline;

use crate::look::{Blind, Look};
use crate::now::Now;
use crate::policy::{Admission, PerKey, Policy, Retention};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_duration, check_name, check_range};
use shared::{Joined, Room, Settings, Shared};
use shelf::Shelf;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

pub(crate) use shelf::{enough_for_this_machine, of_this_thread};
pub(crate) use turn::{Slot, Turn};

/// A number of slots, and a waiting room in front of them. Clones share both.
///
/// A call holds a slot from admission to its end. Without a waiting room (the default) a call that
/// finds no slot is refused at once with [`Reason::BulkheadFull`]; with one it waits its turn,
/// first come, first served unless another [`Discipline`] is chosen, and is refused with
/// [`Reason::WaitedTooLong`] when its time is up. `L` is what is [seen](Look) in a call that has to
/// wait.
#[derive(Clone)]
pub struct Slots<L = Blind> {
    shelves: Arc<[Arc<Shelf>]>,
    look: L,
}

impl Slots {
    /// `limit` slots, from 1 to 2³² − 1, and no waiting room. The name is `"bulkhead"`.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn new(limit: u32) -> Result<Self, SettingError> {
        let settings = Settings {
            name: "bulkhead",
            room: None,
        };
        let limit = check_range("limit", limit, 1..=u32::MAX)?;
        let shelves = shelf::enough_for_this_machine();
        Ok(Self::with(limit, Arc::new(settings), shelves, Blind))
    }
}

impl<L> Slots<L> {
    /// Lets at most `places` calls wait, from 1 to 1 000 000, each for `longest_wait` at most.
    ///
    /// # Errors
    ///
    /// `places` is out of range, or `longest_wait` is 0 or longer than a year.
    pub fn waiting_room(self, places: u32, longest_wait: Duration) -> Result<Self, SettingError> {
        let known = self.shared().settings().room;
        let room = Room {
            places: check_range("waiting_room.places", places, 1..=1_000_000)? as usize,
            longest_wait: check_duration("waiting_room.longest_wait", longest_wait)?,
            discipline: known.map_or(Discipline::Fifo, |room| room.discipline),
        };
        Ok(self.changed(|settings| settings.room = Some(room)))
    }

    /// Who of those that wait is served next: by default, who came first.
    ///
    /// # Errors
    ///
    /// There is no waiting room yet, or a setting of the discipline is out of range.
    pub fn discipline(self, discipline: Discipline) -> Result<Self, SettingError> {
        let discipline = discipline.checked()?;
        let Some(room) = self.shared().settings().room else {
            let allowed = "left out without a waiting room";
            let value = format_args!("{discipline:?}");
            return Err(SettingError::new("discipline", value, allowed));
        };
        let room = Some(Room { discipline, ..room });
        Ok(self.changed(|settings| settings.room = room))
    }

    /// What is seen in a call that has to wait: its criticality, for [`Discipline::Priority`], and
    /// its caller's deadline. Once that has passed the call is refused with
    /// [`Reason::DeadlinePassed`], and not run even if its turn has come.
    pub fn looking<M>(self, look: M) -> Slots<M> {
        Slots {
            shelves: self.shelves,
            look,
        }
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

    /// Slots with the same settings that share nothing with these, for one of many keys: they are
    /// smaller, and slower if many threads use the same ones.
    pub fn fresh(&self) -> Self
    where
        L: Clone,
    {
        let settings = Arc::clone(&self.shared().settings());
        Self::with(self.limit(), settings, 1, self.look.clone())
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
        let at_hand = || self.shelves.iter().map(|shelf| shelf.clear()).sum();
        self.shared().set_limit(limit, at_hand);
        Ok(())
    }

    /// Goes by the settings of others from now on, while calls run: their limit, their waiting room
    /// and its discipline, and their name. What those others count stays theirs.
    ///
    /// Calls under way stay counted. Those that wait stay in line, for as long as they might have
    /// waited before, also if there is no room any more, or a smaller one: then nobody joins them
    /// before there are fewer. Whose turn it is next is up to the new discipline, except that
    /// [`CoDel`](Discipline::CoDel) looks only at the waits of those who come from now on.
    pub fn follow<M>(&self, others: &Slots<M>) {
        self.follow_room(others);
        // What is out of range was refused to the others.
        let _ = self.set_limit(others.limit());
    }

    /// The same without the limit, for whoever has another way to find that.
    pub(crate) fn follow_room<M>(&self, others: &Slots<M>) {
        let settings = Arc::clone(&others.shared().settings());
        self.shared().follow(settings);
    }

    /// How many calls may be under way at once.
    pub fn limit(&self) -> u32 {
        self.shared().limit()
    }

    /// How many are. While calls come and go on other threads it is a moment's estimate.
    pub fn taken(&self) -> usize {
        let at_hand: usize = self.shelves.iter().map(|shelf| shelf.len()).sum();
        self.shared().taken().saturating_sub(at_hand)
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.shared().waiting()
    }

    fn with(limit: u32, settings: Arc<Settings>, shelves: usize, look: L) -> Self {
        let shared = Arc::new(Shared::new(limit, settings));
        let shelf = |_| Arc::new(Shelf::new(Arc::clone(&shared)));
        Self {
            shelves: (0..shelves).map(shelf).collect(),
            look,
        }
    }

    fn changed(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = **self.shared().settings();
        change(&mut settings);
        Self::with(
            self.limit(),
            Arc::new(settings),
            self.shelves.len(),
            self.look,
        )
    }

    /// A slot, if one is free. It never waits.
    pub(crate) fn try_enter(&self) -> Option<Slot> {
        let shelf = self.shelf();
        let free = shelf.take()
            || shelf.shared().try_take()
            || self.shelves.iter().any(|shelf| shelf.take());
        free.then(|| Slot::on(shelf))
    }

    /// This thread's shelf.
    #[inline]
    fn shelf(&self) -> &Arc<Shelf> {
        &self.shelves[shelf::of_this_thread() % self.shelves.len()]
    }

    #[inline]
    fn shared(&self) -> &Arc<Shared> {
        self.shelves[0].shared()
    }

    /// Puts what lies on shelves back, so that it is there for those in line.
    fn clear_shelves(&self) {
        let at_hand = self.shelves.iter().map(|shelf| shelf.clear()).sum();
        self.shared().give_back(at_hand);
    }
}

impl<C: ?Sized, L: Look<C>> Policy<C> for Slots<L> {
    type Permit = Slot;
    type Waiting = Turn;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<Slot, Turn> {
        let shelf = self.shelf();
        if shelf.take() || shelf.shared().try_take() {
            return Admission::Admitted(Slot::on(shelf));
        }
        self.search(shelf, call, now)
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
        turn.until()
    }
}

impl<L> Slots<L> {
    #[inline(never)]
    fn search<C: ?Sized>(&self, shelf: &Arc<Shelf>, call: &C, now: &Now) -> Admission<Slot, Turn>
    where
        L: Look<C>,
    {
        if self.shelves.iter().any(|shelf| shelf.take()) {
            return Admission::Admitted(Slot::on(shelf));
        }
        let shared = shelf.shared();
        let Some(room) = shared.settings().room else {
            return Admission::Refused(shared.rejection(Reason::BulkheadFull));
        };
        let deadline = self.look.deadline(call);
        if deadline.is_some_and(|deadline| deadline <= now.instant()) {
            return Admission::Refused(shared.rejection(Reason::DeadlinePassed));
        }
        let rank = self.look.criticality(call).rank();
        match shared.join(rank, now.instant()) {
            Joined::TookSlot => Admission::Admitted(Slot::on(shelf)),
            Joined::Full => Admission::Refused(shared.rejection(Reason::BulkheadFull)),
            Joined::Standing(place) => {
                let patience = now.instant().checked_add(room.longest_wait);
                let turn = Turn::new(shelf, place, patience, deadline);
                // What was put on a shelf since the search is for the first in line.
                self.clear_shelves();
                Admission::Wait(turn)
            }
        }
    }
}

/// For policies built on slots whose calls remember the shelf, so that a permit needs no reference to
/// it.
impl<L> Slots<L> {
    /// How many shelves there are.
    pub(crate) fn shelves(&self) -> usize {
        self.shelves.len()
    }

    /// The number of this thread's.
    #[inline]
    pub(crate) fn shelf_of_this_thread(&self) -> usize {
        shelf::of_this_thread() % self.shelves.len()
    }

    /// Takes a slot if one is at hand or free. It must be [put back](Self::put_on).
    #[inline]
    pub(crate) fn take_for(&self, shelf: usize) -> bool {
        let shelf = &self.shelves[shelf];
        shelf.take() || shelf.shared().try_take()
    }

    /// Gives back a slot that was [taken](Self::take_for).
    #[inline]
    pub(crate) fn put_on(&self, shelf: usize) {
        self.shelves[shelf].put();
    }
}

impl<C: ?Sized, L: Look<C>> PerKey<C> for Slots<L> {
    const TAKES_BACK: bool = false;

    fn retention(&self, _: &Now) -> Retention {
        match (self.taken(), self.waiting()) {
            (0, 0) => Retention::Idle,
            _ => Retention::Held,
        }
    }
}

impl<L> fmt::Debug for Slots<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slots")
            .field("name", &self.shared().settings().name)
            .field("limit", &self.limit())
            .field("taken", &self.taken())
            .field("waiting", &self.waiting())
            .finish()
    }
}
