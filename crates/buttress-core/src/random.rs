//! The one source of randomness, for jitter and for shedding.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Random numbers from one seed, without a lock and without a state for each thread, so that an
/// experiment with a seed repeats to the bit.
///
/// It is Wang Yi's *wyrand*, as the crate `fastrand` has it: good enough to spread callers, and no
/// source of secrets.
///
/// ```
/// use buttress_core::Random;
///
/// let (one, other) = (Random::seeded(7), Random::seeded(7));
/// assert_eq!(one.unit().to_bits(), other.unit().to_bits());
/// ```
#[derive(Debug)]
pub struct Random {
    next: AtomicU64,
}

impl Random {
    /// A source that differs from all others.
    pub fn new() -> Self {
        Self::seeded(fastrand::u64(..))
    }

    /// A source that repeats: the same seed, the same numbers.
    pub const fn seeded(seed: u64) -> Self {
        Self {
            next: AtomicU64::new(seed),
        }
    }

    /// A number from 0 (included) to 1 (excluded).
    pub fn unit(&self) -> f64 {
        self.draw().f64()
    }

    /// A length of time from `low` to `high`, both included; `low` if that is the longer one.
    pub fn between(&self, low: Duration, high: Duration) -> Duration {
        let Some(spread) = high.checked_sub(low) else {
            return low;
        };
        // Five hundred years of nanoseconds are enough of a spread.
        let spread = u64::try_from(spread.as_nanos()).unwrap_or(u64::MAX);
        low.saturating_add(Duration::from_nanos(self.draw().u64(0..=spread)))
    }

    /// wyrand's state is a number that grows by a constant, so whoever adds it owns the number
    /// before, and draws from that.
    fn draw(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.next.fetch_add(STEP, Ordering::Relaxed))
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

/// An odd number without a pattern, so that all 2⁶⁴ states are passed before one comes again.
const STEP: u64 = 0x2d35_8dcc_aa6c_78a5;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_numbers_fill_the_range_evenly() {
        let random = Random::seeded(1);
        let mut tenths = [0_u32; 10];
        for _ in 0..100_000 {
            let number = random.unit();
            assert!((0.0..1.0).contains(&number));
            tenths[(number * 10.0) as usize] += 1;
        }
        // Five standard deviations are 475.
        for tenth in tenths {
            assert!(tenth.abs_diff(10_000) < 475, "{tenths:?}");
        }
    }

    #[test]
    fn sources_differ_unless_seeded_alike() {
        assert_ne!(
            Random::new().unit().to_bits(),
            Random::new().unit().to_bits()
        );
    }

    proptest! {
        #[test]
        fn a_time_between_two_is_between_them(low: Duration, high: Duration, seed: u64) {
            let time = Random::seeded(seed).between(low, high);
            prop_assert!(time >= low && time <= high.max(low));
        }
    }
}
