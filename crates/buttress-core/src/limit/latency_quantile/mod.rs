mod throughput;

use super::bounds::{Bounds, bounded};
use super::evidence::Evidence;
use super::spell::{PATIENCE, Spell, Verdict};
use super::{Limit, Sample};
use crate::setting::{SettingError, check_duration, check_range};
use std::time::{Duration, Instant};
use throughput::{Descent, ENOUGH_TO_TELL, Mark, STEP_DOWN};

/// Compares a quantile of the latency with what it is while nobody waits, and checks that more
/// calls at once are more calls served. It is the default.
///
/// With each sample, by how much the smoothed quantile is over the baseline:
///
/// - less than a tenth: nobody waits. The limit grows by a twentieth, at least by one, if a call has
///   found it used up.
/// - up to a fifth: the callee is busy all the time, and hardly anybody waits. It stays.
/// - more: it shrinks in proportion, by a tenth at most.
///
/// **Throughput.** Latency alone is fooled if the queue was there before the first call was
/// measured: then the queue is the baseline. So when the limit has grown by a fifth and throughput
/// has not grown by half as much, there is a queue. The limit then goes down step by step for as
/// long as throughput stays, which costs nobody anything, and where throughput begins to fall,
/// nobody waits. That is so while the limit is used up all the time; otherwise throughput only says how
/// many calls came.
///
/// The idea to watch both is that of failsafe-go's adaptive limiter; the rules are our own. That one
/// averages all samples into its baseline, so a long outage becomes normal; see the
/// [module](super) for what is learnt here. If there is a latency that can never be healthy, say so:
/// [`unhealthy_above`](Self::unhealthy_above).
///
/// **Chance.** The more latencies differ, the more calls a decision rests on. A baseline that has
/// fallen by chance all the same is found out by letting a fifth more calls in for a moment, every
/// five seconds at most: if they are all served, nobody was waiting. It is a look upwards, which
/// refuses nobody.
#[derive(Clone, Debug, PartialEq)]
pub struct LatencyQuantile {
    bounds: Bounds,
    limit: f64,
    quantile: f64,
    samples: u32,
    patience: Duration,
    unhealthy: Option<Duration>,
    evidence: Evidence,
    /// Seconds.
    baseline: Option<f64>,
    spell: Spell,
    climb: Option<Mark>,
    descent: Option<Descent>,
    probe: Option<Mark>,
    next_probe: Option<Instant>,
    /// Whether the baseline rests on more than the first few calls.
    sure: bool,
    /// Below this limit, throughput was seen to fall.
    edge: Option<f64>,
    /// The next sample is of calls that were admitted under another limit.
    skip: bool,
}

bounded!(LatencyQuantile, start 20, min 1, max 1000);

impl LatencyQuantile {
    /// With the defaults.
    pub fn new() -> Self {
        Self {
            bounds: Bounds {
                start: 20,
                min: 1,
                max: 1000,
            },
            limit: 20.0,
            quantile: 0.9,
            samples: 50,
            patience: PATIENCE,
            unhealthy: None,
            evidence: Evidence::default(),
            baseline: None,
            spell: Spell::default(),
            climb: None,
            descent: None,
            probe: None,
            next_probe: None,
            sure: false,
            edge: None,
            skip: false,
        }
    }

    /// The quantile that is compared, from 0.05 to 0.99; 0.9 by default, as in failsafe-go.
    ///
    /// It should not be on the edge between two kinds of calls: where one in ten is ten times slower
    /// than the others, the default finds too low a limit, and 0.5 finds the right one.
    pub fn at_quantile(mut self, quantile: f64) -> Self {
        self.quantile = quantile;
        self
    }

    /// How many calls a sample is made of, at least, from 10 to 1 000 000; 50 by default, as in
    /// failsafe-go. More are slower and steadier.
    pub fn calls_per_sample(mut self, calls: u32) -> Self {
        self.samples = calls;
        self
    }

