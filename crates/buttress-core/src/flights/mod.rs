//! Identical calls that share one flight.
//!
//! The first call with a key leads: it does the work. Those that come while it is under way
//! follow: they wait for what the leader brings. A leader that goes away, for whatever reason,
//! hands over to the follower that has waited the longest, so nobody waits for somebody who is
//! gone.
//!
//! A leader that *fails* hands over, too: one follower tries again, and if that fails as well, two
//! do, then four. All have an answer after as many rounds as their number has binary digits, and
//! the callee never sees all of them at once before it has failed that often.
//!
//! It knows no runtime. Each operation takes the lock of one shard for a few steps; wakers run and
//! values are copied outside of it.

#[cfg(all(test, loom))]
mod loom_tests;
mod shard;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::digest::Digester;
use crate::setting::{SettingError, check_range};
use crate::sync::Mutex;
use shard::{Answer, Opened, Shard, Ticket};
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The flights under way, by key. Clones share them.
///
/// Keys are remembered as [digests](crate::digest), and only while a flight is under way. `V` is
/// what a leader brings its followers, and `D` is whatever the clones share besides.
///
/// ```
/// use buttress_core::flights::{Flights, Joined, Landed};
/// use std::sync::Arc;
/// use std::task::{Context, Poll, Waker};
///
/// let flights: Flights<str> = Flights::new(1_000)?;
/// let Joined::Lead(lead) = flights.join("a key") else { panic!() };
/// let Joined::Follow(mut follow) = flights.join("a key") else { panic!() };
///
/// // Nobody can join any more. One follows already, so the answer is worth sharing.
/// let Some(lead) = lead.close() else { panic!() };
/// lead.land(Arc::from("an answer"));
///
/// let mut context = Context::from_waker(Waker::noop());
/// let Poll::Ready(Landed::Brought(answer)) = follow.poll(&mut context) else { panic!() };
/// assert_eq!(&*answer, "an answer");
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct Flights<V: ?Sized, D = ()> {
    shared: Arc<Shared<V, D>>,
}

struct Shared<V: ?Sized, D> {
    shards: Box<[Mutex<Shard<V>>]>,
    digester: Digester,
    data: D,
}

/// What a call is to do.
#[derive(Debug)]
pub enum Joined<V: ?Sized, D = ()> {
    /// No such call is under way: do the work.
    Lead(Lead<V, D>),
    /// Wait for the leader.
    Follow(Follow<V, D>),
    /// There is no room for one more key: do the work, and for nobody else.
    Full,
}

/// What a follower's wait comes to.
#[derive(Debug)]
pub enum Landed<V: ?Sized, D = ()> {
    /// What the leader brought.
    Brought(Arc<V>),
    /// The leader is gone: do the work in its place.
    Lead(Lead<V, D>),
    /// There is nothing to share: do the work, and for nobody else.
    Alone,
}

impl<V: ?Sized> Flights<V> {
    /// At most `most` flights at once, from 1 to 2³¹ − 1.
    ///
    /// # Errors
    ///
    /// `most` is out of range.
    pub fn new(most: u32) -> Result<Self, SettingError> {
        Self::with(most, ())
    }
}

impl<V: ?Sized, D> Flights<V, D> {
    /// The same with something that clones, leaders and followers share.
    ///
    /// # Errors
    ///
    /// `most` is out of range.
    pub fn with(most: u32, data: D) -> Result<Self, SettingError> {
        let most = check_range("max_keys", most, 1..=i32::MAX as u32)? as usize;
        let shards = if most < FEWEST_FOR_SHARDS { 1 } else { SHARDS };
        let capacity = |index| most / shards + usize::from(index < most % shards);
        let shards = (0..shards).map(|index| Mutex::new(Shard::new(capacity(index))));
        Ok(Self {
            shared: Arc::new(Shared {
                shards: shards.collect(),
                digester: Digester::new(),
                data,
            }),
        })
    }

    /// Leads a new flight for `key`, or follows the one that is under way.
    #[inline]
    pub fn join(&self, key: &(impl Hash + ?Sized)) -> Joined<V, D> {
        let digest = self.shared.digester.digest(key);
        // A power of two, and a division would cost as much as a lock.
        let shard = digest.low as usize & (self.shared.shards.len() - 1);
        let opened = self.shared.shards[shard].lock().open_or_join(digest);
        let seat = |ticket| Seat {
            shared: Arc::clone(&self.shared),
            shard,
            ticket,
        };
        match opened {
            Opened::Lead(ticket) => Joined::Lead(Lead::at(seat(ticket))),
            Opened::Follow(ticket, number) => Joined::Follow(Follow {
                seat: Some(seat(ticket)),
                number,
            }),
            Opened::Full => Joined::Full,
        }
    }

    /// What all share.
    pub fn data(&self) -> &D {
        &self.shared.data
    }

