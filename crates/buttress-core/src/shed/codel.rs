use super::since::Since;
use crate::setting::{SettingError, check_duration};
use crate::sync::{AtomicU32, AtomicU64};
use std::fmt;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Tells a queue that stands from one that comes and goes.
///
/// Every queue fills now and then; that is what it is for. A queue is too long if it is never
/// short: if in a whole interval even the call that waited least waited for longer than the target.
/// Then, and until an interval brings one that waited less, calls that have waited for twice the
/// target are too late.
///
/// This is *CoDel* (Nichols and Jacobson, 2012) in the form that Facebook's folly gave it for
/// servers, where a packet's gradual drops make no sense and a call is refused or served: target
/// 5 ms, interval 100 ms.
///
/// ```
/// use buttress_core::shed::CoDel;
/// use std::time::{Duration, Instant};
///
/// let (codel, start) = (CoDel::new(), Instant::now());
/// let (wait, interval) = (Duration::from_millis(30), Duration::from_millis(100));
/// assert!(!codel.is_too_late(wait, start));
/// // A whole interval in which everybody waits for 30 ms:
/// assert!(codel.is_too_late(wait, start + interval));
/// // Those who waited for less than twice the target are still served.
/// assert!(!codel.is_too_late(wait / 4, start + interval));
/// ```
pub struct CoDel {
    /// Nanoseconds, as all that follow.
    target: u64,
    interval: u64,
    since: Since,
    /// When the interval ends.
    ends: AtomicU64,
    /// The shortest wait in it.
    least: AtomicU64,
    overloaded: AtomicU32,
}

impl CoDel {
    /// Target 5 ms, interval 100 ms.
    pub fn new() -> Self {
        Self::with(Duration::from_millis(5), Duration::from_millis(100))
    }

    /// The wait that is no reason to worry, up to a year. Half of what may be added to a call's
    /// latency in the worst case.
    ///
    /// # Errors
    ///
    /// `target` is 0 or longer than a year.
    pub fn target(mut self, target: Duration) -> Result<Self, SettingError> {
        self.target = check_duration("target", target)?.as_nanos() as u64;
        Ok(self)
    }

    /// How long a queue must stand before it is too long, up to a year. Longer than the bursts that
    /// should be absorbed.
    ///
    /// # Errors
    ///
    /// `interval` is 0 or longer than a year.
    pub fn interval(mut self, interval: Duration) -> Result<Self, SettingError> {
        self.interval = check_duration("interval", interval)?.as_nanos() as u64;
        Ok(self)
    }

    /// A call's turn has come after `wait`. Whether that is too late.
    #[inline]
    pub fn is_too_late(&self, wait: Duration, now: Instant) -> bool {
        let now = self.since.nanos(now);
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        let ends = self.ends.load(Ordering::Relaxed);
        if now >= ends {
            self.next_interval(ends, now);
        }
        if wait < self.least.load(Ordering::Relaxed) {
            self.least.fetch_min(wait, Ordering::Relaxed);
        }
        wait > self.target.saturating_mul(2) && self.is_overloaded()
    }

    /// Whether the queue stands.
    #[inline]
    pub fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Relaxed) != 0
    }

    fn with(target: Duration, interval: Duration) -> Self {
        Self {
            target: target.as_nanos() as u64,
            interval: interval.as_nanos() as u64,
            since: Since::default(),
            ends: AtomicU64::new(0),
            least: AtomicU64::new(u64::MAX),
            overloaded: AtomicU32::new(0),
        }
    }

    #[cold]
    fn next_interval(&self, ends: u64, now: u64) {
        let next = now.saturating_add(self.interval);
        // One of those who see that it has ended closes it.
        let won = self
            .ends
            .compare_exchange(ends, next, Ordering::Relaxed, Ordering::Relaxed);
        if won.is_err() {
            return;
        }
        let least = self.least.swap(u64::MAX, Ordering::Relaxed);
        // If nobody came for an interval after it, nobody was waiting.
        let is_news = ends > 0 && now - ends < self.interval;
        let stands = least != u64::MAX && least > self.target && is_news;
        self.overloaded.store(u32::from(stands), Ordering::Relaxed);
    }
}

impl Default for CoDel {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CoDel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoDel")
            .field("target", &Duration::from_nanos(self.target))
            .field("interval", &Duration::from_nanos(self.interval))
            .field("overloaded", &self.is_overloaded())
            .finish_non_exhaustive()
    }
}
