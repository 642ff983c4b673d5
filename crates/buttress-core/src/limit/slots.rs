use super::collector::Collector;
use super::tally::Tally;
use super::{LatencyQuantile, Limit};
use crate::look::{Blind, Look};
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, PerKey, Permit, Policy, Retention};
use crate::rejection::Rejection;
use crate::setting::SettingError;
use crate::slots::{Discipline, Slot, Slots, Turn};
use crate::sync::AtomicU32;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// [`Slots`] whose number is found by a [`Limit`]. Clones share everything.
///
/// A call's latency counts from its admission, so time in the waiting room is not the callee's.
/// Calls that end as [cancelled](Outcome::Cancelled) teach nothing. `K` is what is [seen](Look) in a
/// call that has to wait.
pub struct AdaptiveSlots<L = LatencyQuantile, K = Blind> {
    slots: Slots<K>,
    lanes: Arc<[Arc<Lane<L>>]>,
}

/// A thread's way to what all share, with a reference count of its own.
#[repr(align(128))]
struct Lane<L> {
    index: usize,
    /// The state of the draws of which calls are timed.
    draws: AtomicU32,
    shared: Arc<Shared<L>>,
}

struct Shared<L> {
    slots: Slots,
    collector: Collector<L>,
}

impl<L: Limit + Clone> AdaptiveSlots<L> {
    /// Slots as many as `algorithm` says, and no waiting room. The name is `"adaptive-limit"`.
    ///
    /// # Errors
    ///
    /// A setting of the algorithm makes no sense.
    pub fn new(algorithm: L) -> Result<Self, SettingError> {
        algorithm.check()?;
        let slots = Slots::new(algorithm.limit().max(1))?.named("adaptive-limit")?;
        Ok(Self::with(slots, algorithm))
    }
}

impl<L: Limit + Clone, K: Clone> AdaptiveSlots<L, K> {
    /// Lets at most `places` calls wait, from 1 to 1 000 000, each for `longest_wait` at most.
    ///
    /// # Errors
    ///
    /// `places` is out of range, or `longest_wait` is 0 or longer than a year.
    pub fn waiting_room(self, places: u32, longest_wait: Duration) -> Result<Self, SettingError> {
        let slots = self.slots.clone().waiting_room(places, longest_wait)?;
        Ok(Self::with(slots, self.algorithm()))
    }

    /// Who of those that wait is served next: by default, who came first.
    ///
    /// # Errors
    ///
    /// There is no waiting room yet, or a setting of the discipline is out of range.
    pub fn discipline(self, discipline: Discipline) -> Result<Self, SettingError> {
        let slots = self.slots.clone().discipline(discipline)?;
        Ok(Self::with(slots, self.algorithm()))
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError> {
        let slots = self.slots.clone().named(name)?;
        Ok(Self::with(slots, self.algorithm()))
    }

    /// Slots with the same settings that share nothing with these, for one of many keys. They begin
    /// with what these have learnt so far.
    pub fn fresh(&self) -> Self {
        Self::with(self.slots.fresh(), self.algorithm())
    }

    /// The algorithm as it is now.
    pub fn algorithm(&self) -> L {
        self.shared().collector.with_algorithm(L::clone)
    }

    /// Has the waiting room and the name of others from now on, while calls run; see
    /// [`Slots::follow`]. The limit stays, and what was learnt.
    pub fn follow<M, J>(&self, others: &AdaptiveSlots<M, J>) {
        self.slots.follow_room(&others.slots);
    }

    /// Goes by another algorithm from now on, while calls run. They stay counted. It begins with the
    /// limit that there is, or the nearest that it allows, and has everything else to learn.
    pub fn go_by(&self, algorithm: L) {
        let shared = self.shared();
        let limit = shared.collector.exchange(algorithm);
        shared.set_limit(limit);
    }

    fn with(slots: Slots<K>, algorithm: L) -> Self {
        let lanes = slots.shelves();
        let shared = Arc::new(Shared {
            slots: slots.clone().looking(Blind),
            collector: Collector::new(algorithm, lanes),
        });
        let lane = |index| {
            Arc::new(Lane {
                index,
                draws: AtomicU32::new(index as u32),
                shared: Arc::clone(&shared),
            })
        };
        Self {
            slots,
            lanes: (0..lanes).map(lane).collect(),
        }
    }
}

impl<L, K> AdaptiveSlots<L, K> {
    /// What is seen in a call that has to wait: its criticality, for [`Discipline::Priority`], and
    /// its caller's deadline, after which it is not run.
    pub fn looking<M>(self, look: M) -> AdaptiveSlots<L, M> {
        AdaptiveSlots {
            slots: self.slots.looking(look),
            lanes: self.lanes,
        }
    }

