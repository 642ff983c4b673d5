//! The state machine of an adaptive throttle.

mod counts;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::never::Never;
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, PerKey, Permit, Policy, Retention};
use crate::random::Random;
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name, check_range};
use counts::{BUCKETS, Counts, Tally};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Refuses calls that the callee would turn away, in proportion to how many it does turn away.
///
/// It counts over a sliding window the *requests* (what its callers asked for, what it refused
/// included) and the *accepts* (what the callee took on), and refuses with the probability
///
/// ```text
/// max(0, (requests − K · accepts) / (requests + 1))
/// ```
///
/// capped at [`most_refused`](Self::most_refused). The formula is that of *Site Reliability
/// Engineering* (Beyer et al., 2016), chapter 21, "Handling Overload", as are K = 2 and the two
/// minutes. The callee is then sent K times what it accepts, so at most K − 1 calls are turned away
/// for each that is accepted, and a callee that recovers gets everything again within two windows.
///
/// | outcome | counts as |
/// | --- | --- |
/// | [`Success`](Outcome::Success), [`Failure`](Outcome::Failure) | a request and an accept: the callee took it on |
/// | [`Overload`](Outcome::Overload) | a request |
/// | [`Cancelled`](Outcome::Cancelled) | nothing: nobody knows |
/// | refused here | a request |
///
/// A call counts when it is over. Clones share what is counted.
///
/// ```
/// use buttress_core::{Admission, Now, Outcome, Permit, Policy, Throttler};
/// use std::time::Instant;
///
/// let throttle = Throttler::new();
/// let now = Now::at(Instant::now());
/// for _ in 0..9 {
///     let Admission::Admitted(permit) = throttle.admit("a call", &now) else { continue };
///     permit.complete(Outcome::Overload, &now);
/// }
/// assert!(throttle.refusal_probability(&now) >= 0.9 - f64::EPSILON);
/// ```
#[derive(Clone)]
pub struct Throttler {
    settings: Arc<Settings>,
    counts: Arc<Counts>,
}

#[derive(Clone)]
struct Settings {
    multiplier: f64,
    most_refused: f64,
    /// Nanoseconds of a bucket of the window.
    width: u64,
    failures_count: bool,
    name: &'static str,
    random: Arc<Random>,
    /// The point from which time is counted: the first instant that anybody tells.
    anchor: OnceLock<Instant>,
}

impl Throttler {
    /// K = 2 over two minutes, refusing at most 90 % of the calls. The name is `"throttle"`.
    pub fn new() -> Self {
        Self::with(Settings {
            multiplier: 2.0,
            most_refused: 0.9,
            width: nanoseconds(Duration::from_secs(120)) / BUCKETS,
            failures_count: false,
            name: "throttle",
            random: Arc::new(Random::new()),
            anchor: OnceLock::new(),
        })
    }

    /// K, from 1 to 1 000: how many calls the callee is sent for each that it accepts. A larger one
    /// loads the callee with more calls that it must turn away, and notices a recovery sooner.
    ///
    /// # Errors
    ///
    /// `multiplier` is out of range.
    pub fn multiplier(self, multiplier: f64) -> Result<Self, SettingError> {
        let multiplier = check_range("multiplier", multiplier, 1.0..=1_000.0)?;
        Ok(self.changed(|settings| settings.multiplier = multiplier))
    }

    /// How far back it looks, from a second to an hour. It forgets a twelfth of that at a time.
    ///
    /// # Errors
    ///
    /// `window` is out of range.
    pub fn window(self, window: Duration) -> Result<Self, SettingError> {
        let (shortest, longest) = (Duration::from_secs(1), Duration::from_secs(60 * 60));
        if window < shortest || window > longest {
            let value = format_args!("{window:?}");
            return Err(SettingError::new("window", value, "from 1 s to 1 hour"));
        }
        Ok(self.changed(|settings| settings.width = nanoseconds(window) / BUCKETS))
    }

    /// The largest probability of a refusal, from 0 to 1. What is left always reaches the callee,
    /// so that its recovery is seen even if it had accepted nothing at all.
    ///
    /// # Errors
    ///
    /// `share` is out of range.
    pub fn most_refused(self, share: f64) -> Result<Self, SettingError> {
        let share = check_range("most_refused", share, 0.0..=1.0)?;
        Ok(self.changed(|settings| settings.most_refused = share))
    }

