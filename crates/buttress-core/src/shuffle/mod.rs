//! The state machine of shuffle sharding.

mod shards;
mod stable;
#[cfg(all(test, not(loom)))]
mod tests;

pub use shards::{Shard, Shards};

use crate::combine::{Instead, MissingKeyMeans, MissingKeys};
use crate::key::Key;
use crate::look::{Blind, Look};
use crate::now::Now;
use crate::policy::{Admission, Policy};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name};
use crate::slots::{Slot, Slots, Turn};
use std::fmt;
use std::task::{Context, Poll};
use std::time::Instant;

/// Bulkheads among which each key has a few of its own choice, so that a key whose calls go wrong
/// takes down those few and nobody else's.
///
/// A call takes a slot of that compartment of its key in which the fewest are taken; if all of them
/// are full, it waits where the fewest wait, or is refused.
///
/// ```
/// use buttress_core::{Shards, ShuffleSharding, Slots, by_fn};
///
/// let tenant = by_fn(|call: &(u64, &str)| Ok(call.0));
/// // 8 compartments of 16 slots each, of which every tenant may use 2.
/// let sharded = ShuffleSharding::new(tenant, Shards::new(8, 2)?, &Slots::new(16)?);
/// assert_eq!(sharded.taken(), 0);
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct ShuffleSharding<K, L = Blind> {
    key: K,
    shards: Shards,
    compartments: Box<[Slots<L>]>,
    missing: MissingKeys,
}

impl<K, L> ShuffleSharding<K, L> {
    /// Compartments with the settings of `template`, which itself stays out of it. Its name is
    /// `"shuffle-sharding"`, and calls without a key are refused.
    pub fn new(key: K, shards: Shards, template: &Slots<L>) -> Self
    where
        L: Clone,
    {
        let compartments = 0..shards.compartments();
        Self {
            key,
            shards,
            compartments: compartments.map(|_| template.fresh()).collect(),
            missing: MissingKeys::new("shuffle-sharding"),
        }
    }

    /// With the compartments of another one, as far as it has as many, so that calls under way there
    /// are counted: for other settings while calls run.
    pub fn with_compartments_of<J>(mut self, other: &ShuffleSharding<J, L>) -> Self
    where
        L: Clone,
    {
        for (own, theirs) in self.compartments.iter_mut().zip(&other.compartments) {
            *own = theirs.clone();
        }
        self
    }

    /// What becomes of a call that has no key.
    pub fn missing_key(mut self, missing: MissingKeyMeans) -> Self {
        self.missing.means = missing;
        self
    }

    /// The name that the refusals for a missing key carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(mut self, name: &'static str) -> Result<Self, SettingError> {
        self.missing.name = check_name("named", name)?;
        Ok(self)
    }

    /// How the keys are dealt out.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// The compartments, by number.
    pub fn compartments(&self) -> &[Slots<L>] {
        &self.compartments
    }

    /// How many slots are taken, in all compartments.
    pub fn taken(&self) -> usize {
        self.compartments.iter().map(Slots::taken).sum()
    }

    /// How many calls wait, in all compartments.
    pub fn waiting(&self) -> usize {
        self.compartments.iter().map(Slots::waiting).sum()
    }

    /// The compartments of the call's key: `Ok(None)` if it has none and passes all the same.
    fn shard<C: ?Sized>(&self, call: &C) -> Result<Option<Shard>, Rejection>
    where
        K: Key<C>,
    {
        match self.key.key(call) {
            Ok(key) => Ok(Some(self.shards.of(&key))),
            Err(missing) => Ok(match self.missing.decide(missing)? {
                Instead::SharedKey => Some(self.shards.of(&())),
                Instead::Admitted => None,
            }),
        }
    }

    /// The key's compartment with the least of what `load` counts. Of equals the first, which is
    /// another one for another key.
    fn least(&self, shard: &Shard, load: impl Fn(&Slots<L>) -> usize) -> Option<&Slots<L>> {
        let compartments = shard
            .compartments()
            .filter_map(|n| self.compartments.get(n));
        compartments.min_by_key(|slots| load(slots))
    }
}

impl<C: ?Sized, K: Key<C>, L: Look<C>> Policy<C> for ShuffleSharding<K, L> {
    /// `None` if the call has no key and was admitted all the same.
    type Permit = Option<Slot>;
    type Waiting = Turn;

    fn admit(&self, call: &C, now: &Now) -> Admission<Option<Slot>, Turn> {
        let shard = match self.shard(call) {
            Ok(Some(shard)) => shard,
            Ok(None) => return Admission::Admitted(None),
            Err(rejection) => return Admission::Refused(rejection),
        };
        let least_loaded = self.least(&shard, Slots::taken);
        if let Some(slot) = least_loaded.and_then(Slots::try_enter) {
            return Admission::Admitted(Some(slot));
        }
        // It has filled up meanwhile.
        let mut others = shard
            .compartments()
            .filter_map(|n| self.compartments.get(n));
        if let Some(slot) = others.find_map(Slots::try_enter) {
            return Admission::Admitted(Some(slot));
        }
        let Some(shortest_line) = self.least(&shard, Slots::waiting) else {
            // Each key has at least one.
            return Admission::Refused(Rejection::new(Reason::Overloaded, self.missing.name));
        };
        match shortest_line.admit(call, now) {
            Admission::Admitted(slot) => Admission::Admitted(Some(slot)),
            Admission::Refused(rejection) => Admission::Refused(rejection),
            Admission::Wait(turn) => Admission::Wait(turn),
        }
    }

    fn poll_admit(
        &self,
        turn: &mut Turn,
        _: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Slot>, Rejection>> {
        turn.poll(now, context).map_ok(Some)
    }

    fn wake_at(&self, turn: &Turn) -> Option<Instant> {
        turn.until()
    }
}

impl<K, L> fmt::Debug for ShuffleSharding<K, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShuffleSharding")
            .field("name", &self.missing.name)
            .field("shards", &self.shards)
            .field("taken", &self.taken())
            .finish_non_exhaustive()
    }
}
