use super::Sample;

/// What has been seen since the last decision: as much as it takes for chance to be small, which is
/// 50 calls where all take the same time, and some 1400 where they vary exponentially.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Evidence {
    pub(super) calls: f64,
    /// Sums over the calls, in seconds.
    pub(super) latency: f64,
    pub(super) mean: f64,
    spread: f64,
    /// How long it was looked at, in seconds.
    window: f64,
    pub(super) in_flight: u32,
    pub(super) saturated: bool,
}

impl Evidence {
    pub(super) fn add(&mut self, sample: &Sample) {
        let calls = f64::from(sample.calls);
        self.calls += calls;
        self.latency += sample.quantile.as_secs_f64() * calls;
        self.mean += sample.mean.as_secs_f64() * calls;
        self.spread += sample.spread * calls;
        self.window += sample.window.as_secs_f64();
        self.in_flight = self.in_flight.max(sample.in_flight);
        self.saturated |= sample.saturated;
    }

    /// Whether `limit` was used up all the time, and not only when some calls happened to come at
    /// once. Otherwise it is the callers who decide how many are served.
    pub(super) fn is_full(&self, limit: f64) -> bool {
        // By Little's law, the calls that were under way on average. They end in batches, so their
        // number in a short time is not exact.
        self.saturated && self.mean >= NEARLY * limit * self.window
    }

    /// Whether there is enough to decide. In a hurry it is, too, if latency is so much in `excess` of
    /// what is bearable that it cannot be chance.
    pub(super) fn is_enough(&self, excess: f64, least: f64, in_a_hurry: bool) -> bool {
        if self.calls < least {
            return false;
        }
        // What a quantile of so many latencies is typically wrong by.
        let error = QUANTILES_ERROR * (self.spread / self.calls) / self.calls.sqrt();
        let plain = in_a_hurry && excess > 4.0 * error;
        plain || error <= SMALL_ERROR || self.calls >= MOST_CALLS
    }
}

const NEARLY: f64 = 0.8;

/// A standard deviation of an exponential distribution's median or 0.9 quantile, of n, is 1.3/√n to
/// 1.44/√n of it. Most others are steadier.
const QUANTILES_ERROR: f64 = 1.5;

/// Small against what counts as a queue, so that a baseline which only falls does not fall by chance.
const SMALL_ERROR: f64 = 0.04;

/// There is always a decision after so many calls, however much they differ.
const MOST_CALLS: f64 = 2_000.0;
