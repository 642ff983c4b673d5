//! The bounded map under [`Keyed`](super::Keyed).
//!
//! Shards, each a slab of entries with a table of indices into it behind a lock that readers
//! share: a call with a known key takes no exclusive lock. Eviction is CLOCK (Corbató 1968): a
//! hand goes round the slab and takes the first entry worth taking, in a bounded number of steps.

use super::shard::Shard;
use crate::digest::{Digest, Digester};
use crate::policy::Retention;
use parking_lot::RwLock;
use std::hash::Hash;

/// There is no room for a new key: everything in reach is held by calls.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

pub(super) struct KeyMap<P> {
    shards: Box<[RwLock<Shard<P>>]>,
    digester: Digester,
}

impl<P> KeyMap<P> {
    pub(super) fn new(max_keys: u32) -> Self {
        let max_keys = max_keys as usize;
        let shards = if max_keys < FEWEST_KEYS_FOR_SHARDS {
            1
        } else {
            SHARDS
        };
        // Where the keys don't divide evenly, the first shards hold one more.
        let capacity = |index| max_keys / shards + usize::from(index < max_keys % shards);
        Self {
            shards: (0..shards)
                .map(|index| RwLock::new(Shard::new(capacity(index))))
                .collect(),
            digester: Digester::of_this_process(),
        }
    }

    /// The key, as the map knows it.
    #[inline]
    pub(super) fn digest(&self, key: &impl Hash) -> Digest {
        self.digester.digest(key)
    }

    /// How many keys are remembered. Slow: it visits each shard.
    pub(super) fn len(&self) -> usize {
        self.shards
            .iter()
            .map(|shard| shard.read().entries.len())
            .sum()
    }

    /// How many keys there is room for. Slow as well.
    pub(super) fn capacity(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().capacity).sum()
    }

    /// Shows the states that are remembered, one part of the map after the other. What comes to a part
    /// that has been seen is not seen.
    pub(super) fn each(&self, mut show: impl FnMut(&P)) {
        for shard in &self.shards {
            let shard = shard.read();
            for entry in &shard.entries {
                show(&entry.state);
            }
        }
    }

    /// Remembers the keys of another map that has the same kind of keys, with states made of theirs
    /// if there are any, as far as there is room. A key that is known already stays as it is.
    ///
    /// It holds one lock at a time, and while it makes states only for as long as a few of them take:
    /// calls with a new key wait for that.
    pub(super) fn take_over<Q>(&self, before: &KeyMap<Q>, next: impl Fn(&Q) -> Option<P>) {
        for shard in &before.shards {
            let mut seen = 0;
            loop {
                let some: Vec<Digest> = {
                    let shard = shard.read();
                    let rest = shard.entries.iter().skip(seen).take(AT_A_TIME);
                    rest.map(|entry| entry.digest).collect()
                };
                if some.is_empty() {
                    break;
                }
                seen += some.len();
                let wanted: Vec<_> = some.into_iter().filter(|key| self.wants(*key)).collect();
                let made: Vec<_> = {
                    let shard = shard.read();
                    let known = wanted.into_iter().filter_map(|key| shard.find(key));
                    let made = known.map(|entry| Some((entry.digest, next(&entry.state)?)));
                    made.flatten().collect()
                };
                for (digest, state) in made {
                    self.remember(digest, state);
                }
            }
        }
    }

    fn wants(&self, digest: Digest) -> bool {
        let shard = self.shard(digest).read();
        shard.entries.len() < shard.capacity && shard.find(digest).is_none()
    }

    fn remember(&self, digest: Digest, state: P) {
        let mut shard = self.shard(digest).write();
        if shard.entries.len() < shard.capacity && shard.find(digest).is_none() {
            shard.push(digest, state);
        } else {
            // Somebody was quicker. Its destructor is not ours.
            drop(shard);
            drop(state);
        }
    }

    /// Shows the state of a key that is remembered.
    pub(super) fn get<R>(&self, digest: Digest, use_it: impl FnOnce(&P) -> R) -> Option<R> {
        let shard = self.shard(digest).read();
        shard.find(digest).map(|entry| use_it(&entry.state))
    }

    /// Shows the state of a key, and makes it first if it is not remembered.
    #[inline]
    pub(super) fn get_or_make<R>(
        &self,
        digest: Digest,
        make: impl FnOnce() -> P,
        retention: impl Fn(&P) -> Retention,
        use_it: impl FnOnce(&P) -> R,
    ) -> Result<R, Full> {
        {
            let shard = self.shard(digest).read();
            if let Some(entry) = shard.find(digest) {
                return Ok(use_it(&entry.state));
            }
        }
        self.make(digest, make, retention, use_it)
    }

    #[inline]
    fn shard(&self, digest: Digest) -> &RwLock<Shard<P>> {
        // The table takes its bits from `high`, so the shard takes them from `low`.
        &self.shards[digest.low as usize % self.shards.len()]
    }

    #[cold]
    fn make<R>(
        &self,
        digest: Digest,
        make: impl FnOnce() -> P,
        retention: impl Fn(&P) -> Retention,
        use_it: impl FnOnce(&P) -> R,
    ) -> Result<R, Full> {
        let mut shard = self.shard(digest).write();
        if let Some(entry) = shard.find(digest) {
            return Ok(use_it(&entry.state));
        }
        let mut forgotten = None;
        let index = if shard.entries.len() < shard.capacity {
            shard.push(digest, make())
        } else {
            let victim = shard.victim(retention).ok_or(Full)?;
            forgotten = Some(shard.replace(victim, digest, make()));
            victim
        };
        let answer = use_it(&shard.entries[index].state);
        // What is forgotten is dropped outside the lock: its destructor is not ours.
        drop(shard);
        drop(forgotten);
        Ok(answer)
    }
}

