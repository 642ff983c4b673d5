//! How bad it can get.

use crate::settings::{BackoffSettings, JitterSettings, RetrySettings, Switch, UpstreamSettings};
use crate::source::At;
use std::time::Duration;

/// How many attempts a call to an upstream has at most, and how long they take at most, if nothing
/// bounds that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempts {
    pub(crate) attempts: u32,
    pub(crate) time: Option<Duration>,
}

/// The worst case of a stack.
pub(crate) fn worst_case(policies: &UpstreamSettings) -> Attempts {
    let each = on(policies.attempt_timeout.as_ref()).map(|timeout| *timeout.headers);
    if let Some(retry) = on(policies.retry.as_ref()) {
        let attempts = attempts_of(retry);
        let waits = waits(retry.backoff.as_deref(), attempts.saturating_sub(1));
        let time = each.map(|each| each.saturating_mul(attempts).saturating_add(waits));
        return Attempts { attempts, time };
    }
    if let Some(hedge) = on(policies.hedge.as_ref()) {
        let attempts = hedge.attempts.as_ref().map_or(2, |attempts| **attempts);
        let after = hedge.after.as_ref().map(|after| **after);
        let later = after.map(|after| after.saturating_mul(attempts.saturating_sub(1)));
        let time = each
            .zip(later)
            .map(|(each, later)| each.saturating_add(later));
        return Attempts { attempts, time };
    }
    Attempts {
        attempts: 1,
        time: each,
    }
}

pub(super) fn attempts_of(retry: &RetrySettings) -> u32 {
    retry.attempts.as_ref().map_or(3, |attempts| **attempts)
}

/// How long a call waits between its attempts at most, unless the callee asks for longer.
fn waits(backoff: Option<&BackoffSettings>, count: u32) -> Duration {
    let default = BackoffSettings::default();
    let backoff = backoff.unwrap_or(&default);
    if let Some(wait) = &backoff.constant {
        return wait.saturating_mul(count);
    }
    let base = backoff
        .base
        .as_ref()
        .map_or(BackoffSettings::BASE, |base| **base);
    let cap = backoff.cap.as_ref();
    let cap = cap
        .map_or(BackoffSettings::CAP.max(base), |cap| **cap)
        .as_secs_f64();
    let factor = backoff.factor.as_ref().map_or(2.0, |factor| **factor);
    let jitter = backoff.jitter.as_deref();
    let (first, factor) = match jitter {
        Some(JitterSettings::Decorrelated) => (base.as_secs_f64() * 3.0, 3.0),
        _ => (base.as_secs_f64(), factor),
    };
    let more = if jitter == Some(&JitterSettings::Grpc) {
        1.2
    } else {
        1.0
    };
    let (mut wait, mut sum) = (first, 0.0);
    // Ten attempts are the most; a file that says more is refused for that.
    for _ in 0..count.min(16) {
        sum += wait.min(cap) * more;
        wait *= factor;
    }
    Duration::try_from_secs_f64(sum).unwrap_or(Duration::MAX)
}

fn on<T>(policy: Option<&At<Switch<T>>>) -> Option<&T> {
    policy?.on()
}
