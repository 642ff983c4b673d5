//! Limits that find themselves: how many calls at once a callee handles well.
//!
//! A fixed limit is right on the day on which it was measured. Then the callee gets a second
//! instance, or loses one, and the limit either refuses what could have been served or lets a queue
//! grow. The algorithms here look at how long calls take while so many are under way, and move the
//! limit to where more calls at once no longer mean more calls served, only longer waits.
//!
//! | algorithm | watches | needs to be told |
//! | --- | --- | --- |
//! | [`LatencyQuantile`] | a quantile against what it is without a queue, and throughput | nothing |
//! | [`Vegas`] | the calls that must be standing in a queue | nothing |
//! | [`Gradient2`] | latency now against latency over a long time | nothing |
//! | [`Aimd`] | refusals, and calls that take too long | what is too long |
//!
//! They see one [`Sample`] for each round trip, not one for each call: the calls of one round trip
//! were all admitted under the same limit, and acting on each would act many times on the same
//! evidence. [`AdaptiveSlots`] collects the samples, and holds calls to the limit.
//!
//! # What the baseline learns
//!
//! All but AIMD compare with a baseline, and everything hangs on what that learns. If it follows
//! every sample, as published, a queue that stands for long becomes normal, and the limit grows
//! without end. If it never rises, a callee that has become slower for good is starved. Limiters
//! that lower the limit now and then to have a look at the callee without load refuse calls for
//! no reason, every time.
//!
//! Here the baseline follows latency down at once. It follows it up only while so few calls are
//! under way that they cannot be queueing for each other, or when slowness has gone on for the
//! [patience](LatencyQuantile::patience) although fewer calls were let in: then it is not the calls
//! that make it slow. Until that is known, the limit goes no lower than it helps.
//!
//! # Writing one
//!
//! ```
//! use buttress_core::limit::{Limit, Sample};
//! use std::time::{Duration, Instant};
//!
//! /// As many calls at once as are answered in 50 ms on average.
//! #[derive(Clone)]
//! struct Target(u32);
//!
//! impl Limit for Target {
//!     fn limit(&self) -> u32 {
//!         self.0
//!     }
//!
//!     fn update(&mut self, sample: &Sample, _: Instant) -> u32 {
//!         if sample.dropped || sample.mean > Duration::from_millis(50) {
//!             self.0 -= self.0 / 8;
//!         } else if sample.saturated {
//!             self.0 += 1;
//!         }
//!         self.0
//!     }
//! }
//! ```

mod aimd;
mod bounds;
mod collector;
mod evidence;
mod gradient2;
mod latency_quantile;
#[cfg(all(test, loom))]
mod loom_tests;
mod sample;
mod slots;
mod spell;
mod tally;
#[cfg(all(test, not(loom)))]
mod tests;
mod vegas;

pub use aimd::Aimd;
pub use gradient2::Gradient2;
pub use latency_quantile::LatencyQuantile;
pub use sample::Sample;
pub use slots::{AdaptiveSlot, AdaptiveSlots};
pub use vegas::Vegas;

use crate::setting::SettingError;
use std::time::Instant;

/// Finds out how many calls may be under way at once.
///
/// It is told of each round trip's calls as one [`Sample`], by one thread at a time, and knows no
/// clock. It must not block or panic.
pub trait Limit {
    /// How many calls may be under way now; before the first sample, how many to begin with. What
    /// is 0 counts as 1.
    fn limit(&self) -> u32;

    /// Takes what was seen until `now`, and says how many calls may be under way from here on. What
    /// is 0 counts as 1.
    fn update(&mut self, sample: &Sample, now: Instant) -> u32;

    /// How many calls must have been answered before it wants to see a sample: 10 by default, as
    /// in Netflix's concurrency-limits.
    fn samples(&self) -> u32 {
        10
    }

    /// Which quantile of the latencies it wants to see, from 0 to 1. By default none, which saves
    /// the work of finding it.
    fn quantile(&self) -> Option<f64> {
        None
    }

    /// Begins with this limit, or with the nearest one that is allowed, where it has not seen a sample
    /// yet: for an algorithm that takes the place of another one while calls run. By default it begins
    /// with its own.
    fn begin_at(&mut self, limit: u32) {
        let _ = limit;
    }

    /// Whether the settings make sense. It is asked once, when a policy is built on it.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes none, its value and what is allowed.
    fn check(&self) -> Result<(), SettingError> {
        Ok(())
    }
}
