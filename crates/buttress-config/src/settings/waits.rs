//! How long a call waits between its attempts at most.

use super::{BackoffSettings, JitterSettings, RetrySettings};
use std::time::Duration;

/// After which failures a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum After {
    /// Ordinary ones.
    Failures,
    /// Also such that the callee has too much to do, whose waits may be longer.
    Anything,
}

/// The waits between all attempts together, after ordinary failures.
pub(crate) fn waits_between_attempts(retry: &RetrySettings) -> Duration {
    waits(retry, retry.attempts().saturating_sub(1), After::Failures)
}

/// The same, and after an overload as well if the file says how long those are. That they are a second
/// by default is not held against a file that does not speak of them.
pub(crate) fn waits_spoken_of(retry: &RetrySettings) -> Duration {
    waits(
        retry,
        retry.attempts().saturating_sub(1),
        After::spoken_of(retry),
    )
}

impl After {
    /// The failures of whose waits the file speaks.
    pub(crate) fn spoken_of(retry: &RetrySettings) -> Self {
        let backoff = retry.backoff.as_ref();
        if backoff.is_some_and(|backoff| backoff.base_if_overloaded.is_some()) {
            Self::Anything
        } else {
            Self::Failures
        }
    }
}

/// The waits before so many retries together, unless the callee asks for longer ones.
pub(crate) fn waits(retry: &RetrySettings, retries: u32, after: After) -> Duration {
    let default = BackoffSettings::default();
    let backoff = retry.backoff.as_deref().unwrap_or(&default);
    // One that would be longer is not waited for; the call ends.
    let longest = longest_wait(retry);
    let mut shape = Shape::of(backoff);
    let mut sum = Duration::ZERO;
    // Ten attempts are the most; a file that says more is refused for that.
    for _ in 0..retries.min(16) {
        sum = sum.saturating_add(shape.next(after).min(longest));
    }
    sum
}

/// The longest wait that is made, whoever asks for it.
pub(crate) fn longest_wait(retry: &RetrySettings) -> Duration {
    let longest = retry.longest_wait.as_ref();
    longest.map_or(LONGEST_WAIT, |longest| **longest)
}

/// The default of [`buttress::Retry`].
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

enum Shape {
    Constant(Duration),
    /// The upper ends of the formulas in [`buttress::backoff`], in seconds.
    Exponential {
        base: f64,
        base_if_overloaded: f64,
        cap: f64,
        /// What the bases have grown by.
        grown: f64,
        factor: f64,
        jitter: JitterSettings,
        /// The wait before.
        previous: f64,
    },
}

impl Shape {
    fn of(backoff: &BackoffSettings) -> Self {
        if let Some(wait) = &backoff.constant {
            return Self::Constant(**wait);
        }
        let base = backoff
            .base
            .as_ref()
            .map_or(BackoffSettings::BASE, |base| **base);
        let cap = backoff.cap.as_ref();
        let cap = cap.map_or(BackoffSettings::CAP.max(base), |cap| **cap);
        let overloaded = backoff.base_if_overloaded.as_ref();
        let overloaded = overloaded.map_or(BASE_IF_OVERLOADED.max(base), |base| **base);
        Self::Exponential {
            base: base.as_secs_f64(),
            base_if_overloaded: overloaded.as_secs_f64(),
            cap: cap.as_secs_f64(),
            grown: 1.0,
            factor: backoff.factor.as_ref().map_or(FACTOR, |factor| **factor),
            jitter: backoff
                .jitter
                .as_deref()
                .cloned()
                .unwrap_or(JitterSettings::Full),
            previous: 0.0,
        }
    }

    /// The next wait. Each is the longer of what it is after a failure and after an overload, since
    /// one may follow the other.
    fn next(&mut self, after: After) -> Duration {
        match self {
            Self::Constant(wait) => *wait,
            Self::Exponential {
                base,
                base_if_overloaded,
                cap,
                grown,
                factor,
                jitter,
                previous,
            } => {
                let longest = |base: f64, cap: f64| match jitter {
                    JitterSettings::Decorrelated => (previous.max(base) * 3.0).min(cap),
                    JitterSettings::Grpc => (base * *grown).min(cap) * 1.2,
                    _ => (base * *grown).min(cap),
                };
                let mut wait = longest(*base, *cap);
                if after == After::Anything {
                    let cap = cap.max(*base_if_overloaded);
                    wait = wait.max(longest(*base_if_overloaded, cap));
                }
                *grown *= *factor;
                *previous = wait;
                Duration::try_from_secs_f64(wait).unwrap_or(Duration::MAX)
            }
        }
    }
}

/// The default of [`buttress::Backoff`].
pub(super) const FACTOR: f64 = 2.0;

/// The default of [`buttress::Backoff`], unless the base is longer.
pub(super) const BASE_IF_OVERLOADED: Duration = Duration::from_secs(1);
