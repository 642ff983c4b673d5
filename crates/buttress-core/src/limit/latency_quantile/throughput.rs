//! Whether more calls at once are more calls served: up until they are not, and down for as long as
//! nobody misses anything.

use super::LatencyQuantile;

/// Where the limit was, and what the callee did, before the limit grew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mark {
    pub(super) limit: f64,
    pub(super) throughput: f64,
}

/// The limit goes down to see whether throughput stays.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Descent {
    throughput: f64,
    /// The limit before the last step.
    last_good: f64,
}

impl LatencyQuantile {
    pub(super) fn grow(&mut self, throughput: f64, full: bool) -> f64 {
        let limit = self.limit;
        let next = limit + (limit * GROWTH).max(1.0);
        if !full {
            return next;
        }
        let mark = *self.climb.get_or_insert(Mark { limit, throughput });
        let grown = limit / mark.limit - 1.0;
        if grown >= ENOUGH_TO_TELL {
            if throughput < mark.throughput * (1.0 + grown / 2.0) {
                return self.begin_descent(mark);
            }
            self.climb = Some(Mark { limit, throughput });
        }
        next
    }

    pub(super) fn begin_descent(&mut self, mark: Mark) -> f64 {
        self.climb = None;
        self.descent = Some(Descent {
            throughput: mark.throughput,
            last_good: mark.limit,
        });
        mark.limit * STEP_DOWN
    }

    /// One step further down, or up to the last limit that was enough.
    pub(super) fn descend(&mut self, descent: Descent, throughput: f64) -> f64 {
        if throughput < descent.throughput * STILL_AS_MUCH || self.limit <= 1.0 {
            self.descent = None;
            self.edge = Some(descent.last_good);
            return descent.last_good;
        }
        self.descent = Some(Descent {
            last_good: self.limit,
            ..descent
        });
        self.limit * STEP_DOWN
    }
}

const GROWTH: f64 = 0.05;
pub(super) const STEP_DOWN: f64 = 0.9;

/// A limit that has grown by so much, and throughput that is still so much of what it was, are more
/// than chance.
pub(super) const ENOUGH_TO_TELL: f64 = 0.2;
const STILL_AS_MUCH: f64 = 0.92;