    /// How many calls may be under way at once, as of now.
    pub fn limit(&self) -> u32 {
        self.slots.limit()
    }

    /// How many are. While calls come and go on other threads it is a moment's estimate.
    pub fn taken(&self) -> usize {
        self.slots.taken()
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.slots.waiting()
    }

    #[inline]
    fn lane(&self) -> &Arc<Lane<L>> {
        &self.lanes[self.slots.shelf_of_this_thread()]
    }

    #[inline]
    fn shared(&self) -> &Shared<L> {
        &self.lanes[0].shared
    }
}

impl<L: Limit, K> AdaptiveSlots<L, K> {
    /// A permit for a slot that was taken for the lane's shelf, or that the call waited for.
    #[inline]
    fn permit(lane: &Arc<Lane<L>>, waited: Option<Slot>, now: &Now) -> AdaptiveSlot<L> {
        AdaptiveSlot {
            place: Place {
                held: true,
                waited,
                lane: Arc::clone(lane),
            },
            started: lane.is_timed().then(|| now.instant()),
        }
    }

    #[inline(never)]
    fn search<C: ?Sized>(&self, call: &C, now: &Now) -> Admission<AdaptiveSlot<L>, Turn>
    where
        K: Look<C>,
    {
        let lane = self.lane();
        match self.slots.admit(call, now) {
            Admission::Admitted(slot) => Admission::Admitted(Self::permit(lane, Some(slot), now)),
            Admission::Refused(rejection) => {
                lane.tally().saturated();
                Admission::Refused(rejection)
            }
            Admission::Wait(turn) => {
                lane.tally().saturated();
                Admission::Wait(turn)
            }
        }
    }
}

impl<C: ?Sized, L: Limit, K: Look<C>> Policy<C> for AdaptiveSlots<L, K> {
    type Permit = AdaptiveSlot<L>;
    type Waiting = Turn;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<AdaptiveSlot<L>, Turn> {
        let lane = self.lane();
        if self.slots.take_for(lane.index) {
            return Admission::Admitted(Self::permit(lane, None, now));
        }
        self.search(call, now)
    }

    fn poll_admit(
        &self,
        turn: &mut Turn,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<AdaptiveSlot<L>, Rejection>> {
        self.slots
            .poll_admit(turn, call, now, context)
            .map_ok(|slot| Self::permit(self.lane(), Some(slot), now))
    }

    fn wake_at(&self, turn: &Turn) -> Option<Instant> {
        Policy::<C>::wake_at(&self.slots, turn)
    }
}

impl<C: ?Sized, L: Limit, K: Look<C>> PerKey<C> for AdaptiveSlots<L, K> {
    const TAKES_BACK: bool = false;

    fn retention(&self, now: &Now) -> Retention {
        match PerKey::<C>::retention(&self.slots, now) {
            // What it has learnt would be lost.
            Retention::Idle => Retention::Active,
            retention => retention,
        }
    }
}

impl<L, K: Clone> Clone for AdaptiveSlots<L, K> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            lanes: Arc::clone(&self.lanes),
        }
    }
}

