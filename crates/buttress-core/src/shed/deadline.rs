use super::InstantOf;
use super::since::Since;
use crate::latencies::Latencies;
use crate::never::Never;
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, Permit, Policy};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name, check_range};
use crate::sync::AtomicU64;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Refuses a call at once that could not be answered before its deadline, judged by how long calls
/// take these days.
///
/// What a call has left is compared with a quantile of the latencies of late: with the median, a
/// call is refused whose chance is less than a half. A call without a deadline is admitted.
///
/// Whatever the latencies say, now and then a hopeless call is let through: twenty in a half-life at
/// first, twice as many with each that makes it after all, and half as many with each that does not. So a
/// callee that is fast again is found out at once, however many slow calls are remembered.
///
/// A call that fails, or whose caller leaves, after having run for longer than that quantile counts
/// as one that took that long: it would have taken longer still. If only answers counted, a callee
/// that is too slow for everybody would look like one that nobody calls.
pub struct DeadlineShedder<D> {
    deadline: D,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    latencies: Latencies,
    quantile: f64,
    name: &'static str,
    since: Since,
    /// The quantile in nanoseconds, 0 if too little is known, and when it must be found out again.
    expected: AtomicU64,
    stale: AtomicU64,
    /// When the next hopeless call is let through, and how long it is to the one after it.
    next_probe: AtomicU64,
    pause: AtomicU64,
    longest_pause: u64,
}

impl<D> DeadlineShedder<D> {
    /// Calls have the deadlines that `deadline` finds. It judges by the median of about the last second,
    /// and the name is `"deadline-shedder"`.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn new(deadline: D) -> Result<Self, SettingError> {
        Ok(Self {
            deadline,
            shared: Arc::new(Shared {
                latencies: Latencies::new(HALF_LIFE)?,
                quantile: 0.5,
                name: "deadline-shedder",
                since: Since::default(),
                expected: AtomicU64::new(0),
                stale: AtomicU64::new(0),
                next_probe: AtomicU64::new(0),
                pause: AtomicU64::new(longest_pause(HALF_LIFE)),
                longest_pause: longest_pause(HALF_LIFE),
            }),
        })
    }

    /// The quantile that is compared with what a call has left, from 0.01 to 0.99. A higher one
    /// refuses more of the calls that would have made it.
    ///
    /// # Errors
    ///
    /// `quantile` is out of range.
    pub fn quantile(self, quantile: f64) -> Result<Self, SettingError> {
        let quantile = check_range("quantile", quantile, 0.01..=0.99)?;
        self.changed(|shared| shared.quantile = quantile)
    }

    /// With how much time what is known fades to a half, from a second to ten minutes; 1 s unless
    /// told otherwise.
    ///
    /// # Errors
    ///
    /// `half_life` is out of range.
    pub fn half_life(self, half_life: Duration) -> Result<Self, SettingError> {
        let latencies = Latencies::new(half_life)?;
        self.changed(|shared| {
            shared.latencies = latencies;
            shared.longest_pause = longest_pause(half_life);
            shared.pause = AtomicU64::new(shared.longest_pause);
        })
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError> {
        let name = check_name("named", name)?;
        self.changed(|shared| shared.name = name)
    }

    /// How long a call is expected to take, if enough was known when it was last looked up: the
    /// latencies of at least ten calls, of which those count half that are a half-life old.
    pub fn expected(&self) -> Option<Duration> {
        match self.shared.expected.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Duration::from_nanos(nanos)),
        }
    }

    fn changed(mut self, change: impl FnOnce(&mut Shared)) -> Result<Self, SettingError> {
        match Arc::get_mut(&mut self.shared) {
            Some(shared) => change(shared),
            // Handles share what was built, so settings come first.
            None => return Err(SettingError::new("settings", "shared", "set before use")),
        }
        Ok(self)
    }
}

impl Shared {
    /// What a call takes, looked up again now and then: to find a quantile is to add up buckets.
    #[inline]
    fn expected(&self, now: Instant) -> u64 {
        let nanos = self.since.nanos(now);
        let stale = self.stale.load(Ordering::Relaxed);
        if nanos >= stale {
            self.refresh(stale, nanos, now);
        }
        self.expected.load(Ordering::Relaxed)
    }

