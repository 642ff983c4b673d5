use super::transition::Transition;
use crate::now::Now;
use crate::random::Random;
use crate::setting::{SettingError, check_duration, check_name, check_range};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// When a breaker opens, for how long, and what closes it again.
///
/// [`Default`] is what the fields say; change what you need, and [`Breaker::new`](super::Breaker)
/// checks the whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BreakerSettings {
    /// Opens after so many failures in a row, from 1 to 2³² − 1: 5 by default, as in Finagle and
    /// Envoy. It is what makes a quiet service's breaker open in time.
    pub consecutive_failures: Option<u32>,
    /// Opens when this part of the calls in a window failed, from above 0 to 1: 0.5 by default, as
    /// in Hystrix and resilience4j.
    pub failure_rate: Option<f64>,
    /// Opens when this part of the calls in a window (above 0 to 1) took this long or longer. Off
    /// by default, since only you know what is slow.
    pub slow_calls: Option<SlowCalls>,
    /// How many calls a window must hold before its rates mean anything, from 1 to 2³² − 1: 20 by
    /// default, as in Hystrix.
    pub min_calls: u32,
    /// The window of the last while, from 100 ms to a year, in ten buckets: 30 s by default, as in
    /// Polly.
    pub time_window: Option<Duration>,
    /// The window of the last calls, from 1 to 1 000 000. None by default.
    pub count_window: Option<u32>,
    /// How many calls a half-open breaker lets through as probes, from 1 to 2³² − 1, and no more
    /// than `min_calls` if there is a window: 1 by default, as in Finagle, linkerd and Polly.
    pub probes: u32,
    /// How many of the probes must succeed to close it; all of them by default.
    pub probes_to_close: Option<u32>,
    /// When a probe that has neither ended nor been dropped is given up for lost, up to a year:
    /// 10 s by default. If its answer has been coming all the while, it succeeded; if not, its slot
    /// is another call's.
    pub probe_patience: Duration,
    /// How long it stays open at first, up to a year: 5 s by default, as in Polly.
    pub open_time: Duration,
    /// How long it stays open at most, while probe after probe fails and each open time is twice
    /// the one before: 60 s by default, as in linkerd.
    pub longest_open_time: Duration,
    /// The part of each open time that is left to chance, from 0 to 0.9: 0.2 by default, which
    /// leaves 80 to 100 % of it. Without it all instances would probe at the same instant.
    pub jitter: f64,
    /// What calls count as that the callee refused because it has too much to do.
    pub overload: OverloadCounts,
    /// What calls count as that their callers gave up on.
    pub cancelled: CancelledCounts,
    /// Makes the jitter repeat in each run. Chosen by chance by default.
    pub seed: Option<u64>,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            consecutive_failures: Some(5),
            failure_rate: Some(0.5),
            slow_calls: None,
            min_calls: 20,
            time_window: Some(Duration::from_secs(30)),
            count_window: None,
            probes: 1,
            probes_to_close: None,
            probe_patience: Duration::from_secs(10),
            open_time: Duration::from_secs(5),
            longest_open_time: Duration::from_secs(60),
            jitter: 0.2,
            overload: OverloadCounts::default(),
            cancelled: CancelledCounts::default(),
            seed: None,
        }
    }
}

/// When calls are slow, and how many of them are too many.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SlowCalls {
    /// A call that took this long or longer is slow.
    pub duration: Duration,
    /// The part of the calls that may not be slow, from above 0 to 1.
    pub rate: f64,
}

/// What [`Outcome::Overload`](crate::Outcome::Overload) counts as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OverloadCounts {
    /// A failure like any other.
    AsFailure,
    /// A failure for the rate, and nothing for failures in a row: a callee that sheds some of its
    /// load is alive, and one that sheds most of it should be spared. The default.
    #[default]
    ForTheRate,
    /// Nothing.
    AsNothing,
}

