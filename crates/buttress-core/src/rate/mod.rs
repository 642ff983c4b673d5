//! The state machine of a rate limit, over two algorithms.

mod cost;
mod gcra;
mod inherit;
mod limiter;
mod sliding_window;

pub use cost::{Cost, CostBy, FixedCost};
pub use gcra::Gcra;
pub use inherit::Given;
pub use limiter::{RateLimiter, RatePermit, Reservation};
pub use sliding_window::SlidingWindow;

use std::num::NonZeroU32;
use std::time::Duration;

/// How a rate limit counts. [`Gcra`] is the one to use; [`SlidingWindow`] is for promises that
/// speak of windows ("a thousand in any hour").
///
/// Times are given as the time since a fixed point in the past of the limiter's choosing.
pub trait RateAlgorithm {
    /// What is remembered for one key. Fixed in size.
    type State: Default;

    /// Takes `cost` if that is within the limit.
    ///
    /// # Errors
    ///
    /// How long until it would be, if nobody takes anything meanwhile.
    fn take(&self, state: &Self::State, cost: NonZeroU32, at: Duration) -> Result<(), Duration>;

    /// Gives back what was taken just now.
    fn give_back(&self, state: &Self::State, cost: NonZeroU32);

    /// How much could be taken, and how long until everything could.
    fn left(&self, state: &Self::State, at: Duration) -> (u32, Duration);

    /// Whether everything could be taken, so that the state may as well be forgotten.
    fn is_whole(&self, state: &Self::State, at: Duration) -> bool {
        self.left(state, at).1.is_zero()
    }

    /// The most that can be taken at once.
    fn limit(&self) -> u32;

    /// The time in which the limit is whole again after it was used up.
    fn window(&self) -> Duration;

    /// Whether calls may take in advance what comes free later, and wait until then.
    const RESERVES: bool;

    /// What was given away and has not come free yet, for a limit that takes the place of this one.
    fn given(&self, state: &Self::State, at: Duration) -> Given {
        Given::by(self, state, at)
    }

    /// Begins with what another limit has given away, as far as this one goes. Returns whether there
    /// was anything.
    fn begin_with(&self, state: &Self::State, given: &Given, at: Duration) -> bool {
        given.take_from(self, state, at)
    }
}
