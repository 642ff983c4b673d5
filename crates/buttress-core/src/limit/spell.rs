use std::time::{Duration, Instant};

/// A time during which calls take longer than they should, and the question whose fault it is.
///
/// If calls queue for each other, fewer of them take less time each: latency falls with the limit.
/// If the callee is slow by itself, fewer calls are just fewer.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Spell {
    seen: Option<Seen>,
}

#[derive(Clone, Debug, PartialEq)]
struct Seen {
    /// The limit when it began.
    top: f64,
    /// A limit that was tried, and what calls took under it.
    limit: f64,
    latency: f64,
    /// Since when fewer calls have not helped.
    held: Option<Instant>,
}

/// What to do about slow calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let fewer in: it may help.
    Lower,
    /// It did not help. It is an outage, or a callee that has become slower.
    Hold,
    /// That has gone on for so long that it is how the callee is.
    Accept,
}

impl Spell {
    /// Calls take too long: `latency`, under `limit`.
    pub(super) fn slow(
        &mut self,
        limit: f64,
        latency: f64,
        patience: Duration,
        now: Instant,
    ) -> Verdict {
        let seen = self.seen.get_or_insert(Seen {
            top: limit,
            limit,
            latency,
            held: None,
        });
        if latency > seen.latency * WORSE {
            (seen.limit, seen.latency) = (limit, latency);
        }
        if limit > seen.limit * FEWER {
            return Verdict::Lower;
        }
        if latency < seen.latency * NO_BETTER {
            // It helped. It may help further.
            (seen.limit, seen.latency, seen.held) = (limit, latency, None);
            return Verdict::Lower;
        }
        let since = *seen.held.get_or_insert(now);
        if now.saturating_duration_since(since) < patience {
            return Verdict::Hold;
        }
        self.seen = None;
        Verdict::Accept
    }

    /// Whether there is one.
    pub(super) fn is_on(&self) -> bool {
        self.seen.is_some()
    }

    /// They don't, under `limit`. What was tried is remembered until the limit is where it was.
    pub(super) fn not_slow(&mut self, limit: f64) {
        if let Some(seen) = &mut self.seen {
            seen.held = None;
            if limit >= seen.top {
                self.seen = None;
            }
        }
    }

    /// So few calls are under way that they cannot be the cause of anything.
    pub(super) fn over(&mut self) {
        self.seen = None;
    }
}

/// So much longer is worse, and not chance.
const WORSE: f64 = 1.15;
/// How much fewer must have been tried.
const FEWER: f64 = 0.75;
/// In a queue, 0.75 of the calls take 0.75 of the time. This is half-way.
const NO_BETTER: f64 = 0.875;

/// How long an outage may last before it counts as normal, unless told otherwise.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