/// What a call counts as that its caller gave up on before there was an answer.
///
/// A caller's own timeout, outside of the breaker, drops the call, and the breaker never hears what
/// became of it; and so does a deadline that the caller has set, though a timeout further in notices
/// it. If such calls counted as nothing, a callee that hangs would be hidden for ever: every call
/// would end in a timeout, and the breaker would stay closed. If they all counted as failures,
/// callers that change their minds would open it. What tells the two apart is how long the call had
/// been running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CancelledCounts {
    /// A failure if the call had been running for as long as makes a call slow, or for 250 ms if
    /// nothing says what is slow: longer than somebody takes who changes their mind, shorter than
    /// the timeouts in use. The default.
    #[default]
    AsFailureIfSlow,
    /// A failure if the call had been running for this long or longer, up to a year.
    AsFailureAfter(Duration),
    /// Nothing, unless the call was [slow](BreakerSettings::slow_calls).
    AsNothing,
}

const HUNG_AFTER: Duration = Duration::from_millis(250);

pub(super) type Listener = Box<dyn Fn(&Transition) + Send + Sync>;

/// Settings that make sense, and what all breakers with them share.
pub(super) struct Checked {
    pub(super) name: &'static str,
    pub(super) consecutive_failures: Option<u32>,
    /// Beyond every rate if there is none.
    pub(super) failure_rate: f64,
    pub(super) slow_rate: f64,
    pub(super) min_calls: u32,
    /// From how many nanoseconds on a call is slow, and from how many a cancelled one failed.
    pub(super) slow_after: u64,
    pub(super) hung_after: u64,
    /// Whether slow calls are of interest, which takes two readings of the clock.
    pub(super) tells_slow: bool,
    /// Whether the time at which a call begins is of interest.
    pub(super) reads_clock: bool,
    pub(super) time_window: Option<Duration>,
    pub(super) count_window: Option<u32>,
    pub(super) probes: u32,
    pub(super) probes_to_close: u32,
    pub(super) probe_patience: u64,
    pub(super) open_time: OpenTime,
    pub(super) overload: OverloadCounts,
    pub(super) listener: Option<Listener>,
    /// The point from which time is counted. A breaker knows no clock, so it is the first instant
    /// that anybody tells it.
    anchor: OnceLock<Instant>,
}

const NEVER: f64 = f64::INFINITY;

impl Checked {
    pub(super) fn new(
        name: &'static str,
        settings: &BreakerSettings,
        listener: Option<Listener>,
    ) -> Result<Self, SettingError> {
        let rate =
            |field, rate: Option<f64>| rate.map_or(Ok(NEVER), |rate| check_rate(field, rate));
        let windowed = settings.time_window.is_some() || settings.count_window.is_some();
        settings.check_windows(windowed)?;
        settings.check_probes(windowed)?;
        let slow = settings.slow_calls;
        if let Some(slow) = slow {
            check_duration("slow_calls.duration", slow.duration)?;
        }
        let hung_after = match settings.cancelled {
            CancelledCounts::AsFailureIfSlow => {
                nanoseconds(slow.map_or(HUNG_AFTER, |slow| slow.duration))
            }
            CancelledCounts::AsFailureAfter(time) => {
                nanoseconds(check_duration("cancelled", time)?)
            }
            CancelledCounts::AsNothing => u64::MAX,
        };
        Ok(Self {
            name: check_name("name", name)?,
            consecutive_failures: settings
                .consecutive_failures
                .map(|failures| check_range("consecutive_failures", failures, 1..=u32::MAX))
                .transpose()?,
            failure_rate: rate("failure_rate", settings.failure_rate)?,
            slow_rate: rate("slow_calls.rate", slow.map(|slow| slow.rate))?,
            min_calls: check_range("min_calls", settings.min_calls, 1..=u32::MAX)?,
            slow_after: slow.map_or(u64::MAX, |slow| nanoseconds(slow.duration)),
            hung_after,
            tells_slow: slow.is_some(),
            reads_clock: slow.is_some() || hung_after != u64::MAX || settings.time_window.is_some(),
            time_window: settings.time_window,
            count_window: settings.count_window,
            probes: settings.probes,
            probes_to_close: settings.probes_to_close.unwrap_or(settings.probes),
            probe_patience: nanoseconds(check_duration("probe_patience", settings.probe_patience)?),
            open_time: OpenTime::new(settings)?,
            overload: settings.overload,
            listener,
            anchor: OnceLock::new(),
        })
    }

    /// Nanoseconds since the first instant that anybody told.
    #[inline]
    pub(super) fn since_anchor(&self, now: &Now) -> u64 {
        let now = now.instant();
        nanoseconds(now.saturating_duration_since(*self.anchor.get_or_init(|| now)))
    }