impl<L, K> fmt::Debug for AdaptiveSlots<L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveSlots")
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

impl<L> Lane<L> {
    #[inline]
    fn tally(&self) -> &Tally
    where
        L: Limit,
    {
        self.shared.collector.tally(self.index)
    }
}

/// A slot that a call holds, and since when. Completing it and dropping it both give the slot back;
/// only a completed one teaches.
#[must_use = "dropping it gives the slot back"]
pub struct AdaptiveSlot<L> {
    place: Place<L>,
    /// If the call is timed.
    started: Option<Instant>,
}

/// The slot itself. It is the lane's, so that a call counts one reference and not two; a call that
/// had to search or wait has one that knows its own way back.
struct Place<L> {
    held: bool,
    waited: Option<Slot>,
    lane: Arc<Lane<L>>,
}

impl<L> Place<L> {
    #[inline]
    fn give_back(&mut self) {
        if !std::mem::take(&mut self.held) {
            return;
        }
        match self.waited.take() {
            Some(slot) => drop(slot),
            None => self.lane.shared.slots.put_on(self.lane.index),
        }
    }
}

impl<L> Drop for Place<L> {
    #[inline]
    fn drop(&mut self) {
        self.give_back();
    }
}

impl<L: Limit> Permit for AdaptiveSlot<L> {
    #[inline]
    fn complete(self, outcome: Outcome, now: &Now) {
        let Self { mut place, started } = self;
        // Before the limit moves, so that others need not wait for that.
        place.give_back();
        let lane = &*place.lane;
        match started {
            Some(started) => lane.learn(outcome, started, now),
            // Those are rare, and each counts.
            None if outcome == Outcome::Overload => lane.tally().dropped(),
            None => {}
        }
    }
}

impl<L: Limit> Lane<L> {
    /// Whether the next call is timed. It is drawn, since calls may come in a pattern.
    #[inline]
    fn is_timed(&self) -> bool {
        let one_in = self.shared.collector.one_in();
        if one_in == 1 {
            return true;
        }
        // A linear congruential generator, by Knuth and Lewis. If two threads draw the same number,
        // no harm is done.
        let draw = self.draws.load(Ordering::Relaxed);
        let draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.draws.store(draw, Ordering::Relaxed);
        // Its high bits are the better ones.
        (draw >> 16).is_multiple_of(one_in)
    }

    #[inline]
    fn learn(&self, outcome: Outcome, started: Instant, now: &Now) {
        if outcome == Outcome::Cancelled {
            return;
        }
        let now = now.instant();
        let took = now.saturating_duration_since(started);
        match outcome {
            Outcome::Success => self.tally().answered(nanos(took)),
            Outcome::Overload => self.tally().dropped(),
            _ if took > self.shared.collector.usual() => self.tally().answered(nanos(took)),
            _ => return,
        }
        if self.shared.collector.is_due(started, now) {
            self.update(now);
        }
    }

    #[cold]
    fn update(&self, now: Instant) {
        let Shared { slots, collector } = &*self.shared;
        // The call that has just ended was under way, too.
        if let Some(limit) = collector.close(now, || slots.taken() + 1)
            && limit != slots.limit()
        {
            self.shared.set_limit(limit);
        }
    }
}

impl<L: Limit> Shared<L> {
    /// It wakes those that wait, which is not done under the lock of the algorithm. So others may set
    /// a newer limit before this one does, and it looks again: who sets the last one has seen it.
    fn set_limit(&self, mut limit: u32) {
        loop {
            // A limit of 0 is the one thing that it refuses.
            let _ = self.slots.set_limit(limit);
            let newest = self.collector.limit();
            if newest == limit {
                return;
            }
            limit = newest;
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl<L> fmt::Debug for AdaptiveSlot<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveSlot")
            .field("started", &self.started)
            .finish_non_exhaustive()
    }
}
