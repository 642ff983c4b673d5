//! Policies that let calls in, or don't.

use super::key::{KeyBy, KeySettings, MissingKey};
use super::limit::AlgorithmSettings;
use super::names::PolicyName;
use super::scalar::Switch;
use super::units::{Rate, Share};
use std::time::Duration;

settings! {
    /// So many calls in so much time.
    pub struct RateLimitSettings {
        shorthand rate;
        /// How many calls in how much time, as in `"100/s"`.
        required rate | "calls" | "period": Rate,
        /// How much may be taken at once after a quiet time: by default a period's worth.
        optional burst: u32,
        /// What each call takes: 1 by default, at most the burst.
        optional cost: u32,
        /// How it counts: `gcra` by default.
        optional algorithm: RateAlgorithm,
        /// Delays what is too much for so long at most, instead of refusing it.
        optional wait_at_most | "longest_wait": Duration,
        /// Tells clients their quota in the `RateLimit` header fields.
        optional announced: bool,
        /// Whether there is one limit for each key.
        flatten key: KeySettings,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// At most so many calls at once, of which no key gets more than its share.
    pub struct FairShareSettings {
        /// At most so many calls at once, from 1.
        required limit: u32,
        /// Whose shares they are.
        required by: KeyBy,
        /// What part of the slots a key gets that is alone: from 0.1 to 0.99, 0.8 by default.
        optional largest_share: Share,
        /// What becomes of a call that has no key: refused by default.
        optional missing_key: MissingKey,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Refuses the least critical calls first.
        optional priority: Switch<PrioritySettings>,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// At most so many calls at once.
    pub struct BulkheadSettings {
        shorthand limit;
        /// At most so many calls at once, from 1.
        required limit: u32,
        /// Where calls wait for a slot. By default nobody waits.
        optional waiting_room: WaitingRoomSettings,
        /// Who of those that wait is served next: who came first, by default.
        optional discipline: DisciplineSettings,
        /// Several bulkheads, of which each key gets a few of its own choice. `limit` is then that
        /// of each, and `by` is needed.
        optional shuffle_sharded: ShuffleShardedSettings,
        /// Whether there is one bulkhead for each key.
        flatten key: KeySettings,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Refuses the least critical calls first.
        optional priority: Switch<PrioritySettings>,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// As many calls at once as are handled well, found out while running.
    #[derive(Default)]
    pub struct AdaptiveLimitSettings {
        /// How the limit is found: `latency_quantile` by default.
        optional algorithm: AlgorithmSettings,
        /// Where calls wait for a slot. By default nobody waits.
        optional waiting_room: WaitingRoomSettings,
        /// Whether there is one limit for each key.
        flatten key: KeySettings,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Refuses the least critical calls first.
        optional priority: Switch<PrioritySettings>,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// Calls one by one, at a steady pace.
    pub struct PaceSettings {
        shorthand rate;
        /// How many calls in how much time, evenly.
        required rate | "calls" | "period": Rate,
        /// Where calls wait for their turn. By default nobody waits.
        optional waiting_room: WaitingRoomSettings,
        /// Whether there is one pace for each key.
        flatten key: KeySettings,
        /// The name that refusals carry.
        optional name | "named": PolicyName,
        /// Decides, and is not obeyed.
        optional shadow: bool,
    }

    /// Where calls wait.
    pub struct WaitingRoomSettings {
        /// How many may wait, from 1 to 1 000 000.
        required places: u32,
        /// For how long each may wait, up to a year.
        required longest_wait: Duration,
    }

    /// Several bulkheads, of which each key gets a few.
    pub struct ShuffleShardedSettings {
        /// How many there are, from 2 to 4096.
        required compartments: u32,
        /// How many of them each key may use, from 1 to 8.
        required per_key: u32,
        /// Deals the keys out differently; 0 by default.
        optional seed: u64,
    }

    /// Refuses the least critical calls first.
    #[derive(Default)]
    pub struct PrioritySettings {
        /// How long calls are counted before the bar is moved: 100 ms by default.
        optional window: Duration,
    }

    /// The newest first, once there has been a queue for a while.
    #[derive(Default)]
    pub struct AdaptiveLifoSettings {
        /// How long there has to be a queue: 100 ms by default.
        optional after: Duration,
    }

    /// Those who waited too long are dropped, while a queue stands.
    #[derive(Default)]
    pub struct CoDelSettings {
        /// The wait that is all right to last: 5 ms by default.
        optional target: Duration,
        /// How long it must have been longer: 100 ms by default.
        optional interval: Duration,
    }
}

choices! {
    /// How a rate limit counts.
    pub enum RateAlgorithm {
        /// Calls come free one by one at an even rate, and a burst of them may be saved up.
        Gcra = "gcra",
        /// By a window that slides. There is no burst, and excess cannot wait.
        SlidingWindow = "sliding_window",
    }

    /// Who of those that wait is served next.
    pub enum DisciplineSettings {
        /// First come, first served.
        Fifo = "fifo",
        /// The newest first, once there has been a queue for a while.
        AdaptiveLifo(AdaptiveLifoSettings) = "adaptive_lifo",
        /// First come, first served; those who waited too long are dropped while a queue stands.
        CoDel(CoDelSettings) = "codel",
        /// The most critical first.
        Priority = "priority",
    }
}
