//! Shedding load: refusing some calls at once, so that the others are answered in time.
//!
//! A service that takes every call that comes is as slow as its queue is long, and a queue that is
//! longer than callers' patience is work for nobody. To refuse costs a hundredth of what it costs to
//! serve. What differs is by which sign one knows that there is too much:
//!
//! | shedder | sign |
//! | --- | --- |
//! | [`Slots`](crate::Slots), [`AdaptiveSlots`](crate::AdaptiveSlots) | too many calls at once |
//! | [`QueueDelay`] | calls wait for longer than a few milliseconds before anybody looks at them |
//! | [`Pressure`] | processors or memory are nearly used up |
//! | [`DeadlineShedder`] | the call cannot be answered before its caller stops waiting |
//!
//! They go together, in one guard: the cheapest first.

mod codel;
mod deadline;
mod pressure;
mod queue_delay;
mod since;
#[cfg(all(test, not(loom)))]
mod tests;

pub use codel::CoDel;
pub use deadline::{DeadlineShedder, InTime};
pub use pressure::{Pressure, Ramp, Reading};
pub use queue_delay::QueueDelay;

use std::time::Instant;

/// Finds an instant that a call carries: when it arrived, or its deadline.
///
/// Functions of the call are that.
pub trait InstantOf<C: ?Sized> {
    /// The instant, or nothing if the call carries none.
    fn instant_of(&self, call: &C) -> Option<Instant>;
}

impl<C: ?Sized, F: Fn(&C) -> Option<Instant>> InstantOf<C> for F {
    #[inline]
    fn instant_of(&self, call: &C) -> Option<Instant> {
        self(call)
    }
}