    /// Counts a failure like a call that was turned away, for callees that don't say "too much".
    pub fn failures_count(self) -> Self {
        self.changed(|settings| settings.failures_count = true)
    }

    /// Draws the same random numbers in each run.
    pub fn seed(self, seed: u64) -> Self {
        self.changed(|settings| settings.random = Arc::new(Random::seeded(seed)))
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError> {
        let name = check_name("named", name)?;
        Ok(self.changed(|settings| settings.name = name))
    }

    /// A throttle with the same settings and nothing counted yet. The settings are shared.
    pub fn fresh(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            counts: Arc::new(Counts::new()),
        }
    }

    /// With which probability a call at `now` would be refused, from 0 to 1.
    pub fn refusal_probability(&self, now: &Now) -> f64 {
        self.settings.refusal(self.tally(now))
    }

    /// How many requests the window holds at `now`, and how many of them were accepted.
    pub fn counted(&self, now: &Now) -> (u64, u64) {
        let tally = self.tally(now);
        (tally.requests, tally.accepts)
    }

    #[inline]
    fn tally(&self, now: &Now) -> Tally {
        let at = self.settings.since_anchor(now);
        self.counts.turn(at, self.settings.width);
        self.counts.tally()
    }

    fn with(settings: Settings) -> Self {
        Self {
            settings: Arc::new(settings),
            counts: Arc::new(Counts::new()),
        }
    }

    /// The same settings but for one, and nothing counted.
    fn changed(self, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::clone(&self.settings);
        change(&mut settings);
        Self::with(settings)
    }
}

impl Default for Throttler {
    fn default() -> Self {
        Self::new()
    }
}

impl<C: ?Sized> Policy<C> for Throttler {
    type Permit = ThrottlePermit;
    type Waiting = Never;

    #[inline]
    fn admit(&self, _: &C, now: &Now) -> Admission<ThrottlePermit, Never> {
        let settings = &*self.settings;
        let refusal = settings.refusal(self.tally(now));
        if refusal > 0.0 && settings.random.unit() < refusal {
            self.counts.count(false);
            return Admission::Refused(Rejection::new(Reason::Throttled, settings.name));
        }
        Admission::Admitted(ThrottlePermit {
            counts: Arc::clone(&self.counts),
            failures_count: settings.failures_count,
        })
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<ThrottlePermit, Rejection>> {
        match *waiting {}
    }
}

impl<C: ?Sized> PerKey<C> for Throttler {
    const TAKES_BACK: bool = false;

    fn retention(&self, now: &Now) -> Retention {
        match self.tally(now).requests {
            0 => Retention::Idle,
            _ => Retention::Active,
        }
    }
}

impl fmt::Debug for Throttler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttler")
            .field("name", &self.settings.name)
            .field("multiplier", &self.settings.multiplier)
            .field("most_refused", &self.settings.most_refused)
            .finish_non_exhaustive()
    }
}

impl Settings {
    #[inline]
    fn refusal(&self, tally: Tally) -> f64 {
        let requests = tally.requests as f64;
        let excess = requests - self.multiplier * tally.accepts as f64;
        // Most of the time nothing is refused, and a division is dear.
        if excess <= 0.0 {
            return 0.0;
        }
        (excess / (requests + 1.0)).min(self.most_refused)
    }

    #[inline]
    fn since_anchor(&self, now: &Now) -> u64 {
        let now = now.instant();
        nanoseconds(now.saturating_duration_since(*self.anchor.get_or_init(|| now)))
    }
}

/// More than five hundred years of them fit.
#[inline]
fn nanoseconds(duration: Duration) -> u64 {
    duration.as_nanos() as u64
}

/// An admitted call. It is counted when it is over, and not at all if it is cancelled.
#[derive(Debug)]
pub struct ThrottlePermit {
    counts: Arc<Counts>,
    failures_count: bool,
}

impl Permit for ThrottlePermit {
    #[inline]
    fn complete(self, outcome: Outcome, _: &Now) {
        // Into the bucket of the last admission: that saves a reading of the clock, and is off by
        // no more than the time since then.
        match outcome {
            Outcome::Success => self.counts.count(true),
            Outcome::Failure => self.counts.count(!self.failures_count),
            Outcome::Overload => self.counts.count(false),
            Outcome::Cancelled => {}
        }
    }
}
