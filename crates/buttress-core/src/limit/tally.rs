//! What the calls of one thread have shown.

use crate::sync::{AtomicU32, AtomicU64};
use std::sync::atomic::Ordering;

/// Counts without a lock, and without touching what other threads touch: each thread has its own.
///
/// The numbers only grow; whoever takes what is new remembers what was there. So an answered call
/// costs one addition and one store.
#[repr(align(128))]
pub(super) struct Tally {
    /// How many calls were ever answered.
    answered: AtomicU32,
    /// How many were ever refused by the callee.
    dropped: AtomicU32,
    /// Whether a call found the limit used up since somebody last looked.
    saturated: AtomicU32,
    /// How long the last calls took, in nanoseconds.
    latest: [AtomicU64; LATEST],
}

/// How many latencies of each thread a sample can rest on.
pub(super) const LATEST: usize = if cfg!(loom) { 2 } else { 64 };

/// What was there when somebody last looked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looked {
    answered: u32,
    dropped: u32,
}

/// What is new in tallies.
#[derive(Debug, Default)]
pub(super) struct Total {
    pub(super) answered: u32,
    pub(super) dropped: u32,
    pub(super) saturated: bool,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            answered: AtomicU32::new(0),
            dropped: AtomicU32::new(0),
            saturated: AtomicU32::new(0),
            latest: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }

    /// A call was answered.
    ///
    /// The place is taken before the latency is written, since two threads may share a tally. So
    /// whoever looks in between finds an older latency there, or none.
    #[inline]
    pub(super) fn answered(&self, nanos: u64) {
        let index = self.answered.fetch_add(1, Ordering::Relaxed);
        self.latest[index as usize % LATEST].store(nanos.max(1), Ordering::Relaxed);
    }

    /// The callee refused a call.
    pub(super) fn dropped(&self) {
        self.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// A call found the limit used up.
    #[inline]
    pub(super) fn saturated(&self) {
        // Refusals come in floods, and reading costs less than writing.
        if self.saturated.load(Ordering::Relaxed) == 0 {
            self.saturated.store(1, Ordering::Relaxed);
        }
    }

    /// Adds what is new since `looked` to `total`, and the latencies to `latencies`, which grows no
    /// further than its capacity.
    pub(super) fn take(&self, looked: &mut Looked, total: &mut Total, latencies: &mut Vec<u64>) {
        let (answered, dropped) = (
            self.answered.load(Ordering::Relaxed),
            self.dropped.load(Ordering::Relaxed),
        );
        let new = answered.wrapping_sub(looked.answered);
        total.answered = total.answered.saturating_add(new);
        let dropped_since = dropped.wrapping_sub(looked.dropped);
        total.dropped = total.dropped.saturating_add(dropped_since);
        *looked = Looked { answered, dropped };
        if self.saturated.load(Ordering::Relaxed) != 0 {
            self.saturated.store(0, Ordering::Relaxed);
            total.saturated = true;
        }
        let room = latencies.capacity() - latencies.len();
        for back in 1..=(new as usize).min(LATEST).min(room) {
            let index = answered.wrapping_sub(back as u32) as usize % LATEST;
            match self.latest[index].load(Ordering::Relaxed) {
                0 => {}
                nanos => latencies.push(nanos),
            }
        }
    }
}
