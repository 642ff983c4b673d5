//! What the calls of one thread have shown since somebody last looked.

use crate::sync::{AtomicU32, AtomicU64};
use std::sync::atomic::Ordering;

/// Counts without a lock, and without touching what other threads touch: each thread has its own.
///
/// The numbers are read one after the other while calls go on, so what is taken can lack one call's
/// latency or hold one too many. Nothing is counted twice or lost: it is in the next sample.
#[repr(align(128))]
pub(super) struct Tally {
    /// How many calls were answered, and how long they took together, in nanoseconds.
    calls: AtomicU32,
    nanos: AtomicU64,
    /// How many latencies were ever written to `latest`.
    written: AtomicU32,
    /// The last latencies, in nanoseconds, for quantiles.
    latest: [AtomicU64; LATEST],
    /// How many calls the callee refused, and whether one found the limit used up.
    dropped: AtomicU32,
    saturated: AtomicU32,
}

/// How many latencies of each thread a quantile can rest on.
pub(super) const LATEST: usize = if cfg!(loom) { 2 } else { 64 };

/// What was in tallies.
#[derive(Debug, Default)]
pub(super) struct Total {
    pub(super) calls: u32,
    pub(super) nanos: u64,
    pub(super) dropped: u32,
    pub(super) saturated: bool,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            calls: AtomicU32::new(0),
            nanos: AtomicU64::new(0),
            written: AtomicU32::new(0),
            latest: std::array::from_fn(|_| AtomicU64::new(0)),
            dropped: AtomicU32::new(0),
            saturated: AtomicU32::new(0),
        }
    }

    /// A call was answered.
    #[inline]
    pub(super) fn answered(&self, nanos: u64) {
        let index = self.written.fetch_add(1, Ordering::Relaxed);
        self.latest[index as usize % LATEST].store(nanos, Ordering::Relaxed);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
        // Last, so that whoever sees the count sees what is counted.
        self.calls.fetch_add(1, Ordering::Release);
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

    /// Moves what was counted into `total`, and the latencies into `latencies`, which grows no
    /// further than its capacity. Only one thread at a time does that.
    pub(super) fn move_into(&self, total: &mut Total, latencies: &mut Vec<u64>) {
        let calls = self.calls.swap(0, Ordering::Acquire);
        total.calls = total.calls.saturating_add(calls);
        let nanos = self.nanos.swap(0, Ordering::Relaxed);
        total.nanos = total.nanos.saturating_add(nanos);
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        total.dropped = total.dropped.saturating_add(dropped);
        if self.saturated.load(Ordering::Relaxed) != 0 {
            self.saturated.store(0, Ordering::Relaxed);
            total.saturated = true;
        }
        let written = self.written.load(Ordering::Relaxed);
        let room = latencies.capacity() - latencies.len();
        let new = (calls as usize).min(LATEST).min(room);
        for back in 1..=new {
            let index = written.wrapping_sub(back as u32) as usize % LATEST;
            latencies.push(self.latest[index].load(Ordering::Relaxed));
        }
    }
}
