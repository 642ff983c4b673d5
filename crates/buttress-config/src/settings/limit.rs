//! How an adaptive limit is found.

use super::units::Share;
use std::time::Duration;

choices! {
    /// How an adaptive limit is found.
    pub enum AlgorithmSettings {
        /// A quantile of the latencies against what it is without a queue, and throughput.
        LatencyQuantile(LatencyQuantileSettings) = "latency_quantile",
        /// The calls that must be standing in a queue.
        Vegas(VegasSettings) = "vegas",
        /// Latency now against latency over a long time.
        Gradient2(Gradient2Settings) = "gradient2",
        /// One more while it goes well, a tenth less when it does not.
        Aimd(AimdSettings) = "aimd",
    }
}

settings! {
    /// Between which limits it moves, and where it begins.
    #[derive(Default)]
    pub struct BoundsSettings {
        /// The limit to begin with, from `min` to `max`; 20 by default.
        optional start: u32,
        /// The lowest limit, from 1; 1 by default.
        optional min: u32,
        /// The highest limit; 1000 by default.
        optional max: u32,
    }

    /// A quantile of the latencies against what it is without a queue, and throughput.
    #[derive(Default)]
    pub struct LatencyQuantileSettings {
        /// Where the limit may be.
        flatten bounds: BoundsSettings,
        /// The quantile that is compared, from 0.05 to 0.99; 0.9 by default.
        optional at_quantile: Share,
        /// How many calls a sample is made of, at least, from 10 to 1 000 000; 50 by default.
        optional calls_per_sample: u32,
        /// For how long calls must have been slow before that is taken for normal: 1 min by default.
        optional patience: Duration,
        /// A latency that no healthy callee has. By default there is none.
        optional unhealthy_above: Duration,
    }

    /// The calls that must be standing in a queue.
    #[derive(Default)]
    pub struct VegasSettings {
        /// Where the limit may be.
        flatten bounds: BoundsSettings,
        /// How many calls may wait before the limit stops to grow; 3 × log₁₀ of it by default.
        optional alpha: u32,
        /// How many calls may wait before it shrinks; 6 × log₁₀ of it by default.
        optional beta: u32,
        /// How much of a change takes effect at once, from 0.01 to 1; 1 by default.
        optional smoothing: Share,
        /// For how long calls must have been slow before that is taken for normal: 1 min by default.
        optional patience: Duration,
        /// Learns the least latency as published, also while a queue stands.
        optional as_published: bool,
        /// The seed of the times between probes.
        optional seed: u64,
    }

    /// Latency now against latency over a long time.
    #[derive(Default)]
    pub struct Gradient2Settings {
        /// Where the limit may be.
        flatten bounds: BoundsSettings,
        /// How many calls may wait, and by how much the limit grows; 4 by default.
        optional queue: u32,
        /// How much longer than usual calls may take, from 1 to 100 times; 1.5 by default.
        optional tolerance: f64,
        /// How much of a change takes effect at once, from 0.01 to 1; 0.2 by default.
        optional smoothing: Share,
        /// How many samples a long time has, from 10 to 1 000 000; 600 by default.
        optional long_window: u32,
        /// For how long calls must have been slow before that is taken for normal: 1 min by default.
        optional patience: Duration,
        /// Averages in every sample as published, and ignores drops.
        optional as_published: bool,
    }

    /// One more while it goes well, a tenth less when it does not.
    #[derive(Default)]
    pub struct AimdSettings {
        /// Where the limit may be.
        flatten bounds: BoundsSettings,
        /// What is left of the limit when it goes badly, from 0.5 to 0.99; 0.9 by default.
        optional backoff: Share,
        /// The mean latency that means too much; 5 s by default.
        optional too_slow: Duration,
    }
}