    /// For how long calls must have been slow, whatever the limit, before that is taken for normal:
    /// up to a year; a minute by default.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// A latency that no healthy callee has, up to a year. While the quantile is above it, the limit
    /// shrinks and nothing is learnt, however long it lasts. By default there is none.
    pub fn unhealthy_above(mut self, latency: Duration) -> Self {
        self.unhealthy = Some(latency);
        self
    }

    /// The latency of calls while nobody waits, as far as is known.
    pub fn baseline(&self) -> Option<Duration> {
        self.baseline.map(Duration::from_secs_f64)
    }

    /// Follows what is faster at once, and what is slower by `rise`.
    fn learn(&mut self, recent: f64, rise: f64) -> f64 {
        let baseline = match self.baseline {
            Some(baseline) if recent > baseline => baseline + (recent - baseline) * rise,
            _ => recent,
        };
        self.baseline = Some(baseline);
        baseline
    }

    fn forget_the_way_here(&mut self) {
        self.spell.over();
        self.climb = None;
        self.descent = None;
        self.probe = None;
        self.edge = None;
    }

    fn shrink(&mut self, recent: f64, over: f64, seen: Mark, full: bool, now: Instant) -> f64 {
        self.climb = None;
        self.descent = None;
        // In a queue the mean is in proportion to the limit; a quantile need not be.
        let mean = seen.limit / seen.throughput;
        match self.spell.slow(self.limit, mean, self.patience, now) {
            Verdict::Lower => {
                let proportion = (1.0 + MIDDLE) / (1.0 + over);
                self.limit * proportion.max(MOST_DOWN)
            }
            Verdict::Hold if self.may_be_chance(over) => self.stay(seen, full, now),
            Verdict::Hold => self.limit,
            Verdict::Accept => {
                self.baseline = Some(recent);
                self.sure = true;
                self.limit
            }
        }
    }

    /// Whether the baseline may be so much too low by chance.
    fn may_be_chance(&self, over: f64) -> bool {
        !self.sure || over < CHANCE
    }

    /// Stays, and tries from time to time whether more calls would be served after all.
    fn stay(&mut self, seen: Mark, full: bool, now: Instant) -> f64 {
        let next_probe = *self.next_probe.get_or_insert(now + FIRST_PROBE);
        if !full || now < next_probe {
            return self.limit;
        }
        self.probe = Some(seen);
        self.limit + (self.limit * ENOUGH_TO_TELL).max(1.0)
    }

    /// What came of it.
    fn probed(
        &mut self,
        before: Mark,
        recent: f64,
        over: f64,
        throughput: f64,
        now: Instant,
    ) -> f64 {
        let grown = self.limit / before.limit - 1.0;
        let served_more = throughput >= before.throughput * (1.0 + grown / 2.0);
        if served_more && self.may_be_chance(over) {
            // Nobody waits, so this is what calls take.
            self.baseline = Some(recent);
            self.sure = true;
            return self.limit;
        }
        let pause = if self.sure { PROBE_EVERY } else { FIRST_PROBE };
        self.next_probe = Some(now + pause);
        // There is a queue. How long it is need be found out only once.
        match self.edge {
            Some(edge) if before.limit < edge * (1.0 + FAR) => before.limit,
            _ => self.begin_descent(before),
        }
    }

    fn next(&mut self, sample: &Sample, now: Instant) -> f64 {
        let unhealthy = self.unhealthy.is_some_and(|most| sample.quantile > most);
        if sample.dropped || unhealthy {
            self.forget_the_way_here();
            self.evidence = Evidence::default();
            return self.limit * STEP_DOWN;
        }
        if std::mem::take(&mut self.skip) {
            return self.limit;
        }
        self.evidence.add(sample);
        let evidence = self.evidence;
        let recent = evidence.latency / evidence.calls.max(1.0);
        if recent <= 0.0 {
            return self.limit;
        }
        let Some(baseline) = self.baseline else {
            self.baseline = Some(recent);
            return self.limit;
        };
        let over = recent / baseline - 1.0;
        let in_a_hurry = over > HIGH && !self.spell.is_on();
        let least = f64::from(self.samples);
        if !evidence.is_enough(over - HIGH, least, in_a_hurry) {
            return self.limit;
        }
        self.evidence = Evidence::default();
        self.decide(evidence, recent, now)
    }

