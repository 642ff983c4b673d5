#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod control;
mod half_open;
mod inherit;
mod model;
mod opening;
mod windows;

use super::*;
use crate::outcome::Outcome;
use crate::policy::Permit;
use std::time::{Duration, Instant};

pub(super) const MS: Duration = Duration::from_millis(1);
pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The defaults without chance.
pub(super) fn exact() -> BreakerSettings {
    BreakerSettings {
        jitter: 0.0,
        ..BreakerSettings::default()
    }
}

/// A breaker and a clock that is moved by hand.
pub(super) struct Stage {
    pub(super) breaker: Breaker,
    start: Instant,
    pub(super) elapsed: Duration,
}

impl Stage {
    pub(super) fn set(change: impl FnOnce(&mut BreakerSettings)) -> Self {
        let mut settings = exact();
        change(&mut settings);
        Self::with(Breaker::new("test", &settings).unwrap())
    }

    pub(super) fn with(breaker: Breaker) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        let stage = Self {
            breaker,
            start,
            elapsed: Duration::ZERO,
        };
        // A breaker counts its time from the first instant that it is told.
        stage.breaker.snapshot(&stage.now());
        stage
    }

    pub(super) fn now(&self) -> Now {
        Now::at(self.start + self.elapsed)
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.elapsed += time;
    }

    pub(super) fn admit(&self) -> Result<BreakerPermit, Rejection> {
        match self.breaker.admit(&(), &self.now()) {
            Admission::Admitted(permit) => Ok(permit),
            Admission::Refused(rejection) => Err(rejection),
            Admission::Wait(never) => match never {},
        }
    }

    /// A call that ends at once. Returns whether it was admitted.
    pub(super) fn call(&self, outcome: Outcome) -> bool {
        self.admit()
            .map(|permit| permit.complete(outcome, &self.now()))
            .is_ok()
    }

    /// A call that takes so long.
    pub(super) fn call_for(&mut self, time: Duration, outcome: Outcome) -> bool {
        let Ok(permit) = self.admit() else {
            return false;
        };
        self.wait(time);
        permit.complete(outcome, &self.now());
        true
    }

    pub(super) fn calls(&self, outcomes: &[Outcome]) {
        for &outcome in outcomes {
            assert!(self.call(outcome), "refused");
        }
    }

    /// Fails until it is open.
    pub(super) fn trip(&self) {
        while self.state() == CircuitState::Closed {
            self.call(Outcome::Failure);
        }
        assert_eq!(self.state(), CircuitState::Open);
    }

    pub(super) fn state(&self) -> CircuitState {
        self.breaker.state(&self.now())
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        self.breaker.snapshot(&self.now())
    }

    /// How long it will refuse.
    pub(super) fn refused_for(&self) -> Duration {
        self.admit().unwrap_err().wait().unwrap()
    }
}
