use buttress_core::setting::{LONGEST, check_range};
use buttress_core::{Latencies, SettingError};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a call is out before it is hedged.
#[derive(Debug)]
pub(super) enum Delay {
    Fixed(Duration),
    Quantile(Box<QuantileDelay>),
}

impl Delay {
    pub(super) fn fixed(delay: Duration) -> Result<Self, SettingError> {
        if delay > LONGEST {
            let value = format_args!("{delay:?}");
            return Err(SettingError::new("after", value, "at most 365 days"));
        }
        Ok(Self::Fixed(delay))
    }

    /// The delay as it stands. A fixed one is known without knowing the time.
    #[inline]
    pub(super) fn known(&self, now: Option<Instant>) -> Option<Duration> {
        match self {
            Self::Fixed(delay) => Some(*delay),
            Self::Quantile(quantile) => quantile.current(now?),
        }
    }
}

/// A quantile of the latencies of late. Looking for it takes longer than a call's whole way through
/// a hedge, so it is remembered for a while.
#[derive(Debug)]
pub(super) struct QuantileDelay {
    latencies: Latencies,
    quantile: f64,
    min_samples: u32,
    /// Nanoseconds; 0 is none.
    known: AtomicU64,
    /// The point from which time is counted.
    anchor: OnceLock<Instant>,
    /// When to look again, in nanoseconds.
    stale_at: AtomicU64,
    /// How often to, in nanoseconds.
    refresh: u64,
}

impl Default for QuantileDelay {
    /// The 95th percentile of 100 calls at least.
    fn default() -> Self {
        Self::with(Latencies::default(), HALF_LIFE, 0.95, 100)
    }
}

/// The default of [`Latencies`].
pub(super) const HALF_LIFE: Duration = Duration::from_secs(10);

impl QuantileDelay {
    pub(super) fn new(
        quantile: f64,
        min_samples: u32,
        half_life: Duration,
    ) -> Result<Self, SettingError> {
        let latencies = Latencies::new(half_life)?;
        let quantile = check_range("quantile", quantile, 0.5..=0.9999)?;
        let min_samples = check_range("min_samples", min_samples, 1..=1_000_000)?;
        Ok(Self::with(latencies, half_life, quantile, min_samples))
    }

    fn with(latencies: Latencies, half_life: Duration, quantile: f64, min_samples: u32) -> Self {
        Self {
            latencies,
            quantile,
            min_samples,
            known: AtomicU64::new(0),
            anchor: OnceLock::new(),
            stale_at: AtomicU64::new(0),
            refresh: half_life.as_nanos() as u64 / 16,
        }
    }

    #[inline]
    pub(super) fn record(&self, latency: Duration, now: Instant) {
        self.latencies.record(latency, now);
    }

    fn current(&self, now: Instant) -> Option<Duration> {
        if self.latencies.samples() < self.min_samples {
            return None;
        }
        let since = now.saturating_duration_since(*self.anchor.get_or_init(|| now));
        let since = since.as_nanos() as u64;
        let stale_at = self.stale_at.load(Ordering::Relaxed);
        if since >= stale_at {
            // One of those who find it stale looks; the others go by what is known.
            let next = since.saturating_add(self.refresh);
            let mine = self
                .stale_at
                .compare_exchange(stale_at, next, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
            if mine {
                self.refresh(now);
            }
        }
        match self.known.load(Ordering::Relaxed) {
            0 => None,
            nanoseconds => Some(Duration::from_nanos(nanoseconds)),
        }
    }

    #[cold]
    fn refresh(&self, now: Instant) {
        self.latencies.forget(now);
        let quantile = if self.latencies.samples() < self.min_samples {
            None
        } else {
            self.latencies.quantile(self.quantile)
        };
        let nanoseconds = quantile.map_or(0, |quantile| quantile.as_nanos() as u64);
        self.known.store(nanoseconds, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn record(delay: &QuantileDelay, milliseconds: u64, times: u32, at: Instant) {
        for _ in 0..times {
            delay.record(Duration::from_millis(milliseconds), at);
        }
    }

    #[test]
    fn there_is_no_delay_before_there_are_samples_enough() {
        let delay = QuantileDelay::new(0.9, 100, HALF_LIFE).unwrap();
        let now = start();
        record(&delay, 10, 99, now);
        assert_eq!(delay.current(now), None);
        record(&delay, 10, 1, now);
        let known = delay.current(now).unwrap();
        assert!(known >= Duration::from_millis(10) && known < Duration::from_millis(11));
    }

    #[test]
    fn it_follows_what_is_seen_and_ends_when_that_has_faded() {
        let delay = QuantileDelay::new(0.9, 100, HALF_LIFE).unwrap();
        let now = start();
        record(&delay, 10, 200, now);
        assert!(delay.current(now).unwrap() < Duration::from_millis(11));
        record(&delay, 50, 200, now);
        let later = now + HALF_LIFE / 16;
        assert!(delay.current(later).unwrap() >= Duration::from_millis(50));
        // Four hundred samples are a hundred after two half-lives, and fewer after three.
        assert!(delay.current(now + 2 * HALF_LIFE).is_some());
        assert_eq!(delay.current(now + 3 * HALF_LIFE), None);
        assert_eq!(delay.current(now + 3 * HALF_LIFE), None);
    }
}
