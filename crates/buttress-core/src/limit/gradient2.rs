use super::bounds::{Bounds, bounded};
use super::spell::{PATIENCE, Spell, Verdict};
use super::{Limit, Sample};
use crate::setting::{SettingError, check_duration, check_range};
use std::time::{Duration, Instant};

/// Compares the latency now with that of a long time, and shrinks in proportion to what it is more.
///
/// With each sample, where `short` is its mean and `long` an exponential average over 600 of them:
/// `gradient = clamp(tolerance × long / short, 0.5, 1)`, and the limit becomes
/// `0.8 × limit + 0.2 × (gradient × limit + queue)`. If `long` is more than twice `short`, `long`
/// is taken down by a twentieth. While less than half of the limit is in use, nothing changes.
/// Formula and defaults are those of Netflix's concurrency-limits.
///
/// It forgives slow calls up to the tolerance, 1.5 by default, so a callee with 20 slots is given
/// 34: the calls of a limit that is half too high take half as long again. It is for callees whose
/// latency varies much, and where a queue is better than a refusal.
///
/// # What differs from the published algorithm
///
/// That one averages in every sample: in a long overload `long` comes to equal `short`, and the
/// limit grows by a fifth of the queue with each sample, to the most. Here `long` only falls while
/// at least half of the limit is in use; and see the [module](super) for a callee that has become
/// slower. [`as_published`](Self::as_published) brings the original back. There, drops are
/// ignored; here they take a tenth off the limit.
#[derive(Clone, Debug, PartialEq)]
pub struct Gradient2 {
    bounds: Bounds,
    limit: f64,
    queue: u32,
    tolerance: f64,
    smoothing: f64,
    long_window: u32,
    patience: Duration,
    published: bool,
    long: Average,
    spell: Spell,
}

bounded!(Gradient2, start 20, min 20, max 200);

impl Gradient2 {
    /// With the published defaults.
    pub fn new() -> Self {
        Self {
            bounds: Bounds {
                start: 20,
                min: 20,
                max: 200,
            },
            limit: 20.0,
            queue: 4,
            tolerance: 1.5,
            smoothing: 0.2,
            long_window: 600,
            patience: PATIENCE,
            published: false,
            long: Average::default(),
            spell: Spell::default(),
        }
    }

    /// How many calls may wait, and by how much the limit grows, from 1 to 1 000 000; 4 by default.
    pub fn queue(mut self, calls: u32) -> Self {
        self.queue = calls;
        self
    }

    /// How much longer than usual calls may take, from 1 to 100 times; 1.5 by default.
    pub fn tolerance(mut self, times: f64) -> Self {
        self.tolerance = times;
        self
    }

    /// How much of a change takes effect at once, from 0.01 to 1, which is all of it; 0.2 by
    /// default.
    pub fn smoothing(mut self, share: f64) -> Self {
        self.smoothing = share;
        self
    }

    /// How many samples a long time has, from 10 to 1 000 000; 600 by default.
    pub fn long_window(mut self, samples: u32) -> Self {
        self.long_window = samples;
        self
    }

    /// For how long calls must have been slow, whatever the limit, before that is taken for normal:
    /// up to a year; a minute by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Averages in every sample as published, also while a queue stands, and ignores drops.
    pub fn as_published(mut self) -> Self {
        self.published = true;
        self
    }

    /// What calls take over a long time, as far as is known.
    pub fn long_latency(&self) -> Option<Duration> {
        (self.long.samples > 0).then(|| Duration::from_secs_f64(self.long.value))
    }

    /// Takes the sample into the long average, if it may.
    fn learn(&mut self, short: f64, busy: bool) -> f64 {
        let long = &mut self.long;
        if self.published || long.samples == 0 || short <= long.value {
            long.add(short, self.long_window);
        } else if !busy {
            // Slowly from the start: calls may be few because the limit is far too high.
            long.approach(short, self.long_window);
        }
        let long = self.long.value;
        if long > 2.0 * short {
            self.long.value *= 0.95;
        }
        long
    }

    fn gradient(&mut self, short: f64, long: f64, now: Instant) -> Option<f64> {
        let gradient = (self.tolerance * long / short).clamp(0.5, 1.0);
        if self.published || gradient >= 1.0 {
            self.spell.not_slow(self.limit);
            return Some(gradient);
        }
        match self.spell.slow(self.limit, short, self.patience, now) {
            Verdict::Lower => Some(gradient),
            Verdict::Hold => None,
            Verdict::Accept => {
                self.long.value = short;
                None
            }
        }
    }

    fn set(&mut self, next: f64) {
        let next = self.limit * (1.0 - self.smoothing) + next * self.smoothing;
        self.limit = self.bounds.clamp(next);
    }
}

impl Limit for Gradient2 {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn begin_at(&mut self, limit: u32) {
        self.limit = self.bounds.clamp(f64::from(limit));
    }

    fn update(&mut self, sample: &Sample, now: Instant) -> u32 {
        if sample.dropped && !self.published {
            self.limit = self.bounds.clamp(self.limit * 0.9);
            return self.limit();
        }
        let short = sample.mean.as_secs_f64();
        if short <= 0.0 {
            return self.limit();
        }
        let busy = f64::from(sample.in_flight) >= self.limit / 2.0;
        let long = self.learn(short, busy);
        if !busy {
            self.spell.over();
            return self.limit();
        }
        if let Some(gradient) = self.gradient(short, long, now) {
            self.set(self.limit * gradient + f64::from(self.queue));
        }
        self.limit()
    }

    fn samples(&self) -> u32 {
        match self.published {
            true => 10,
            // Before a queue can have grown.
            false if self.long.samples == 0 => FIRST,
            false => STEADY,
        }
    }

    fn check(&self) -> Result<(), SettingError> {
        self.bounds.check()?;
        check_range("queue", self.queue, 1..=1_000_000)?;
        check_range("tolerance", self.tolerance, 1.0..=100.0)?;
        check_range("smoothing", self.smoothing, 0.01..=1.0)?;
        check_range("long_window", self.long_window, 10..=1_000_000)?;
        check_duration("patience", self.patience)?;
        Ok(())
    }
}

impl Default for Gradient2 {
    fn default() -> Self {
        Self::new()
    }
}

/// An exponential average, which begins as an ordinary one.
#[derive(Clone, Debug, Default, PartialEq)]
struct Average {
    value: f64,
    sum: f64,
    samples: u32,
}

impl Average {
    fn add(&mut self, sample: f64, window: u32) {
        if self.samples < WARM_UP {
            self.samples += 1;
            self.sum += sample;
            self.value = self.sum / f64::from(self.samples);
        } else {
            self.approach(sample, window);
        }
    }

    fn approach(&mut self, sample: f64, window: u32) {
        let factor = 2.0 / (f64::from(window) + 1.0);
        self.value = self.value * (1.0 - factor) + sample * factor;
    }
}

const WARM_UP: u32 = 10;

/// A mean of so many calls is not the stroke of luck that a baseline which only falls would keep.
const STEADY: u32 = 100;
const FIRST: u32 = 20;
