//! Shedding load: refusing some calls at once, so that the others are answered in time.
//!
//! A service that takes every call that comes is as slow as its queue is long, and a queue that is
//! longer than callers' patience is work for nobody. When the callers try again, it stays that way
//! after the peak is over. A refusal costs a hundredth of an answer. What differs is by which sign
//! one knows that there is too much:
//!
//! | shedder | sign |
//! | --- | --- |
//! | [`Bulkhead`](crate::Bulkhead), [`AdaptiveLimit`](crate::AdaptiveLimit) | too many calls at once |
//! | [`QueueDelay`] | calls wait for more than a few milliseconds before anybody looks at them |
//! | [`Pressure`] | processors or memory are nearly used up |
//! | [`DeadlineShedder`] | the call cannot be answered before its caller stops waiting |
//!
//! They are policies, so they go into one [`guard`](crate::guard) together, the cheapest first, and
//! any of them can be tried out in [shadow](crate::Shadow).
//!
//! # How it fails when misused
//!
//! Shedders that do not know of each other refuse the same call for two reasons, and callers who
//! are told to try again at once bring everything back. Limit retries at the callers.

#[cfg(feature = "http")]
mod arrival;
mod cgroup;
mod deadline;
mod pressure;
mod queue_delay;

#[cfg(feature = "http")]
pub use arrival::{Arrived, FromArrival, FromDeadline, MarkArrival, MarkArrivalService};
pub use buttress_core::shed::{InstantOf, Reading};
pub use cgroup::ProcessUse;
pub use deadline::{DeadlineShedder, DeadlineShedderBuilder};
pub use pressure::{Pressure, PressureBuilder, Source};
pub use queue_delay::{QueueDelay, QueueDelayBuilder};
