use crate::setting::{SettingError, check_range};
use crate::sync::AtomicU64;
use std::sync::atomic::Ordering;

/// So many calls more, and no more: a bound on what hedging adds to the load.
///
/// Each call brings a share of a token, and each hedge takes a whole one. So of `n` calls there
/// are never more than `n` times the share hedged, from the first call on. What is not used is
/// saved up, but no more than a thousand calls bring (or one token), so that a sudden slowness
/// after a quiet hour doesn't double the load.
///
/// ```
/// use buttress_core::ExtraLoad;
///
/// let extra = ExtraLoad::new(0.5)?;
/// extra.deposit();
/// assert!(!extra.withdraw());
/// extra.deposit();
/// assert!(extra.withdraw());
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
#[derive(Debug)]
pub struct ExtraLoad {
    /// What a call brings, in millionths of a token.
    share: u64,
    /// The most that is saved up.
    most: u64,
    saved: AtomicU64,
}

impl ExtraLoad {
    /// `share` more calls for each: from 0.0001 to 4, where 0.01 is one in a hundred.
    ///
    /// # Errors
    ///
    /// `share` is out of range.
    pub fn new(share: f64) -> Result<Self, SettingError> {
        let share = check_range("extra_load", share, 0.000_1..=4.0)?;
        Ok(Self::with((share * TOKEN as f64).round() as u64))
    }

    /// The largest share, 4 more calls for each: as many as any hedge sends.
    pub fn largest() -> Self {
        Self::with(4 * TOKEN)
    }

    fn with(share: u64) -> Self {
        Self {
            share,
            most: (1_000 * share).max(TOKEN),
            saved: AtomicU64::new(0),
        }
    }

    /// A call begins.
    #[inline]
    pub fn deposit(&self) {
        // While enough is saved up, calls only read.
        if self.saved.load(Ordering::Relaxed) < self.most {
            self.saved.fetch_add(self.share, Ordering::Relaxed);
        }
    }

    /// Whether there is a token as it stands.
    #[inline]
    pub fn suffices(&self) -> bool {
        self.saved.load(Ordering::Relaxed) >= TOKEN
    }

    /// Takes a token, if there is one.
    pub fn withdraw(&self) -> bool {
        let take = |saved: u64| saved.checked_sub(TOKEN);
        self.saved
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .is_ok()
    }

    /// Gives back a token that was not used after all.
    pub fn give_back(&self) {
        self.saved.fetch_add(TOKEN, Ordering::Relaxed);
    }
}

/// One call in a hundred.
impl Default for ExtraLoad {
    fn default() -> Self {
        Self::with(TOKEN / 100)
    }
}

/// In millionths.
const TOKEN: u64 = 1_000_000;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_saved_up_has_a_bound() {
        let extra = ExtraLoad::new(0.01).unwrap();
        (0..1_000_000).for_each(|_| extra.deposit());
        assert_eq!((0..100).filter(|_| extra.withdraw()).count(), 10);
        let rare = ExtraLoad::new(0.000_1).unwrap();
        (0..1_000_000).for_each(|_| rare.deposit());
        assert_eq!((0..100).filter(|_| rare.withdraw()).count(), 1);
    }

    #[test]
    fn a_share_without_sense_is_refused_by_name() {
        for share in [0.0, -1.0, 4.1, f64::NAN, f64::INFINITY] {
            assert_eq!(ExtraLoad::new(share).unwrap_err().field(), "extra_load");
        }
    }

    proptest! {
        #[test]
        fn there_are_never_more_than_the_share(
            share in 0.000_1_f64..=4.0,
            wishes in prop::collection::vec((any::<bool>(), any::<bool>()), 1..2_000),
        ) {
            let extra = ExtraLoad::new(share).unwrap();
            let (mut calls, mut hedges) = (0_u32, 0_u32);
            for (hedged, used) in wishes {
                extra.deposit();
                calls += 1;
                let suffices = extra.suffices();
                if hedged {
                    let taken = extra.withdraw();
                    prop_assert_eq!(taken, suffices);
                    match used {
                        true => hedges += u32::from(taken),
                        false if taken => extra.give_back(),
                        false => {}
                    }
                }
                // A share is rounded to millionths.
                prop_assert!(f64::from(hedges) <= f64::from(calls) * (share + 1e-6));
            }
        }
    }
}