    #[cold]
    fn refresh(&self, stale: u64, nanos: u64, now: Instant) {
        let next = nanos + REFRESH_EVERY;
        let won = self
            .stale
            .compare_exchange(stale, next, Ordering::Relaxed, Ordering::Relaxed);
        if won.is_err() {
            return;
        }
        self.latencies.forget(now);
        let expected = match self.latencies.samples() {
            0..ENOUGH => None,
            _ => self.latencies.quantile(self.quantile),
        };
        let expected = expected.map_or(0, |expected| expected.as_nanos() as u64);
        self.expected.store(expected, Ordering::Relaxed);
    }

    /// Whether it is time to see whether a hopeless call makes it after all.
    fn may_probe(&self, now: Instant) -> bool {
        let nanos = self.since.nanos(now);
        let next = self.next_probe.load(Ordering::Relaxed);
        let won = || {
            let after = nanos.saturating_add(self.pause.load(Ordering::Relaxed));
            self.next_probe
                .compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
        };
        nanos >= next && won()
    }

    fn probed(&self, made_it: bool) {
        let pause = self.pause.load(Ordering::Relaxed);
        let pause = if made_it {
            (pause / 2).max(SHORTEST_PAUSE)
        } else {
            pause.saturating_mul(2).min(self.longest_pause)
        };
        // If two end at once, one of them counts.
        self.pause.store(pause, Ordering::Relaxed);
    }
}

impl<C: ?Sized, D: InstantOf<C>> Policy<C> for DeadlineShedder<D> {
    type Permit = InTime;
    type Waiting = Never;

    fn admit(&self, call: &C, now: &Now) -> Admission<InTime, Never> {
        let started = now.instant();
        let shared = &self.shared;
        let mut hopeless = None;
        if let Some(deadline) = self.deadline.instant_of(call) {
            let left = deadline.saturating_duration_since(started);
            if left.is_zero() {
                let rejection = Rejection::new(Reason::DeadlinePassed, shared.name);
                return Admission::Refused(rejection);
            }
            let expected = Duration::from_nanos(shared.expected(started));
            if left < expected {
                if !shared.may_probe(started) {
                    return Admission::Refused(Rejection::new(Reason::Overloaded, shared.name));
                }
                hopeless = Some(deadline);
            }
        }
        Admission::Admitted(InTime {
            started,
            hopeless,
            shared: Arc::clone(shared),
        })
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<InTime, Rejection>> {
        match *waiting {}
    }
}

impl<D: Clone> Clone for DeadlineShedder<D> {
    fn clone(&self) -> Self {
        Self {
            deadline: self.deadline.clone(),
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<D> fmt::Debug for DeadlineShedder<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineShedder")
            .field("name", &self.shared.name)
            .field("expected", &self.expected())
            .finish_non_exhaustive()
    }
}

/// A call that was thought to be answered in time.
#[derive(Debug)]
pub struct InTime {
    started: Instant,
    /// The deadline, if nobody thinks so.
    hopeless: Option<Instant>,
    shared: Arc<Shared>,
}

impl Permit for InTime {
    #[inline]
    fn complete(self, outcome: Outcome, now: &Now) {
        let now = now.instant();
        let took = now.saturating_duration_since(self.started);
        let expected = Duration::from_nanos(self.shared.expected.load(Ordering::Relaxed));
        let made_it = outcome == Outcome::Success;
        let latency = match self.hopeless {
            Some(deadline) => {
                let in_time = made_it && now <= deadline;
                self.shared.probed(in_time);
                // One that left when its time was up says that nothing has changed.
                Some(if in_time { took } else { took.max(expected) })
            }
            // A quick failure says nothing about how long answers take.
            None => (made_it || took > expected).then_some(took),
        };
        if let Some(latency) = latency {
            self.shared.latencies.record(latency, now);
        }
    }
}

/// So many latencies are worth a judgement.
const ENOUGH: u32 = 10;

const HALF_LIFE: Duration = Duration::from_secs(1);

/// In nanoseconds: so often that there is always enough to judge by.
fn longest_pause(half_life: Duration) -> u64 {
    u64::try_from(half_life.as_nanos() / 20).unwrap_or(u64::MAX / 2)
}

/// In nanoseconds: a tenth of a second.
const REFRESH_EVERY: u64 = 100_000_000;
/// A microsecond, which for all that is known is none.
const SHORTEST_PAUSE: u64 = 1_000;
