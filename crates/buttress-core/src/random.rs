use crate::sync::AtomicU64;
use std::fmt;
use std::sync::atomic::Ordering;

/// A source of random numbers that threads share without a lock, and that repeats to the bit when
/// it is seeded. A clone goes on with the same numbers. It is not for secrets.
pub struct Random {
    state: AtomicU64,
}

impl Random {
    /// Numbers that differ from run to run.
    pub fn new() -> Self {
        Self::seeded(fastrand::u64(..))
    }

    /// The same numbers in each run.
    pub fn seeded(seed: u64) -> Self {
        Self {
            state: AtomicU64::new(seed),
        }
    }

    /// A number that is at least 0 and less than 1.
    #[inline]
    pub fn unit(&self) -> f64 {
        // The step of the generator itself, so that this is its own stream.
        let seed = self.state.fetch_add(STEP, Ordering::Relaxed);
        fastrand::Rng::with_seed(seed).f64()
    }
}

impl Clone for Random {
    fn clone(&self) -> Self {
        Self::seeded(self.state.load(Ordering::Relaxed))
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Random {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Random").finish_non_exhaustive()
    }
}

/// By how much the state of wyrand, which is `fastrand`'s algorithm, grows with each number.
const STEP: u64 = 0x2d35_8dcc_aa6c_78a5;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_its_numbers_are_spread_evenly() {
        let (one, other) = (Random::seeded(7), Random::seeded(7));
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            let number = one.unit();
            assert_eq!(number.to_bits(), other.unit().to_bits());
            assert!((0.0..1.0).contains(&number));
            tenths[(number * 10.0) as usize] += 1;
        }
        assert!(
            tenths.iter().all(|count| (850..1_150).contains(count)),
            "{tenths:?}"
        );
    }
}