    /// How many flights are under way, those included whose followers have not fetched what the
    /// leader brought. Slow: it visits each shard.
    pub fn len(&self) -> usize {
        let shards = self.shared.shards.iter();
        shards.map(|shard| shard.lock().len()).sum()
    }

    /// Whether no flight is under way. Slow: it visits each shard.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<V: ?Sized, D> Clone for Flights<V, D> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<V: ?Sized, D> fmt::Debug for Flights<V, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

/// A place in a flight.
struct Seat<V: ?Sized, D> {
    shared: Arc<Shared<V, D>>,
    shard: usize,
    ticket: Ticket,
}

impl<V: ?Sized, D> Seat<V, D> {
    #[inline]
    fn shard<R>(&self, work: impl FnOnce(&mut Shard<V>, Ticket) -> R) -> R {
        work(&mut self.shared.shards[self.shard].lock(), self.ticket)
    }
}

impl<V: ?Sized, D> fmt::Debug for Seat<V, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seat").finish_non_exhaustive()
    }
}

/// Leads a flight. Dropping it hands over to the next follower.
#[derive(Debug)]
#[must_use = "dropping it hands the flight over"]
pub struct Lead<V: ?Sized, D = ()> {
    seat: Seat<V, D>,
    /// Somebody else has been told what comes next.
    is_over: bool,
}

impl<V: ?Sized, D> Lead<V, D> {
    #[inline]
    const fn at(seat: Seat<V, D>) -> Self {
        let is_over = false;
        Self { seat, is_over }
    }

    /// What all share.
    pub fn data(&self) -> &D {
        &self.seat.shared.data
    }

    /// Lets nobody join any more: the next call with the key begins a flight of its own. Returns
    /// the lead if anybody follows; if not, the flight is over.
    #[inline]
    pub fn close(mut self) -> Option<Self> {
        self.is_over = true;
        if !self.seat.shard(Shard::close) {
            return None;
        }
        self.is_over = false;
        Some(self)
    }

    /// Brings the followers their answer.
    pub fn land(mut self, answer: Arc<V>) {
        self.is_over = true;
        let waiting = self.seat.shard(|shard, ticket| shard.land(ticket, answer));
        wake(waiting);
    }

    /// There is nothing to share: each follower does its own work.
    pub fn release(mut self) {
        self.is_over = true;
        let waiting = self.seat.shard(Shard::release);
        wake(waiting);
    }

    /// The work failed, and the failure is nothing to share: one follower leads from here on, and
    /// after repeated failures more and more of them do their own work.
    pub fn fail(mut self) {
        self.is_over = true;
        let waiting = self.seat.shard(Shard::fail);
        wake(waiting);
    }
}

impl<V: ?Sized, D> Drop for Lead<V, D> {
    #[inline]
    fn drop(&mut self) {
        if !self.is_over {
            let heir = self.seat.shard(Shard::hand_over);
            wake(heir);
        }
    }
}

/// Follows a flight. Dropping it leaves the flight.
#[derive(Debug)]
#[must_use = "dropping it leaves the flight"]
pub struct Follow<V: ?Sized, D = ()> {
    /// Until it has an answer.
    seat: Option<Seat<V, D>>,
    number: u64,
}

impl<V: ?Sized, D> Follow<V, D> {
    /// Waits for what the leader brings, or for the lead. Once it has answered it is spent, and
    /// answers no more.
    pub fn poll(&mut self, context: &mut Context<'_>) -> Poll<Landed<V, D>> {
        let Some(seat) = &self.seat else {
            return Poll::Pending;
        };
        let number = self.number;
        let waker = context.waker();
        // The waker that this one replaces is dropped outside of the lock: it may be the last to
        // hold a task, and with it a place in this very flight.
        let (answer, replaced) = seat.shard(|shard, ticket| shard.ask(ticket, number, waker));
        drop(replaced);
        match answer {
            Answer::Wait => Poll::Pending,
            Answer::Landed(answer) => {
                self.seat = None;
                Poll::Ready(Landed::Brought(answer))
            }
            Answer::Lead => match self.seat.take() {
                Some(seat) => Poll::Ready(Landed::Lead(Lead::at(seat))),
                None => Poll::Pending,
            },
            Answer::Alone => {
                self.seat = None;
                Poll::Ready(Landed::Alone)
            }
        }
    }
}

impl<V: ?Sized, D> Drop for Follow<V, D> {
    fn drop(&mut self) {
        if let Some(seat) = self.seat.take() {
            let number = self.number;
            let left = seat.shard(|shard, ticket| shard.leave(ticket, number));
            wake(left.heir);
            // Outside of the lock, too: who knows what these are the last to hold.
            drop((left.waker, left.answer));
        }
    }
}

fn wake(wakers: impl IntoIterator<Item = Waker>) {
    wakers.into_iter().for_each(Waker::wake);
}

/// Enough that processors seldom meet at one; a power of two.
const SHARDS: usize = 16;
const FEWEST_FOR_SHARDS: usize = 1_024;
