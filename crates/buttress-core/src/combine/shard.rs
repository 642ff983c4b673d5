//! A part of a [`KeyMap`](super::key_map::KeyMap): a slab of entries, a table of indices into it, and
//! the hand that looks for room.

use crate::digest::Digest;
use crate::policy::Retention;
use hashbrown::HashTable;
use std::sync::atomic::{AtomicBool, Ordering};

/// How many entries are looked at to make room: what a fresh key can cost.
const STEPS: usize = 16;

/// How many are looked at in the hope for an idle one, once one that is unused has been found.
const STEPS_FOR_IDLE: usize = 4;

/// A part of the map, with its own bound.
pub(super) struct Shard<P> {
    /// Indices into `entries`.
    pub(super) table: HashTable<u32>,
    pub(super) entries: Vec<Entry<P>>,
    pub(super) capacity: usize,
    hand: usize,
}

pub(super) struct Entry<P> {
    pub(super) digest: Digest,
    pub(super) state: P,
    /// Used since the hand last passed.
    used: AtomicBool,
}

impl<P> Shard<P> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            table: HashTable::new(),
            entries: Vec::new(),
            capacity,
            hand: 0,
        }
    }

    #[inline]
    pub(super) fn find(&self, digest: Digest) -> Option<&Entry<P>> {
        let index = self.table.find(digest.high, |&index| {
            self.entries[index as usize].digest == digest
        })?;
        let entry = &self.entries[*index as usize];
        // Writing only where it changes something keeps the line shared between processors.
        if !entry.used.load(Ordering::Relaxed) {
            entry.used.store(true, Ordering::Relaxed);
        }
        Some(entry)
    }

    pub(super) fn push(&mut self, digest: Digest, state: P) -> usize {
        let index = self.entries.len();
        if index == self.entries.capacity() {
            let room = self.capacity - index;
            self.entries.reserve_exact(room.min(index.max(8)));
        }
        self.entries.push(Entry::new(digest, state));
        self.link(index);
        index
    }

    pub(super) fn replace(&mut self, index: usize, digest: Digest, state: P) -> P {
        let old = std::mem::replace(&mut self.entries[index], Entry::new(digest, state));
        let linked = self
            .table
            .find_entry(old.digest.high, |&linked| linked as usize == index);
        if let Ok(linked) = linked {
            linked.remove();
        }
        self.link(index);
        old.state
    }

    fn link(&mut self, index: usize) {
        let Self { table, entries, .. } = self;
        let hash = |&index: &u32| entries[index as usize].digest.high;
        // The bound on keys is a `u32`, so an index is one too.
        table.insert_unique(entries[index].digest.high, index as u32, hash);
    }

    /// The entry to forget: the first idle one that the hand meets, else the first that was not
    /// used since the hand's last round, else the first that is not held.
    pub(super) fn victim(&mut self, retention: impl Fn(&P) -> Retention) -> Option<usize> {
        let mut unused = None;
        let mut active = None;
        for step in 0..STEPS.min(self.entries.len()) {
            if step >= STEPS_FOR_IDLE && unused.is_some() {
                break;
            }
            let index = self.hand;
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &self.entries[index];
            match retention(&entry.state) {
                Retention::Idle => return Some(index),
                Retention::Held => {}
                Retention::Active => {
                    active = active.or(Some(index));
                    if !entry.used.swap(false, Ordering::Relaxed) {
                        unused = unused.or(Some(index));
                    }
                }
            }
        }
        unused.or(active)
    }
}

impl<P> Entry<P> {
    fn new(digest: Digest, state: P) -> Self {
        Self {
            digest,
            state,
            used: AtomicBool::new(false),
        }
    }
}
