use std::time::Duration;

/// What was seen of a callee during one round trip.
///
/// Calls that were cancelled, and calls that were refused before they reached the callee, are not
/// in it. A call that failed is in it if it took longer than calls took lately: a callee that does
/// not answer is slow. One that failed quickly says nothing about how long the work takes.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Sample {
    /// How long the calls took on average, by the last 64 of each thread.
    pub mean: Duration,
    /// The [quantile](super::Limit::quantile) that the algorithm wants to see, or the mean if it
    /// wants none.
    pub quantile: Duration,
    /// By how much the latencies differ: their standard deviation as a share of the mean.
    pub spread: f64,
    /// How many calls were under way: the average over the time, or the number at its end if that is
    /// more.
    pub in_flight: u32,
    /// How many calls were answered. Where there are thousands in a round trip, only a part of them
    /// is timed, and this is an estimate.
    pub calls: u32,
    /// How long it was looked at.
    pub window: Duration,
    /// Whether the callee refused a call because it has too much to do.
    pub dropped: bool,
    /// Whether a call found the limit used up.
    pub saturated: bool,
}

impl Sample {
    /// A call that took `latency`, while `in_flight` were under way. The other fields can be set
    /// one by one.
    pub const fn new(latency: Duration, in_flight: u32) -> Self {
        Self {
            mean: latency,
            quantile: latency,
            spread: 0.0,
            in_flight,
            calls: 1,
            window: latency,
            dropped: false,
            saturated: false,
        }
    }

    /// The same, and a call was refused by the callee because it has too much to do.
    pub const fn dropped(mut self) -> Self {
        self.dropped = true;
        self
    }

    /// Calls answered in a second.
    pub fn throughput(&self) -> f64 {
        let seconds = self.window.as_secs_f64();
        if seconds > 0.0 {
            f64::from(self.calls) / seconds
        } else {
            0.0
        }
    }
}
