//! The same stack from a file, and in code.

use crate::inner;
use crate::measure::Runner;
use buttress::{Bulkhead, Carried, IncomingDeadline, RateLimit, Timeout, guard};
use std::time::Duration;
use tower::Layer;

/// From a file.
pub fn ours() -> Runner {
    let rate = RateLimit::per_second(1_000_000_000).build().unwrap();
    let slots = Bulkhead::builder(64).looking(Carried).build().unwrap();
    let timeout = Timeout::new(Duration::from_secs(1)).unwrap();
    let deadline = IncomingDeadline::at_most(Duration::from_secs(30)).unwrap();
    let server = buttress_config::hand_made(rate, slots, timeout, Some(deadline));
    Runner::new(server.layer(inner::Http), inner::request)
}

/// In code.
pub fn in_code() -> Runner {
    let rate = RateLimit::per_second(1_000_000_000).build().unwrap();
    let slots = Bulkhead::builder(64).looking(Carried).build().unwrap();
    let timeout = Timeout::new(Duration::from_secs(1)).unwrap();
    let deadline = IncomingDeadline::at_most(Duration::from_secs(30)).unwrap();
    let layers = (deadline, guard((rate, slots)), timeout);
    Runner::new(layers.layer(inner::Http), inner::request)
}
