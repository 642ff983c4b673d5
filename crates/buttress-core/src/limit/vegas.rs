use super::bounds::{Bounds, bounded};
use super::spell::{PATIENCE, Spell, Verdict};
use super::{Limit, Sample};
use crate::random::Random;
use crate::setting::{SettingError, check_duration, check_range};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Counts the calls that must be standing in the callee's queue, and keeps a few there.
///
/// If a call takes `least` where nobody waits and `latency` now, then of `limit` calls under way
/// `queue = ⌈limit × (1 − least / latency)⌉` are waiting. Up to a threshold the limit grows quickly,
/// below `alpha` slowly; above `beta` it shrinks; in between it stays. It therefore settles where
/// from `alpha` to `beta` calls wait: 3 to 6 by default, so a callee with 20 slots is given 23 to
/// 26. The idea is TCP Vegas' (Brakmo and Peterson, 1995), formula and defaults are those of
/// Netflix's concurrency-limits.
///
/// It suits callees whose calls take about the same time each. Where they vary much, the least
/// latency is a stroke of luck, everything else looks like a queue, and the limit ends too low.
///
/// # What differs from the published algorithm
///
/// That one takes a new least latency every so often, whatever it is at the time: in a long
/// overload the queue becomes normal, and the limit grows. Here the probe waits until at most half
/// of the limit is in use; and see the [module](super) for a callee that has become slower.
/// [`as_published`](Self::as_published) brings the original back. A sample with drops teaches no
/// latency.
#[derive(Clone, Debug)]
pub struct Vegas {
    bounds: Bounds,
    limit: f64,
    alpha: Option<u32>,
    beta: Option<u32>,
    smoothing: f64,
    patience: Duration,
    published: bool,
    random: Arc<Random>,
    /// Seconds.
    least: Option<f64>,
    spell: Spell,
    samples: u32,
    /// From 0.5 to 1.
    jitter: f64,
}

bounded!(Vegas, start 20, min 1, max 1000);

impl Vegas {
    /// With the published defaults.
    pub fn new() -> Self {
        let random = Random::new();
        Self {
            bounds: Bounds {
                start: 20,
                min: 1,
                max: 1000,
            },
            limit: 20.0,
            alpha: None,
            beta: None,
            smoothing: 1.0,
            patience: PATIENCE,
            published: false,
            least: None,
            spell: Spell::default(),
            samples: 0,
            jitter: jitter(&random),
            random: Arc::new(random),
        }
    }

    /// How many calls may wait before the limit stops to grow, from 1 to 1 000 000. By default
    /// 3 × log₁₀ of the limit.
    pub fn alpha(mut self, calls: u32) -> Self {
        self.alpha = Some(calls);
        self
    }

    /// How many calls may wait before it shrinks, from [`alpha`](Self::alpha) to 1 000 000. By
    /// default 6 × log₁₀ of the limit. It is also by how much the limit grows while nobody waits.
    pub fn beta(mut self, calls: u32) -> Self {
        self.beta = Some(calls);
        self
    }

    /// How much of a change takes effect at once, from 0.01 to 1; 1 by default, which is all of it.
    pub fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// For how long calls must have been slow, whatever the limit, before that is taken for normal:
    /// up to a year; a minute by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Learns the least latency as published, also while a queue stands.
    pub fn as_published(mut self) -> Self {
        self.published = true;
        self
    }

    /// The seed of the times between probes, so that an experiment can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        let random = Random::seeded(seed);
        self.jitter = jitter(&random);
        self.random = Arc::new(random);
        self
    }

    /// What a call takes where nobody waits, as far as is known.
    pub fn least_latency(&self) -> Option<Duration> {
        self.least.map(Duration::from_secs_f64)
    }

    fn probe_is_due(&mut self, in_flight: f64) -> bool {
        self.samples = self.samples.saturating_add(1);
        let due = self.jitter * PROBE * self.limit <= f64::from(self.samples);
        let possible = self.published || in_flight * 2.0 <= self.limit;
        if due && possible {
            self.samples = 0;
            self.jitter = jitter(&self.random);
        }
        due && possible
    }

    /// The limit that follows from `waiting` calls in the queue.
    fn next(&mut self, waiting: f64, latency: f64, now: Instant) -> f64 {
        let step = log10(self.limit);
        let alpha = self.alpha.map_or(3.0 * step, f64::from);
        let beta = self.beta.map_or(6.0 * step, f64::from);
        if waiting <= beta {
            self.spell.not_slow(self.limit);
        }
        if waiting <= step {
            return self.limit + beta;
        }
        if waiting < alpha {
            return self.limit + step;
        }
        if waiting <= beta {
            return self.limit;
        }
        if self.published {
            return self.limit - step;
        }
        match self.spell.slow(self.limit, latency, self.patience, now) {
            Verdict::Lower => self.limit - step,
            Verdict::Hold => self.limit,
            Verdict::Accept => {
                self.least = Some(latency);
                self.limit
            }
        }
    }

    fn set(&mut self, next: f64) {
        let next = self.bounds.clamp(next);
        self.limit = (1.0 - self.smoothing) * self.limit + self.smoothing * next;
    }
}

impl Limit for Vegas {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn begin_at(&mut self, limit: u32) {
        self.limit = self.bounds.clamp(f64::from(limit));
    }

    fn update(&mut self, sample: &Sample, now: Instant) -> u32 {
        let latency = sample.mean.as_secs_f64();
        let in_flight = f64::from(sample.in_flight);
        let probe = self.probe_is_due(in_flight);
        if sample.dropped {
            self.set(self.limit - log10(self.limit));
            return self.limit();
        }
        let least = match self.least {
            Some(least) if latency >= least && !probe => least,
            _ => {
                self.least = Some(latency);
                return self.limit();
            }
        };
        if in_flight * 2.0 < self.limit || latency <= 0.0 {
            self.spell.over();
            return self.limit();
        }
        let waiting = (self.limit * (1.0 - least / latency)).ceil();
        let next = self.next(waiting, latency, now);
        self.set(next);
        self.limit()
    }

    fn samples(&self) -> u32 {
        match self.published {
            true => 10,
            // Before a queue can have grown.
            false if self.least.is_none() => FIRST,
            false => STEADY,
        }
    }

    fn check(&self) -> Result<(), SettingError> {
        self.bounds.check()?;
        if let Some(alpha) = self.alpha {
            check_range("alpha", alpha, 1..=1_000_000)?;
        }
        if let Some(beta) = self.beta {
            check_range("beta", beta, self.alpha.unwrap_or(1)..=1_000_000)?;
        }
        check_range("smoothing", self.smoothing, 0.01..=1.0)?;
        check_duration("patience", self.patience)?;
        Ok(())
    }
}

impl Default for Vegas {
    fn default() -> Self {
        Self::new()
    }
}

/// A probe comes after so many samples for each call of the limit, at most.
const PROBE: f64 = 30.0;

fn jitter(random: &Random) -> f64 {
    0.5 + random.unit() / 2.0
}

/// The whole part of the logarithm of the whole part, and at least 1.
fn log10(limit: f64) -> f64 {
    f64::from((limit as u32).checked_ilog10().unwrap_or(0).max(1))
}

/// A mean of so many calls is not the stroke of luck that a baseline which only falls would keep.
const STEADY: u32 = 100;
const FIRST: u32 = 20;
