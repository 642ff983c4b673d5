//! Checks: what is asked, how often, and how an answer counts.

mod hysteresis;
mod inspect;
mod ready_made;
mod runner;

#[cfg(unix)]
pub use ready_made::DiskSpace;
pub use ready_made::{
    Blocking, BreakerState, BulkheadSaturation, HttpGet, Load, Saturation, TcpConnect,
};

pub(crate) use hysteresis::{Hysteresis, Standing};
pub use inspect::{ByClosure, Fault, Inspect};
pub(crate) use runner::Supervisor;

use buttress::SettingError;
use inspect::Erased;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Which endpoint a check counts for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `/livez`: the process is beyond help, and should be restarted. Ask only what a restart
    /// repairs. A dependency that is down is not such a thing.
    Liveness,
    /// `/readyz`: the process should be sent no calls for now.
    Readiness,
    /// `/startupz`: the process has not finished starting. A check of this kind runs until it has
    /// passed, and never again.
    Startup,
}

/// A named check: what is asked, how often, and how an answer counts.
///
/// It runs in the background, in a task of its own, never because somebody probes: a probe costs
/// the same however slow a dependency is, and a flood of probes starts no checks. A check that
/// panics has failed, and so has one that takes longer than its timeout.
///
/// ```
/// use buttress_health::{Check, TcpConnect};
/// use std::time::Duration;
///
/// let database = Check::readiness("database", TcpConnect::to("db.internal:5432"))
///     .every(Duration::from_secs(5))
///     .timeout(Duration::from_millis(500));
/// let consumer = Check::liveness("consumer", || async { Ok::<(), std::io::Error>(()) });
/// # let _ = (database, consumer);
/// ```
///
/// # Soft and hard
///
/// A *hard* check that is bad fails its endpoint. A *soft* one is reported, and the endpoint says
/// `warn` and 200: when a database that all instances share has a bad day, hard checks of it would
/// take every instance out of rotation at once, and turn slow answers into none.
///
/// | kind | default |
/// | --- | --- |
/// | readiness | soft |
/// | liveness | hard; soft if it asks a dependency ([`TcpConnect`], [`HttpGet`], [`BreakerState`]) |
/// | startup | hard: an instance that has not started is not in rotation |
///
/// # How it fails when misused
///
/// A liveness check of a dependency, made hard, restarts every instance while the dependency is
/// down. A short timeout turns load into failure. Thresholds above 1 add to those of whoever
/// probes (Kubernetes counts to 3).
pub struct Check {
    name: Arc<str>,
    kind: Kind,
    inspect: Erased,
    is_dependency: bool,
    hard: Option<bool>,
    every: Duration,
    timeout: Option<Duration>,
    bad_after: u32,
    good_after: u32,
}

impl Check {
    /// A check of whether a restart is needed. Hard by default, unless it asks a dependency.
    pub fn liveness<I: Inspect<M>, M>(name: impl Into<Arc<str>>, inspect: I) -> Self {
        Self::new(Kind::Liveness, name.into(), inspect)
    }

    /// A check of whether calls should come. Soft by default.
    pub fn readiness<I: Inspect<M>, M>(name: impl Into<Arc<str>>, inspect: I) -> Self {
        Self::new(Kind::Readiness, name.into(), inspect)
    }

    /// A check of whether the process has started, which ends once it has passed. Hard by default.
    pub fn startup<I: Inspect<M>, M>(name: impl Into<Arc<str>>, inspect: I) -> Self {
        Self::new(Kind::Startup, name.into(), inspect)
    }

    fn new<I: Inspect<M>, M>(kind: Kind, name: Arc<str>, inspect: I) -> Self {
        Self {
            name,
            kind,
            is_dependency: I::IS_DEPENDENCY,
            inspect: inspect::erase(inspect),
            hard: None,
            every: DEFAULT_EVERY,
            timeout: None,
            bad_after: 1,
            good_after: 1,
        }
    }

