//! The state machine of a circuit breaker.
//!
//! A callee that fails is left alone for a while: its callers save what each failure costs them,
//! and it gets the quiet in which to recover. [`Breaker`] decides when, for how long, and by which
//! probes the callee is let in again.
//!
//! What a call must know to be decided on is one atomic word. While the breaker is closed, nobody
//! takes a lock: a call reads the word, and when it is over counts itself in one or two windows of
//! atomic counters. Changes of the state, and everything that happens while it is half-open, go
//! through one lock. While it is open, callers compare the time with one more atomic, the gate, and
//! don't touch the lock before the open time has passed.

mod count_window;
mod counts;
mod divisor;
mod inherit;
mod ledger;
#[cfg(all(test, loom))]
mod loom_tests;
mod machine;
mod news;
mod permit;
mod probes;
mod settings;
mod state;
#[cfg(all(test, not(loom)))]
mod tests;
mod ticket;
mod time_window;
mod transition;

pub use permit::BreakerPermit;
pub use settings::{BreakerSettings, CancelledCounts, OverloadCounts, SlowCalls};
pub use state::CircuitState;
pub use transition::{Cause, Snapshot, Tally, Transition};

use crate::never::Never;
use crate::now::Now;
use crate::policy::{Admission, PerKey, Policy, Retention};
use crate::rejection::Rejection;
use crate::setting::SettingError;
use machine::Machine;
use settings::Checked;
use state::Mode;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Leaves a callee alone that fails. Clones share the state.
///
/// ```
/// use buttress_core::breaker::{Breaker, BreakerSettings, CircuitState};
/// use buttress_core::{Admission, Now, Outcome, Permit, Policy};
/// use std::time::Instant;
///
/// let mut settings = BreakerSettings::default();
/// settings.consecutive_failures = Some(2);
/// let breaker = Breaker::new("payments", &settings)?;
///
/// let now = Now::at(Instant::now());
/// for _ in 0..2 {
///     let Admission::Admitted(permit) = breaker.admit("a call", &now) else { panic!() };
///     permit.complete(Outcome::Failure, &now);
/// }
/// assert_eq!(breaker.state(&now), CircuitState::Open);
/// assert!(matches!(breaker.admit("another", &now), Admission::Refused(_)));
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
#[derive(Clone)]
pub struct Breaker {
    machine: Arc<Machine>,
}

impl Breaker {
    /// A closed breaker. Refusals and logs carry its name, 1 to 64 printable ASCII characters.
    ///
    /// # Errors
    ///
    /// The name, or the first setting that makes no sense.
    pub fn new(name: &'static str, settings: &BreakerSettings) -> Result<Self, SettingError> {
        Checked::new(name, settings, None).map(Self::with)
    }

    /// The same with somebody who is told of each change of the state, in order. It is called by
    /// the call that changed it, and must not block.
    ///
    /// # Errors
    ///
    /// The name, or the first setting that makes no sense.
    pub fn with_listener(
        name: &'static str,
        settings: &BreakerSettings,
        listener: impl Fn(&Transition) + Send + Sync + 'static,
    ) -> Result<Self, SettingError> {
        Checked::new(name, settings, Some(Box::new(listener))).map(Self::with)
    }

    /// A breaker with the same settings and a state of its own, for one of many keys. If this one is
    /// in a mode by hand, it begins in that; else it is closed. It logs its
    /// changes as details only, since how many keys there are is up to the callers. The settings
    /// are shared, so it costs less than half a kilobyte, and two bits for each call of a count
    /// window.
    pub fn fresh(&self) -> Self {
        Self {
            machine: Arc::new(self.machine.for_a_key()),
        }
    }

    /// What the next call meets. When the open time has passed that is
    /// [`HalfOpen`](CircuitState::HalfOpen), even if nobody has called since.
    pub fn state(&self, now: &Now) -> CircuitState {
        self.machine.state(now)
    }

    /// The state and what led to it.
    pub fn snapshot(&self, now: &Now) -> Snapshot {
        self.machine.snapshot(now)
    }

    /// Refuses every call from now on, until somebody says otherwise.
    pub fn force_open(&self, now: &Now) {
        self.machine.set_mode(Mode::ForcedOpen, false, now);
    }

    /// Closes it, whatever it was. From then on it counts and decides by itself; if it opens again
    /// at once, it is for longer than the last time.
    pub fn force_close(&self, now: &Now) {
        self.machine.set_mode(Mode::Automatic, false, now);
    }

    /// Makes it as new.
    pub fn reset(&self, now: &Now) {
        self.machine.set_mode(Mode::Automatic, true, now);
    }

    /// Lets every call pass from now on and counts nothing, until somebody says otherwise.
    pub fn disable(&self, now: &Now) {
        self.machine.set_mode(Mode::Disabled, false, now);
    }

    /// Lets every call pass from now on, but counts and decides all the same, and counts what it
    /// would have refused.
    pub fn metrics_only(&self, now: &Now) {
        self.machine.set_mode(Mode::MetricsOnly, false, now);
    }

    /// Goes on from where another breaker is, whose settings may be others: it is in the same mode,
    /// and if that one is open, so is this one, for as long as that one would have been. One that is
    /// half-open is so here with the next call. If it opens again soon it is for longer than the last
    /// time, as that one would have been. The windows stay empty.
    ///
    /// For a breaker whose settings change while it is in use. This one has yet to be called.
    pub fn take_over(&self, before: &Self, now: &Now) {
        self.machine.take_over(&before.machine, now);
    }

    /// Whether one that [takes over](Self::take_over) from it would be any other than a fresh one in
    /// the same mode.
    pub fn remembers(&self, now: &Now) -> bool {
        self.machine.remembers(now)
    }

    /// The mode in which it was put by hand: [forced open](CircuitState::ForcedOpen),
    /// [disabled](CircuitState::Disabled) or [metrics only](CircuitState::MetricsOnly). `None` if it
    /// decides by itself.
    pub fn mode(&self) -> Option<CircuitState> {
        self.machine.mode()
    }

    /// Begins in the [mode](Self::mode) of another breaker in whose place it is, and takes over nothing
    /// else. States that are no mode change nothing.
    pub fn begin_in(&self, mode: CircuitState, now: &Now) {
        self.machine.begin_in(mode, now);
    }

    fn with(settings: Checked) -> Self {
        Self {
            machine: Arc::new(Machine::new(Arc::new(settings), false)),
        }
    }
}

impl<C: ?Sized> Policy<C> for Breaker {
    type Permit = BreakerPermit;
    type Waiting = Never;

    #[inline]
    fn admit(&self, _: &C, now: &Now) -> Admission<BreakerPermit, Never> {
        self.machine.admit(now)
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<BreakerPermit, Rejection>> {
        match *waiting {}
    }
}

impl<C: ?Sized> PerKey<C> for Breaker {
    const TAKES_BACK: bool = false;

    fn retention(&self, now: &Now) -> Retention {
        if self.machine.is_as_new(now) {
            Retention::Idle
        } else {
            // Calls hold the state themselves, so forgetting it harms none of them. If it had to
            // stay while they do, clients with keys to spare could fill the map.
            Retention::Active
        }
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.machine.fmt(f)
    }
}
