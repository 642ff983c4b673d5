//! The last so many calls.

use super::divisor::Divisor;
use super::transition::Tally;
use crate::sync::{AtomicU32, AtomicU64};
use std::sync::atomic::Ordering::Relaxed;

/// A ring with one place for each call, and one or two bits for each place.
///
/// A call takes the next place and writes its bits over those of the call that was there. How many
/// bits are set is known at any time, so nothing is ever added up.
#[derive(Debug)]
pub(super) struct CountWindow {
    places: Divisor,
    calls: AtomicU64,
    failed: Bits,
    slow: Option<Bits>,
}

impl CountWindow {
    pub(super) fn new(calls: u32, tells_slow: bool) -> Self {
        Self {
            places: Divisor::new(calls.into()),
            calls: AtomicU64::new(0),
            failed: Bits::new(calls),
            slow: tells_slow.then(|| Bits::new(calls)),
        }
    }

    /// Counts a call. Returns what the window holds then, unless it holds nothing bad.
    #[inline]
    pub(super) fn record(&self, failed: bool, slow: bool) -> Option<Tally> {
        let calls = self.calls.fetch_add(1, Relaxed);
        let place = self.places.divide(calls).1 as usize;
        self.failed.set(place, failed);
        if let Some(bits) = &self.slow {
            bits.set(place, slow);
        }
        let tally = self.tally_of(calls + 1);
        (tally.failed | tally.slow != 0).then_some(tally)
    }

    pub(super) fn tally(&self) -> Tally {
        self.tally_of(self.calls.load(Relaxed))
    }

    #[inline]
    fn tally_of(&self, calls: u64) -> Tally {
        let calls = calls.min(self.places.by());
        // A call that is being counted may have set its bits already.
        Tally {
            calls,
            failed: self.failed.count().min(calls),
            slow: self.slow.as_ref().map_or(0, Bits::count).min(calls),
        }
    }

    /// Forgets everything.
    pub(super) fn clear(&self) {
        self.calls.store(0, Relaxed);
        self.failed.clear();
        if let Some(bits) = &self.slow {
            bits.clear();
        }
    }
}

/// Bits, and how many of them are set. Whoever changes a bit changes the number by as much, so
/// that in the end the two agree, whatever happened at the same time.
#[derive(Debug)]
struct Bits {
    words: Box<[AtomicU64]>,
    /// In two's complement: a bit may be taken out of it before it was added.
    set: AtomicU32,
}

impl Bits {
    fn new(bits: u32) -> Self {
        Self {
            words: (0..bits.div_ceil(64)).map(|_| AtomicU64::new(0)).collect(),
            set: AtomicU32::new(0),
        }
    }

    #[inline]
    fn set(&self, place: usize, value: bool) {
        let Some(word) = self.words.get(place / 64) else {
            return;
        };
        let bit = 1 << (place % 64);
        if (word.load(Relaxed) & bit != 0) == value {
            return;
        }
        if value {
            if word.fetch_or(bit, Relaxed) & bit == 0 {
                self.set.fetch_add(1, Relaxed);
            }
        } else if word.fetch_and(!bit, Relaxed) & bit != 0 {
            self.set.fetch_sub(1, Relaxed);
        }
    }

    #[inline]
    fn count(&self) -> u64 {
        (self.set.load(Relaxed).cast_signed())
            .max(0)
            .cast_unsigned()
            .into()
    }

    fn clear(&self) {
        for word in &self.words {
            let bits = word.swap(0, Relaxed);
            self.set.fetch_sub(bits.count_ones(), Relaxed);
        }
    }
}