/// Enough that two threads with different keys seldom meet.
const SHARDS: usize = 64;

/// Below it, dividing the bound by the shards would make it too coarse.
const FEWEST_KEYS_FOR_SHARDS: usize = 64 * 64;

/// How many states are made of another map's under one lock.
const AT_A_TIME: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;
    use std::collections::HashSet;

    fn visit(map: &KeyMap<(u32, Cell<Retention>)>, key: u32) -> Result<u32, Full> {
        map.get_or_make(
            map.digest(&key),
            || (key, Cell::new(Retention::Active)),
            |state| state.1.get(),
            |state| state.0,
        )
    }

    fn set(map: &KeyMap<(u32, Cell<Retention>)>, key: u32, retention: Retention) {
        map.get(map.digest(&key), |state| state.1.set(retention));
    }

    #[test]
    fn what_is_held_stays_and_a_new_key_finds_no_room() {
        let map = KeyMap::new(2);
        for key in [1, 2] {
            visit(&map, key).unwrap();
            set(&map, key, Retention::Held);
        }
        assert_eq!(visit(&map, 3), Err(Full));
        set(&map, 1, Retention::Active);
        assert_eq!(visit(&map, 3), Ok(3));
        assert_eq!(map.get(map.digest(&1), |_| ()), None);
        assert_eq!(map.get(map.digest(&2), |_| ()), Some(()));
    }

    #[test]
    fn what_is_idle_goes_before_what_is_not() {
        let map = KeyMap::new(4);
        for key in 0..4 {
            visit(&map, key).unwrap();
        }
        set(&map, 3, Retention::Idle);
        visit(&map, 4).unwrap();
        assert!((0..5).all(|key| (key == 3) == map.get(map.digest(&key), |_| ()).is_none()));
    }

    #[test]
    fn what_is_used_outlives_a_flood() {
        let map = KeyMap::new(64);
        visit(&map, 0).unwrap();
        for fresh in 1..10_000 {
            visit(&map, fresh).unwrap();
            visit(&map, 0).unwrap();
            assert!(map.len() <= 64);
        }
        assert_eq!(map.get(map.digest(&9_000), |_| ()), None);
    }

    #[test]
    fn a_map_takes_over_what_another_has_as_far_as_there_is_room() {
        let before = KeyMap::new(10_000);
        for key in 0..1_000 {
            visit(&before, key).unwrap();
        }
        for most in [1, 40, 999, 1_000, 9_000] {
            let map = KeyMap::new(most);
            visit(&map, 7).unwrap();
            map.take_over(&before, |(key, _)| {
                (key % 2 == 1).then(|| (key + 1_000_000, Cell::new(Retention::Active)))
            });
            let all = 500.min(most as usize);
            assert_eq!(map.len(), all, "{most}");
            assert_eq!(visit(&map, 7), Ok(7), "it was known");
            let known = |key| map.get(map.digest(&key), |state| state.0);
            assert!((0..1_000).all(|key| known(key).is_none_or(|of| of % 2 == 1)));
        }
    }

    #[test]
    fn a_map_that_takes_over_itself_stays_as_it_is() {
        let map = KeyMap::new(100);
        for key in 0..90 {
            visit(&map, key).unwrap();
        }
        map.take_over(&map, |(key, _)| Some((key + 1, Cell::new(Retention::Held))));
        assert_eq!(map.len(), 90);
        assert!((0..90).all(|key| visit(&map, key) == Ok(key)));
    }

    proptest! {
        #[test]
        fn the_bound_holds_and_each_key_meets_its_own_state(
            bound in 1_u32..40,
            keys in prop::collection::vec(0_u32..80, 0..400),
        ) {
            let map = KeyMap::new(bound);
            let mut seen = HashSet::new();
            for key in keys {
                prop_assert_eq!(visit(&map, key), Ok(key));
                seen.insert(key);
                prop_assert!(map.len() <= bound as usize);
            }
            prop_assert_eq!(map.len(), seen.len().min(bound as usize));
            let shard = map.shards[0].read();
            prop_assert_eq!(shard.table.len(), shard.entries.len());
        }
    }

    #[test]
    fn a_bound_that_the_shards_do_not_divide_is_kept() {
        let map: KeyMap<()> = KeyMap::new(100_001);
        let total: usize = map.shards.iter().map(|shard| shard.read().capacity).sum();
        assert_eq!(total, 100_001);
    }
}
