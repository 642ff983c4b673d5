//! What a file can say, as structs.
//!
//! Each field that is absent means the default of the builder that it is a setting of. Where a
//! builder checks a range, nothing here does it again.

#[macro_use]
mod macros;

mod admission;
mod breaker;
mod choice;
mod client;
#[cfg(test)]
mod default_tests;
mod derived;
mod effective;
mod key;
mod limit;
mod matching;
mod named;
mod names;
mod queues;
mod request;
mod retry;
mod root;
mod scalar;
mod setting;
mod shed;
mod show;
mod standard;
#[cfg(test)]
mod tests;
mod units;
mod waits;

pub use admission::{
    AdaptiveLifoSettings, AdaptiveLimitSettings, BulkheadSettings, CoDelSettings,
    DisciplineSettings, FairShareSettings, PaceSettings, PrioritySettings, RateAlgorithm,
    RateLimitSettings, ShuffleShardedSettings, WaitingRoomSettings,
};
pub use breaker::{
    CancelledSettings, CircuitBreakerSettings, OpenTimeSettings, OverloadSettings,
    SlowCallsSettings, ThrottleSettings,
};
pub use client::{
    CoalesceSettings, CriticalityHeaderSettings, DeadlineHeaderSettings, StaleIfErrorSettings,
};
pub(crate) use derived::{Left, SHORTEST_ATTEMPT, SHORTEST_RETRIED};
pub use key::{ClientAddrKey, ForwardedBy, KeyBy, KeySettings, MissingKey, PeerKey};
pub use limit::{
    AimdSettings, AlgorithmSettings, BoundsSettings, Gradient2Settings, LatencyQuantileSettings,
    VegasSettings,
};
pub use matching::{HeadersWanted, MatchSettings};
pub(crate) use matching::{in_capitals, similar_method};
pub use named::Named;
pub use names::{HeaderName, PolicyName};
pub(crate) use queues::{Queue, in_turn};
pub use request::{
    AttemptSettings, CriticalitySettings, DeadlineSettings, TimeoutSettings, TrustSettings,
};
pub use retry::{
    BackoffSettings, BudgetSettings, HedgeSettings, JitterSettings, RepeatsSettings, RetrySettings,
    TokenSettings,
};
pub use root::{
    RouteSettings, ServerPolicies, ServerSettings, Settings, SharedPolicies, UpstreamSettings,
};
pub use scalar::Switch;
pub(crate) use scalar::on;
pub(crate) use setting::{Definitions, Fields, Setting, is_foreign};
pub use shed::{DeadlineShedderSettings, PressureSettings, QueueDelaySettings, UseSettings};
pub(crate) use show::inline;
pub use units::{Rate, Share, Size, Time};
pub(crate) use waits::{After, longest_wait, waits, waits_between_attempts, waits_spoken_of};
