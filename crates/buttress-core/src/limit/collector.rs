//! Samples made of what the tallies hold, one for each round trip.

use super::tally::{LATEST, Looked, Tally, Total};
use super::{Limit, Sample};
use crate::sync::{AtomicU32, AtomicU64, Mutex};
use std::sync::OnceLock;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Collects what the calls have shown, and asks the algorithm for a new limit when it is time.
pub(super) struct Collector<L> {
    tallies: Box<[Tally]>,
    /// The point from which time is counted: the start of the first call that ended.
    anchor: OnceLock<Instant>,
    /// When the next sample is due, in nanoseconds since then.
    due: AtomicU64,
    /// What calls took on average lately, in nanoseconds.
    usual: AtomicU64,
    /// Of how many calls one is timed: a power of two. A clock read costs as much as all the rest,
    /// and thousands of latencies say no more than hundreds.
    one_in: AtomicU32,
    window: Mutex<Window<L>>,
}

struct Window<L> {
    algorithm: L,
    /// What the algorithm said last, or begins with.
    limit: u32,
    began: u64,
    looked: Box<[Looked]>,
    total: Total,
    latencies: Vec<u64>,
}

impl<L: Limit> Collector<L> {
    pub(super) fn new(algorithm: L, tallies: usize) -> Self {
        Self {
            tallies: (0..tallies).map(|_| Tally::new()).collect(),
            anchor: OnceLock::new(),
            due: AtomicU64::new(0),
            usual: AtomicU64::new(0),
            one_in: AtomicU32::new(1),
            window: Mutex::new(Window {
                limit: algorithm.limit().max(1),
                algorithm,
                began: 0,
                looked: vec![Looked::default(); tallies].into(),
                total: Total::default(),
                latencies: Vec::with_capacity(2 * tallies * LATEST),
            }),
        }
    }

    #[inline]
    pub(super) fn tally(&self, index: usize) -> &Tally {
        &self.tallies[index]
    }

    /// Of how many calls one is to be timed.
    #[inline]
    pub(super) fn one_in(&self) -> u32 {
        self.one_in.load(Ordering::Relaxed)
    }

    /// What a call may take before its failure counts as slowness.
    pub(super) fn usual(&self) -> Duration {
        Duration::from_nanos(self.usual.load(Ordering::Relaxed))
    }

    /// Looks at the algorithm, while nobody else does.
    pub(super) fn with_algorithm<R>(&self, look: impl FnOnce(&L) -> R) -> R {
        look(&self.window.lock().algorithm)
    }

    /// Goes by another algorithm from the next sample on. It begins with what the one before said last,
    /// or the nearest that it allows. Returns that limit.
    pub(super) fn exchange(&self, mut algorithm: L) -> u32 {
        // Under the lock, so that what the one before says meanwhile is not lost.
        let mut window = self.window.lock();
        algorithm.begin_at(window.limit);
        let limit = algorithm.limit().max(1);
        let before = std::mem::replace(&mut window.algorithm, algorithm);
        window.limit = limit;
        drop(window);
        drop(before);
        limit
    }

    /// What the algorithm said last.
    pub(super) fn limit(&self) -> u32 {
        self.window.lock().limit
    }

    /// Whether a call that started at `started` and ended at `now` should try to
    /// [close](Self::close) the window.
    #[inline]
    pub(super) fn is_due(&self, started: Instant, now: Instant) -> bool {
        // The first call that ends began the first window when it started.
        let anchor = *self.anchor.get_or_init(|| started);
        nanos(now.saturating_duration_since(anchor)) >= self.due.load(Ordering::Relaxed)
    }

    /// Makes a sample if there is enough for one, and returns the new limit. `in_flight` is asked
    /// only then. If another thread is at it, there is nothing to do: it sees what this one
    /// counted, or the next one does.
    #[cold]
    pub(super) fn close(&self, now: Instant, in_flight: impl FnOnce() -> usize) -> Option<u32> {
        let mut window = self.window.try_lock()?;
        let now_nanos = nanos(now.saturating_duration_since(*self.anchor.get()?));
        if now_nanos < self.due.load(Ordering::Relaxed) {
            return None;
        }
        let Window {
            algorithm,
            limit,
            began,
            looked,
            total,
            latencies,
        } = &mut *window;
        for (tally, looked) in self.tallies.iter().zip(looked) {
            tally.take(looked, total, latencies);
        }
        let seen = total.answered.saturating_add(total.dropped);
        if seen < algorithm.samples().max(1) {
            // Not to be looked at again by each of the next calls. If there were many, they have
            // become few.
            self.due.store(now_nanos + SHORTEST, Ordering::Relaxed);
            self.one_in.store(1, Ordering::Relaxed);
            return None;
        }
        let calls = total.answered.saturating_mul(self.one_in());
        let mean = mean(latencies).unwrap_or_else(|| self.usual.load(Ordering::Relaxed));
        let spread = spread(latencies, mean);
        let quantile = algorithm.quantile();
        let quantile = quantile.and_then(|quantile| nearest_rank(latencies, quantile));
        let window = now_nanos.saturating_sub(*began).max(1);
        // By Little's law: calls in a second times seconds for a call.
        let on_average = u64::from(calls).saturating_mul(mean).div_ceil(window);
        let in_flight = on_average.max(in_flight() as u64);
        let sample = Sample {
            mean: Duration::from_nanos(mean),
            quantile: Duration::from_nanos(quantile.unwrap_or(mean)),
            spread,
            in_flight: u32::try_from(in_flight).unwrap_or(u32::MAX),
            calls,
            window: Duration::from_nanos(window),
            dropped: total.dropped > 0,
            saturated: total.saturated,
        };
        *total = Total::default();
        latencies.clear();
        *began = now_nanos;
        self.usual.store(mean, Ordering::Relaxed);
        let one_in = (calls / PLENTY).clamp(1, MOST_SKIPPED);
        self.one_in.store(1 << one_in.ilog2(), Ordering::Relaxed);
        let round_trip = mean.clamp(SHORTEST, LONGEST);
        self.due.store(now_nanos + round_trip, Ordering::Relaxed);
        *limit = algorithm.update(&sample, now).max(1);
        Some(*limit)
    }
}

/// The latency that a share of `quantile` of them does not exceed.
fn nearest_rank(latencies: &mut [u64], quantile: f64) -> Option<u64> {
    let rank = (quantile * latencies.len() as f64).ceil().max(1.0) as usize;
    let index = rank.min(latencies.len()).checked_sub(1)?;
    Some(*latencies.select_nth_unstable(index).1)
}

fn mean(latencies: &[u64]) -> Option<u64> {
    let sum = latencies
        .iter()
        .fold(0, |sum: u64, nanos| sum.saturating_add(*nanos));
    sum.checked_div(latencies.len() as u64)
}

/// The standard deviation as a share of the mean.
fn spread(latencies: &[u64], mean: u64) -> f64 {
    let (count, mean) = (latencies.len().max(1) as f64, mean as f64);
    if mean <= 0.0 {
        return 0.0;
    }
    let square = |nanos: &u64| (*nanos as f64 - mean).powi(2);
    (latencies.iter().map(square).sum::<f64>() / count).sqrt() / mean
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// A sample comes once in a round trip, but not more often than this, since making one takes some
/// microseconds of a call's thread; and not less often than that, in nanoseconds.
const SHORTEST: u64 = 1_000_000;
const LONGEST: u64 = 10_000_000_000;

/// If a sample has more than twice as many calls as this, fewer are timed; one in so many at least.
const PLENTY: u32 = 512;
const MOST_SKIPPED: u32 = 16;