    /// How often it runs, counted from start to start: more than 0 s, at most a year. 10 s by
    /// default, as Kubernetes probes.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// How long it may take: more than 0 s, at most the interval. 1 s by default, as Kubernetes
    /// has it, or the interval if that is shorter.
    pub fn timeout(mut self, longest: Duration) -> Self {
        self.timeout = Some(longest);
        self
    }

    /// How many times in a row it must fail to turn bad: 1 to 1000, 1 by default, because those
    /// who probe count themselves. Each one more adds an interval to the time until it is seen.
    pub fn bad_after(mut self, failures: u32) -> Self {
        self.bad_after = failures;
        self
    }

    /// How many times in a row it must pass to turn good: 1 to 1000, 1 by default.
    pub fn good_after(mut self, passes: u32) -> Self {
        self.good_after = passes;
        self
    }

    /// Fails its endpoint when bad.
    pub fn hard(mut self) -> Self {
        self.hard = Some(true);
        self
    }

    /// Is reported when bad, and the endpoint stays good.
    pub fn soft(mut self) -> Self {
        self.hard = Some(false);
        self
    }

    fn is_hard(&self) -> bool {
        self.hard.unwrap_or(match self.kind {
            Kind::Readiness => false,
            Kind::Startup => true,
            Kind::Liveness => !self.is_dependency,
        })
    }

    /// Checks the settings, and parts what is remembered of the check from what runs it.
    pub(crate) fn build(self) -> Result<(CheckState, Schedule), SettingError> {
        use buttress_core::setting::{check_duration, check_range};
        let name = check_name(Arc::clone(&self.name))?;
        let every = check_duration("every", self.every)?;
        let timeout = self.timeout.unwrap_or(DEFAULT_TIMEOUT.min(every));
        if check_duration("timeout", timeout)? > every {
            return Err(SettingError::new(
                "timeout",
                format_args!("{timeout:?}"),
                format!("more than 0 s and at most the interval, {every:?}"),
            ));
        }
        let bad_after = check_range("bad_after", self.bad_after, 1..=1_000)?;
        let good_after = check_range("good_after", self.good_after, 1..=1_000)?;
        let state = CheckState {
            name,
            kind: self.kind,
            is_hard: self.is_hard(),
            hysteresis: Hysteresis::new(bad_after, good_after),
            fault: None,
        };
        let schedule = Schedule {
            inspect: self.inspect,
            every,
            timeout,
            once: self.kind == Kind::Startup,
        };
        Ok((state, schedule))
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("every", &self.every)
            .finish_non_exhaustive()
    }
}

/// What is remembered of a check.
#[derive(Clone, Debug)]
pub(crate) struct CheckState {
    pub(crate) name: Arc<str>,
    pub(crate) kind: Kind,
    pub(crate) is_hard: bool,
    pub(crate) hysteresis: Hysteresis,
    /// Why it failed last, unless it passed since.
    pub(crate) fault: Option<Fault>,
}

/// What runs a check, and when.
pub(crate) struct Schedule {
    pub(crate) inspect: Erased,
    pub(crate) every: Duration,
    pub(crate) timeout: Duration,
    /// Whether it ends once it is good.
    pub(crate) once: bool,
}

/// Names that the endpoints use themselves.
const RESERVED: [&str; 4] = ["ping", "shutdown", "startup", "watchdog"];

/// A name stands in a line of text and in `?exclude=`, so it has no blanks.
fn check_name(name: Arc<str>) -> Result<Arc<str>, SettingError> {
    let plain = name.bytes().all(|byte| byte.is_ascii_graphic());
    if name.is_empty() || name.len() > 64 || !plain {
        return Err(SettingError::new(
            "name",
            format_args!("{name:?}"),
            "1 to 64 printable ASCII characters without blanks",
        ));
    }
    if RESERVED.contains(&&*name) {
        return Err(SettingError::new(
            "name",
            format_args!("{name:?}"),
            "none of `ping`, `shutdown`, `startup`, `watchdog`, which stand for lines of their own",
        ));
    }
    Ok(name)
}

/// Kubernetes' `periodSeconds`.
const DEFAULT_EVERY: Duration = Duration::from_secs(10);

/// Kubernetes' `timeoutSeconds`.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(1);
