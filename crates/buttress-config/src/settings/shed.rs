//! Policies that refuse calls while there is too much to do.

use super::admission::PrioritySettings;
use super::names::PolicyName;
use super::scalar::Switch;
use super::units::Share;
use std::time::Duration;

settings! {
    /// Refuses calls that have waited for too long, while the queue stands.
    #[derive(Default)]
    pub struct QueueDelaySettings {
        /// The wait that is no reason to worry; 5 ms by default.
        optional target: Duration,
        /// How long a queue must stand before it is too long; 100 ms by default.
        optional interval: Duration,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Refuses the least critical calls first.
        optional priority: Switch<PrioritySettings>,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// Refuses a share of the calls while processors or memory are nearly used up. What is measured
    /// is the process, so all routes with the same settings share one.
    #[derive(Default)]
    pub struct PressureSettings {
        /// The use of the processors; from 0.85 to 1 by default.
        optional cpu: Switch<UseSettings>,
        /// The use of memory; from 0.85 to 0.95 by default.
        optional memory: Switch<UseSettings>,
        /// The largest share that is refused, from 0.01 to 1; 0.95 by default.
        optional most_refused: Share,
        /// How often it is read, from every 50 ms to every minute; every 250 ms by default.
        optional every: Duration,
        /// The seed of the draws.
        optional seed: u64,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Refuses the least critical calls first.
        optional priority: Switch<PrioritySettings>,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// From which use on calls are refused, and at which the most are.
    pub struct UseSettings {
        /// From here on.
        required from: Share,
        /// Here the most.
        required to: Share,
    }

    /// Refuses a call at once that cannot be answered before its deadline.
    #[derive(Default)]
    pub struct DeadlineShedderSettings {
        /// The quantile of the latencies that counts, from 0.01 to 0.99; 0.5 by default.
        optional quantile: Share,
        /// With how much time what is known fades to a half; 10 s by default.
        optional half_life: Duration,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Refuses the least critical calls first.
        optional priority: Switch<PrioritySettings>,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }
}
