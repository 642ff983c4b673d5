//! Policies that leave a callee alone.

use super::key::KeySettings;
use super::names::PolicyName;
use super::scalar::Switch;
use super::units::Share;
use std::time::Duration;

settings! {
    /// Leaves a callee alone that fails.
    #[derive(Default)]
    pub struct CircuitBreakerSettings {
        /// Opens after so many failures in a row: 5 by default. `false` does not look at them.
        optional consecutive_failures: Switch<u32>,
        /// Opens when this part of the calls failed: 0.5 by default. `false` does not look at it.
        optional failure_rate: Switch<Share>,
        /// Opens when many calls are slow. Off by default.
        optional slow_calls: SlowCallsSettings,
        /// How many calls a window must hold before its rates mean anything: 20 by default.
        optional min_calls: u32,
        /// The window of the last while: 30 s by default. `false` does not look at it.
        optional time_window: Switch<Duration>,
        /// The window of the last so many calls. Off by default.
        optional count_window: u32,
        /// How many calls pass as probes while it is half-open: 1 by default.
        optional probes: u32,
        /// How many of the probes must succeed to close it: all by default.
        optional probes_to_close: u32,
        /// When a probe is given up for lost: 10 s by default.
        optional probe_patience: Duration,
        /// How long it stays open.
        optional open_time | "longest_open_time": OpenTimeSettings,
        /// The part of each open time that is left to chance, 0 to 0.9: 0.2 by default.
        optional jitter: Share,
        /// Makes the jitter the same in each run.
        optional seed: u64,
        /// What calls count as that the callee refused for being too much.
        optional overload: OverloadSettings,
        /// What calls count as that their callers dropped.
        optional cancelled: CancelledSettings,
        /// Whether there is one breaker for each key.
        flatten key: KeySettings,
        /// The name that refusals carry: the upstream's by default.
        optional name | "named": PolicyName,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// When calls are slow, and how many of them are too many.
    pub struct SlowCallsSettings {
        /// A call that took this long or longer is slow.
        required duration: Duration,
        /// The part of the calls that may not be slow, above 0 and at most 1.
        required rate: Share,
    }

    /// How long a breaker stays open.
    #[derive(Default)]
    pub struct OpenTimeSettings {
        shorthand first;
        /// At first: 5 s by default. Then twice as long each time that a probe fails.
        optional first: Duration,
        /// At most: 60 s by default.
        optional longest: Duration,
    }

    /// Doesn't send what the callee would turn away.
    #[derive(Default)]
    pub struct ThrottleSettings {
        /// How many calls the callee is sent for each that it accepts: 2 by default.
        optional multiplier: f64,
        /// How far back it looks, from a second to an hour; 2 min by default.
        optional window: Duration,
        /// The most that is refused, as a share of the calls; 0.9 by default.
        optional most_refused: Share,
        /// Counts failures like calls that were turned away.
        optional failures_count: bool,
        /// Draws the same random numbers in each run.
        optional seed: u64,
        /// Whether there is one throttle for each key.
        flatten key: KeySettings,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }
}

choices! {
    /// What calls count as that the callee refused for being too much.
    pub enum OverloadSettings {
        /// A failure like any other.
        AsFailure = "as_failure",
        /// A failure for the rate, and nothing for failures in a row: the default.
        ForTheRate = "for_the_rate",
        /// Nothing.
        AsNothing = "as_nothing",
    }

    /// What calls count as that their callers dropped before there was an answer.
    pub enum CancelledSettings {
        /// A failure if the call had been running for as long as makes a call slow: the default.
        AsFailureIfSlow = "as_failure_if_slow",
        /// A failure if the call had been running for this long or longer.
        AsFailureAfter(Duration) = "as_failure_after",
        /// Nothing, unless the call was slow.
        AsNothing = "as_nothing",
    }
}
