use crate::sync::AtomicU32;
use std::sync::atomic::Ordering;

/// gRPC's throttle (gRFC A6). Everything is in thousandths of a token.
#[derive(Debug)]
pub(super) struct Tokens {
    left: AtomicU32,
    most: u32,
    ratio: u32,
}

const ONE: u32 = 1_000;

impl Tokens {
    /// A6 allows a thousand tokens.
    pub(super) const MOST: u32 = 1_000 * ONE;

    pub(super) fn new(most: u32, ratio: u32) -> Self {
        Self {
            left: AtomicU32::new(most),
            most,
            ratio,
        }
    }

    #[inline]
    pub(super) fn give_back(&self) {
        // A callee that is well costs no more than a look.
        if self.left.load(Ordering::Relaxed) < self.most {
            self.change(|left| left.saturating_add(self.ratio).min(self.most));
        }
    }

    pub(super) fn take(&self) {
        self.change(|left| left.saturating_sub(ONE));
    }

    pub(super) fn suffice(&self) -> bool {
        self.left.load(Ordering::Relaxed) > self.most / 2
    }

    /// Each needs a failure before it, which takes a token.
    pub(super) fn left(&self) -> u64 {
        let spare = self
            .left
            .load(Ordering::Relaxed)
            .saturating_sub(self.most / 2);
        u64::from(spare.div_ceil(ONE).saturating_sub(1))
    }

    fn change(&self, change: impl Fn(u32) -> u32) {
        let mut left = self.left.load(Ordering::Relaxed);
        while let Err(now) = self.left.compare_exchange_weak(
            left,
            change(left),
            Ordering::Relaxed,
            Ordering::Relaxed,
        ) {
            left = now;
        }
    }
}