    fn decide(&mut self, evidence: Evidence, recent: f64, now: Instant) -> f64 {
        let busy = evidence.saturated || f64::from(evidence.in_flight) * 2.0 >= self.limit;
        let rise = match evidence.in_flight {
            // One call alone does not wait for others.
            0 | 1 => 1.0,
            _ if !busy => RISE,
            _ => 0.0,
        };
        let baseline = self.learn(recent, rise);
        if !busy {
            self.sure = true;
            self.forget_the_way_here();
            return self.limit;
        }
        let limit = self.limit;
        // By Little's law, where the limit is used up. To count the calls of a short time would be
        // less exact: they end in batches.
        let throughput = limit * evidence.calls / evidence.mean.max(f64::MIN_POSITIVE);
        let over = recent / baseline - 1.0;
        let full = evidence.is_full(limit);
        if let Some(before) = self.probe.take() {
            return if full {
                self.probed(before, recent, over, throughput, now)
            } else {
                before.limit
            };
        }
        let seen = Mark { limit, throughput };
        if over > HIGH {
            return self.shrink(recent, over, seen, full, now);
        }
        self.spell.not_slow(limit);
        if !full {
            // Throughput says how many calls came.
            (self.climb, self.descent) = (None, None);
        }
        if let Some(descent) = self.descent {
            return self.descend(descent, throughput);
        }
        if over < LOW && evidence.saturated {
            return self.grow(throughput, full);
        }
        self.climb = None;
        self.stay(seen, full, now)
    }
}

impl Limit for LatencyQuantile {
    fn limit(&self) -> u32 {
        self.limit as u32
    }

    fn begin_at(&mut self, limit: u32) {
        self.limit = self.bounds.clamp(f64::from(limit));
    }

    fn update(&mut self, sample: &Sample, now: Instant) -> u32 {
        let next = self.bounds.clamp(self.next(sample, now));
        self.skip = (next / self.limit - 1.0).abs() > A_CHANGE;
        self.limit = next;
        self.limit()
    }

    fn samples(&self) -> u32 {
        match self.baseline {
            Some(_) => self.samples,
            // Before a queue can have grown.
            None => FIRST_SAMPLE,
        }
    }

    fn quantile(&self) -> Option<f64> {
        Some(self.quantile)
    }

    fn check(&self) -> Result<(), SettingError> {
        self.bounds.check()?;
        check_range("at_quantile", self.quantile, 0.05..=0.99)?;
        check_range("calls_per_sample", self.samples, 10..=1_000_000)?;
        check_duration("patience", self.patience)?;
        if let Some(latency) = self.unhealthy {
            check_duration("unhealthy_above", latency)?;
        }
        Ok(())
    }
}

impl Default for LatencyQuantile {
    fn default() -> Self {
        Self::new()
    }
}

/// By how much latency may be over the baseline before the limit stops to grow, and before it
/// shrinks. A queue of a tenth keeps a callee busy through the gaps between calls.
const LOW: f64 = 0.1;
const HIGH: f64 = 0.2;
/// Where shrinking aims at.
const MIDDLE: f64 = 0.15;

const MOST_DOWN: f64 = 0.8;

/// After more of a change than this, the calls of the next sample were admitted under another limit.
const A_CHANGE: f64 = 0.09;

/// A baseline that has fallen by chance is not further from the truth than this. What is slower is
/// slower.
const CHANCE: f64 = 0.5;
const FIRST_PROBE: Duration = Duration::from_secs(1);
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// So much above the edge, it may have moved.
const FAR: f64 = 0.5;

/// Few enough to be answered before a queue has grown, if there was none.
const FIRST_SAMPLE: u32 = 10;

/// The baseline's age is about ten samples, as in failsafe-go.
const RISE: f64 = 0.1;
