//! Attempts beyond the first.

use super::names::{HeaderName, PolicyName};
use super::scalar::Switch;
use super::units::{Share, Size};
use crate::source::At;
use std::time::Duration;

settings! {
    /// Tries again.
    #[derive(Default)]
    pub struct RetrySettings {
        shorthand attempts;
        /// How many attempts there are at most, with the first one: 1 to 10, 3 by default.
        optional attempts: u32,
        /// How long to wait between attempts.
        optional backoff: BackoffSettings,
        /// How many retries there may be among all calls: 20 %, or 10 a second, by default.
        optional budget: Switch<BudgetSettings>,
        /// Which requests may be repeated: those of which it is safe, by default.
        optional repeats: RepeatsSettings,
        /// HTTP statuses after which to try again as well, beside the usual ones.
        optional also_on: Vec<At<u16>>,
        /// gRPC status codes after which to try again as well, beside the usual ones.
        optional also_on_grpc: Vec<At<u16>>,
        /// How many bytes of a request's body are kept: 0 to 16 MiB, 64 KiB by default.
        optional replay_limit: Size,
        /// The longest wait that is worth it: 10 s by default.
        optional longest_wait: Duration,
        /// Leaves retrying to whoever began.
        optional not_of_retries: bool,
        /// The header in which requests say how many attempts there were before them.
        optional attempt_header: HeaderName,
        /// The header of answers that must not be retried: `x-should-retry` by default.
        optional marker: HeaderName,
        /// Makes the jitter repeat.
        optional seed: u64,
        /// The name by which it is told from others.
        optional name | "named": PolicyName,
    }

    /// How long to wait between attempts: exponentially, with full jitter.
    #[derive(Default)]
    pub struct BackoffSettings {
        /// The first wait; 50 ms by default.
        optional base: Duration,
        /// The longest wait; 1 s by default.
        optional cap: Duration,
        /// How much each wait grows: from 1 to 100, 2 by default.
        optional factor: f64,
        /// How much of a wait is left to chance: all of it by default.
        optional jitter: JitterSettings,
        /// The first wait if the callee said that it has too much to do: 1 s by default.
        optional base_if_overloaded: Duration,
        /// Always the same wait, without jitter. The others must be left out then.
        optional constant: Duration,
    }

    /// How many more attempts there may be.
    #[derive(Default)]
    pub struct BudgetSettings {
        shorthand share;
        /// A share of the calls of the last 10 seconds, from 0 to 1; 0.2 by default.
        optional share: Share,
        /// Or so many a second, if that is more; 10 by default.
        optional at_least: u32,
        /// Tokens, as gRPC has them. The others must be left out then.
        optional tokens: TokenSettings,
    }

    /// Tokens: a failure takes one, and a success gives a part of one back.
    pub struct TokenSettings {
        /// How many there are at most, from 0.001 to 1000.
        required most: f64,
        /// What part of one a success gives back, from 0.001.
        required ratio: f64,
    }

    /// Sends a call that takes long a second time, and takes the first answer.
    #[derive(Default)]
    pub struct HedgeSettings {
        shorthand after;
        /// Hedges calls that have been out for that long, instead of going by the latencies seen.
        optional after: Duration,
        /// Hedges calls slower than this share of those of late: 0.5 to 0.9999, 0.95 by default.
        optional quantile: Share,
        /// How many calls must have been seen before the first is hedged; 100 by default.
        optional min_samples: u32,
        /// After how long a latency weighs half, from 1 s to 10 min; 10 s by default.
        optional half_life: Duration,
        /// How many copies of a call there may be: 2 to 5, 2 by default.
        optional attempts: u32,
        /// The most that hedges may add to all calls, from 0.0001 to 4; 0.01 by default.
        optional extra_load: Share,
        /// A budget besides.
        optional budget: BudgetSettings,
        /// Which requests may be repeated: those of which it is safe, by default.
        optional repeats: RepeatsSettings,
        /// How many bytes of a request's body are kept: 0 to 16 MiB, 64 KiB by default.
        optional replay_limit: Size,
        /// gRPC status codes that send the next copy at once.
        optional non_fatal: Vec<At<u16>>,
        /// The header in which hedges say how many attempts there were before them.
        optional attempt_header: HeaderName,
    }
}

impl RetrySettings {
    /// How many attempts there are at most.
    pub(crate) fn attempts(&self) -> u32 {
        let attempts = self.attempts.as_ref();
        attempts.map_or(Self::ATTEMPTS, |attempts| **attempts)
    }

    /// The default of [`buttress::Retry`].
    pub(super) const ATTEMPTS: u32 = 3;
}

impl HedgeSettings {
    /// How many copies of a call there may be.
    pub(crate) fn copies(&self) -> u32 {
        let attempts = self.attempts.as_ref();
        attempts.map_or(Self::COPIES, |attempts| **attempts)
    }

    /// The default of [`buttress::Hedge`].
    pub(super) const COPIES: u32 = 2;
}

choices! {
    /// Which requests may be repeated.
    pub enum RepeatsSettings {
        /// Those of which the protocol says that it is safe: idempotent methods, and requests with
        /// an `Idempotency-Key`.
        Safe = "safe",
        /// All: where you know that doing it twice does no harm.
        All = "all",
    }

    /// How much of a wait is left to chance.
    pub enum JitterSettings {
        /// All of it.
        Full = "full",
        /// Half of it.
        Equal = "equal",
        /// It depends on the wait before.
        Decorrelated = "decorrelated",
        /// A fifth up or down, as gRPC has it.
        Grpc = "grpc",
        /// Nothing: for tests.
        None = "none",
    }
}
