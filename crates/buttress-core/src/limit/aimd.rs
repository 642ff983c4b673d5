use super::bounds::{Bounds, bounded};
use super::{Limit, Sample};
use crate::setting::{SettingError, check_duration, check_range};
use std::time::{Duration, Instant};

/// One more while it goes well, a tenth less when it does not: *additive increase, multiplicative
/// decrease*, as TCP has kept the internet standing since 1988.
///
/// It looks at nothing but whether the callee refuses calls and whether they take too long. That
/// makes it the simplest of all, the hardest to confuse, and the one that must be told: with the
/// default of five seconds it finds the limit at which calls take five seconds. Set
/// [`too_slow`](Self::too_slow) to a little more than what calls take when the callee is well.
///
/// With each [`Sample`]: if a call was dropped or the mean is over the bound, the limit becomes
/// ⌊0.9 × limit⌋; otherwise, if at least half of it is in use, one more. Formula and defaults are
/// those of Netflix's concurrency-limits.
///
/// ```
/// use buttress_core::limit::{Aimd, Limit, Sample};
/// use std::time::{Duration, Instant};
///
/// let mut aimd = Aimd::new().too_slow(Duration::from_millis(100));
/// let now = Instant::now();
/// assert_eq!(aimd.update(&Sample::new(Duration::from_millis(10), 20), now), 21);
/// assert_eq!(aimd.update(&Sample::new(Duration::from_millis(300), 21), now), 20);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Aimd {
    bounds: Bounds,
    limit: f64,
    backoff: f64,
    too_slow: Duration,
}

bounded!(Aimd, start 20, min 20, max 200);

impl Aimd {
    /// With the published defaults.
    pub fn new() -> Self {
        Self {
            bounds: Bounds {
                start: 20,
                min: 20,
                max: 200,
            },
            limit: 20.0,
            backoff: 0.9,
            too_slow: Duration::from_secs(5),
        }
    }

    /// What is left of the limit when it goes badly, from 0.5 to 0.99; 0.9 by default.
    pub fn backoff(mut self, ratio: f64) -> Self {
        self.backoff = ratio;
        self
    }

    /// The mean latency that means too much, up to a year; 5 s by default.
    pub fn too_slow(mut self, latency: Duration) -> Self {
        self.too_slow = latency;
        self
    }
}

impl Limit for Aimd {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn begin_at(&mut self, limit: u32) {
        self.limit = self.bounds.clamp(f64::from(limit));
    }

    fn update(&mut self, sample: &Sample, _: Instant) -> u32 {
        let next = if sample.dropped || sample.mean > self.too_slow {
            (self.limit * self.backoff).floor()
        } else if f64::from(sample.in_flight) * 2.0 >= self.limit {
            self.limit + 1.0
        } else {
            self.limit
        };
        self.limit = self.bounds.clamp(next);
        self.limit()
    }

    fn check(&self) -> Result<(), SettingError> {
        self.bounds.check()?;
        check_range("backoff", self.backoff, 0.5..=0.99)?;
        check_duration("too_slow", self.too_slow)?;
        Ok(())
    }
}

impl Default for Aimd {
    fn default() -> Self {
        Self::new()
    }
}