    /// The instant that many nanoseconds after it.
    pub(super) fn instant(&self, at: u64, now: &Now) -> Instant {
        let anchor = self.anchor.get().copied();
        let instant = anchor.and_then(|anchor| anchor.checked_add(Duration::from_nanos(at)));
        instant.unwrap_or_else(|| now.instant())
    }
}

impl BreakerSettings {
    fn check_windows(&self, windowed: bool) -> Result<(), SettingError> {
        if let Some(window) = self.time_window {
            check_duration("time_window", window)?;
            if window < SHORTEST_WINDOW {
                let value = format_args!("{window:?}");
                return Err(SettingError::new("time_window", value, "at least 100 ms"));
            }
        }
        if let Some(calls) = self.count_window {
            check_range("count_window", calls, 1..=LARGEST_WINDOW)?;
            if self.min_calls > calls {
                let allowed = format!("at most the {calls} calls of the window");
                return Err(SettingError::new("min_calls", self.min_calls, allowed));
            }
        }
        if !windowed && let Some(slow) = self.slow_calls {
            let value = format_args!("{:?}", slow.duration);
            let allowed = "left out without a window to count them in";
            return Err(SettingError::new("slow_calls", value, allowed));
        }
        let rated = self.failure_rate.is_some() || self.slow_calls.is_some();
        if self.consecutive_failures.is_none() && !(windowed && rated) {
            let allowed =
                "set where there is no rate to look at, or nothing would open the breaker";
            return Err(SettingError::new(
                "consecutive_failures",
                "left out",
                allowed,
            ));
        }
        Ok(())
    }

    fn check_probes(&self, windowed: bool) -> Result<(), SettingError> {
        let most = if windowed { self.min_calls } else { u32::MAX };
        if windowed && self.min_calls > 0 && self.probes > most {
            // To be let in again, a callee would need more luck than to be left alone.
            let allowed = format!("from 1 to the {most} calls of `min_calls`");
            return Err(SettingError::new("probes", self.probes, allowed));
        }
        check_range("probes", self.probes, 1..=u32::MAX)?;
        if let Some(successes) = self.probes_to_close {
            check_range("probes_to_close", successes, 1..=self.probes)?;
        }
        Ok(())
    }
}

/// So that a bucket is long enough for its number to last for years.
const SHORTEST_WINDOW: Duration = Duration::from_millis(100);

/// A bit or two for each call.
const LARGEST_WINDOW: u32 = 1_000_000;

fn check_rate(field: &'static str, rate: f64) -> Result<f64, SettingError> {
    if rate > 0.0 && rate <= 1.0 {
        return Ok(rate);
    }
    Err(SettingError::new(field, rate, "above 0 and at most 1"))
}

/// How long a breaker stays open.
#[derive(Debug)]
pub(super) struct OpenTime {
    first: u64,
    pub(super) longest: u64,
    jitter: f64,
    random: Random,
}

impl OpenTime {
    fn new(settings: &BreakerSettings) -> Result<Self, SettingError> {
        let longest = check_duration("longest_open_time", settings.longest_open_time)?;
        let first = check_duration("open_time", settings.open_time)?;
        if first > longest {
            let value = format_args!("{first:?}");
            let allowed = format!("at most the longest open time of {longest:?}");
            return Err(SettingError::new("open_time", value, allowed));
        }
        Ok(Self {
            first: nanoseconds(first),
            longest: nanoseconds(longest),
            jitter: check_range("jitter", settings.jitter, 0.0..=0.9)?,
            random: settings.seed.map_or_else(Random::new, Random::seeded),
        })
    }

    /// The open time after `failures` failed attempts to close: `first × 2^failures`, `longest` at
    /// most, less the part that is left to chance.
    pub(super) fn after(&self, failures: u32) -> u64 {
        let factor = 1_u64.checked_shl(failures).unwrap_or(u64::MAX);
        let whole = self.first.saturating_mul(factor).min(self.longest);
        let chance = whole as f64 * self.jitter * self.random.unit();
        whole.saturating_sub(chance as u64).max(1)
    }
}

/// Settings are a year at most, and 584 years of nanoseconds fit.
#[inline]
pub(super) const fn nanoseconds(duration: Duration) -> u64 {
    duration.as_secs() * 1_000_000_000 + duration.subsec_nanos() as u64
}
