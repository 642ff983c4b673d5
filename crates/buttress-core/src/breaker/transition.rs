use super::state::CircuitState;
use std::time::{Duration, Instant};

/// A change of a breaker's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transition {
    /// The breaker's name.
    pub breaker: &'static str,
    /// The state before.
    pub from: CircuitState,
    /// The state from then on.
    pub to: CircuitState,
    /// What led to it.
    pub cause: Cause,
    /// When.
    pub at: Instant,
    /// How long it will stay open, if it opened by itself.
    pub open_for: Option<Duration>,
    /// Whether the breaker only counts: `from` and `to` are then what it would have done.
    pub metrics_only: bool,
}

/// What led to a [`Transition`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// Too many failures in a row.
    ConsecutiveFailures,
    /// Too large a part of the calls failed.
    FailureRate,
    /// Too large a part of the calls was slow.
    SlowCallRate,
    /// The open time is over, and a call came.
    OpenTimePassed,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// Too many probes failed.
    ProbesFailed,
    /// Somebody said so.
    ByHand,
    /// It took another breaker's place, and went on from where that one was.
    TakenOver,
}

impl Cause {
    /// The cause in a few words, for logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "failures in a row",
            Self::FailureRate => "the rate of failures",
            Self::SlowCallRate => "the rate of slow calls",
            Self::OpenTimePassed => "the open time has passed",
            Self::ProbesSucceeded => "probes succeeded",
            Self::ProbesFailed => "probes failed",
            Self::ByHand => "by hand",
            Self::TakenOver => "taken over",
        }
    }
}

/// A look at a breaker, taken at one moment. While calls come and go its parts may be a few calls
/// apart.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Snapshot {
    /// What the next call meets.
    pub state: CircuitState,
    /// What it would meet if the breaker were in automatic mode. It differs from `state` only in
    /// [`MetricsOnly`](CircuitState::MetricsOnly).
    pub decision: CircuitState,
    /// How long until probes are let in, if it is open.
    pub retry_after: Option<Duration>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// What the window of the last while holds, if there is one.
    pub time_window: Option<Tally>,
    /// What the window of the last calls holds, if there is one.
    pub count_window: Option<Tally>,
    /// How many probes are under way, if it is half-open.
    pub probes: u32,
    /// How often it has opened by itself.
    pub openings: u64,
    /// How many calls it would have refused in [`MetricsOnly`](CircuitState::MetricsOnly).
    pub would_have_refused: u64,
}

/// The calls in a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Tally {
    /// All that were counted.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those that were slow, successful or not.
    pub slow: u64,
}

impl Tally {
    /// The part that failed, from 0 to 1.
    pub fn failure_rate(&self) -> f64 {
        self.part(self.failed)
    }

    /// The part that was slow, from 0 to 1.
    pub fn slow_rate(&self) -> f64 {
        self.part(self.slow)
    }

    fn part(&self, some: u64) -> f64 {
        if self.calls == 0 {
            return 0.0;
        }
        some as f64 / self.calls as f64
    }
}
