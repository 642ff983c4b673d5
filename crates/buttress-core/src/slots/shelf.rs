//! Slots at hand.

use super::shared::Shared;
use crate::sync::AtomicUsize;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::thread::available_parallelism;

/// Slots that one thread's calls gave back, and that its next calls take without touching what
/// other threads touch. A permit refers to its bulkhead through the shelf, so that the reference
/// count is the thread's own, too.
///
/// Nothing may lie here while somebody stands in line, or above the limit. Whoever starts to wait
/// or lowers the limit says so first and clears the shelves then. Whoever puts a slot down or
/// takes one up looks afterwards whether that was said. All of these are read-modify-write
/// operations on `slots`, so one of the two sees the other.
#[repr(align(128))]
pub(super) struct Shelf {
    slots: AtomicUsize,
    shared: Arc<Shared>,
}

impl Shelf {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self {
            slots: AtomicUsize::new(0),
            shared,
        }
    }

    #[inline]
    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(super) fn len(&self) -> usize {
        self.slots.load(Ordering::Acquire)
    }

    /// Takes a slot from the shelf.
    #[inline]
    pub(super) fn take(&self) -> bool {
        if !self.pick_up() {
            return false;
        }
        if self.shared.allows_shelves() {
            return true;
        }
        self.shared.give_back(1);
        false
    }

    /// Puts a slot on the shelf, or back where it is for everybody.
    #[inline]
    pub(super) fn put(&self) {
        if self.slots.load(Ordering::Relaxed) < MOST && self.shared.allows_shelves() {
            self.slots.fetch_add(1, Ordering::AcqRel);
            // If it is gone already, so is the duty to give it back.
            if self.shared.allows_shelves() || !self.pick_up() {
                return;
            }
        }
        self.shared.give_back(1);
    }

    /// Takes everything.
    pub(super) fn clear(&self) -> usize {
        self.slots.swap(0, Ordering::AcqRel)
    }

    #[inline]
    fn pick_up(&self) -> bool {
        let mut slots = self.slots.load(Ordering::Relaxed);
        while slots > 0 {
            match self.slots.compare_exchange_weak(
                slots,
                slots - 1,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => return true,
                Err(actual) => slots = actual,
            }
        }
        false
    }
}

/// Few enough that a quiet thread does not keep what busy ones look for.
const MOST: usize = 4;

/// How many shelves suffice for this machine: more than it has processors, so that two threads
/// seldom share one, and few enough to search.
pub(crate) fn enough_for_this_machine() -> usize {
    // On Linux the question is answered by reading files, and a bulkhead is made for each new key.
    static ENOUGH: OnceLock<usize> = OnceLock::new();
    if cfg!(loom) {
        return 2;
    }
    *ENOUGH.get_or_init(|| {
        available_parallelism().map_or(4, |processors| (4 * processors.get()).min(32))
    })
}

/// A number that differs from thread to thread.
#[cfg(not(loom))]
#[inline]
pub(crate) fn of_this_thread() -> usize {
    use std::sync::atomic::AtomicUsize;
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: usize = THREADS.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(loom)]
pub(crate) fn of_this_thread() -> usize {
    super::loom_tests::NUMBER.with(std::cell::Cell::get)
}
