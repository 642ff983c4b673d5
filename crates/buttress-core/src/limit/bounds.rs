use crate::setting::{SettingError, check_range};

/// Between which limits an algorithm moves, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) start: u32,
    pub(super) min: u32,
    pub(super) max: u32,
}

impl Bounds {
    /// The limit that is nearest to `limit`. It never panics, even if the bounds were not checked.
    pub(super) fn clamp(self, limit: f64) -> f64 {
        limit.min(f64::from(self.max)).max(f64::from(self.min))
    }

    pub(super) fn check(self) -> Result<(), SettingError> {
        check_range("min", self.min, 1..=MOST)?;
        check_range("max", self.max, self.min..=MOST)?;
        check_range("start", self.start, self.min..=self.max)?;
        Ok(())
    }
}

/// More calls at once than this are no limit.
const MOST: u32 = 1_000_000;

/// The settings of the bounds, which all algorithms have.
macro_rules! bounded {
    ($algorithm:ident, start $start:literal, min $min:literal, max $max:literal) => {
        impl $algorithm {
            #[doc = concat!(
                "The limit to begin with, from the least to the most; ", $start, " by default."
            )]
            pub fn start(mut self, start: u32) -> Self {
                self.bounds.start = start;
                self.limit = f64::from(start);
                self
            }

            #[doc = concat!("The least limit, from 1; ", $min, " by default.")]
            pub fn min(mut self, min: u32) -> Self {
                self.bounds.min = min;
                self
            }

            #[doc = concat!("The most, up to 1 000 000; ", $max, " by default.")]
            pub fn max(mut self, max: u32) -> Self {
                self.bounds.max = max;
                self
            }
        }
    };
}
pub(super) use bounded;
