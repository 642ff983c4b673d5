use crate::ask::{Action, Answer};
use crate::rule::Rule;
use std::time::Duration;

/// What is remembered for one key, and how it changes: the arithmetic that every engine does.
///
/// An engine that can read, change and write a value in one step needs no more than this. Redis
/// runs the same arithmetic in Lua; a property test holds the two against each other.
///
/// Time is given as microseconds since any fixed point. A clock that is set back adds nothing and
/// takes nothing: what was counted goes on ageing from the new time. One that is set forward
/// makes the limit whole, as if that much time had passed. So a jump costs one burst at most.
///
/// ```
/// use buttress_redis::{Action, Count, Rule};
/// use std::time::Duration;
///
/// let rule = Rule::Even { interval: Duration::from_millis(10), burst: 2 };
/// let take = |n| Action::Take { least: n, most: n, patience: Duration::ZERO };
/// let mut count = Count::default();
/// assert_eq!(count.apply(&rule, take(2), 1_000_000).taken, 2);
/// let refused = count.apply(&rule, take(1), 1_004_000);
/// assert_eq!((refused.taken, refused.wait), (0, Duration::from_millis(6)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count(Option<Kept>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// Nanoseconds until everything is free, as of `at`.
    Even { debt: u128, at: u64 },
    /// The counts of the window with that number, and of the one before it.
    Window {
        index: u64,
        previous: u64,
        current: u64,
    },
}

impl Count {
    /// Does `action`, at a time in microseconds. What was kept by another kind of rule is
    /// forgotten.
    pub fn apply(&mut self, rule: &Rule, action: Action, now: u64) -> Answer {
        match *rule {
            Rule::Even { interval, burst } => self.even(interval.as_nanos(), burst, action, now),
            Rule::Window { length, limit } => self.window(length, limit, action, now),
        }
    }

    /// When everything is free again, so that this may be forgotten.
    pub fn forget_at(&self, rule: &Rule) -> u64 {
        let micros = |period: u128| u64::try_from(period).unwrap_or(u64::MAX);
        match (self.0, rule) {
            (Some(Kept::Even { debt, at }), _) => at.saturating_add(micros(debt.div_ceil(1_000))),
            (Some(Kept::Window { index, .. }), Rule::Window { length, .. }) => {
                micros(u128::from(index.saturating_add(2)) * length.as_micros())
            }
            _ => 0,
        }
    }

    fn even(&mut self, interval: u128, burst: u32, action: Action, now: u64) -> Answer {
        let interval = interval.max(1);
        let capacity = interval * u128::from(burst);
        let mut debt = match self.0 {
            Some(Kept::Even { debt, at }) => {
                debt.saturating_sub(u128::from(now.saturating_sub(at)) * 1_000)
            }
            _ => 0,
        };
        let (mut taken, mut wait) = (0, 0);
        match action {
            Action::Take {
                least,
                most,
                patience,
            } => {
                let room = capacity.saturating_sub(debt) / interval;
                if room >= u128::from(least) {
                    taken = u32::try_from(room).unwrap_or(u32::MAX).min(most);
                } else {
                    let price = interval * u128::from(least);
                    wait = (debt + price).saturating_sub(capacity);
                    if wait <= patience.as_nanos() {
                        taken = least;
                    }
                }
                debt += interval * u128::from(taken);
            }
            Action::GiveBack(back) => debt = debt.saturating_sub(interval * u128::from(back)),
            Action::Charge(used) => {
                debt += interval * u128::from(used);
                wait = (debt + interval).saturating_sub(capacity);
            }
        }
        // A refusal changes nothing; a clock that was set back has to be written down, though.
        let set_back = matches!(self.0, Some(Kept::Even { at, .. }) if now < at);
        if taken > 0 || !matches!(action, Action::Take { .. }) || set_back {
            self.0 = (debt > 0).then_some(Kept::Even { debt, at: now });
        }
        Answer {
            taken,
            wait: micros_up(wait),
            left: (capacity.saturating_sub(debt) / interval) as u32,
            whole: micros_up(debt),
        }
    }

    fn window(&mut self, length: Duration, limit: u32, action: Action, now: u64) -> Answer {
        // A year at most, and at least a millisecond.
        let length = (length.as_micros() as u64).max(1);
        let (index, elapsed) = (now / length, now % length);
        let mut window = Window::at(self.0, index, elapsed, length, u64::from(limit));
        let (mut taken, mut wait) = (0, 0);
        match action {
            Action::Take { least, most, .. } => {
                let room = window.room();
                if room >= least {
                    taken = room.min(most);
                    window.current += u64::from(taken);
                } else {
                    wait = window.wait(u64::from(least));
                }
            }
            Action::GiveBack(back) => {
                // Taken in this window, or just before it began.
                let from_current = window.current.min(u64::from(back));
                window.current -= from_current;
                let rest = u64::from(back) - from_current;
                window.previous = window.previous.saturating_sub(rest);
            }
            Action::Charge(used) => {
                window.current += u64::from(used);
                if window.room() == 0 {
                    wait = window.wait(1);
                }
            }
        }
        let (previous, current) = (window.previous, window.current);
        let whole = match (previous, current) {
            (0, 0) => 0,
            (_, 0) => length - elapsed,
            _ => 2 * length - elapsed,
        };
        let set_back = matches!(self.0, Some(Kept::Window { index: at, .. }) if index < at);
        if taken > 0 || !matches!(action, Action::Take { .. }) || set_back {
            self.0 = (whole > 0).then_some(Kept::Window {
                index,
                previous,
                current,
            });
        }
        Answer {
            taken,
            wait: Duration::from_micros(wait),
            left: window.room(),
            whole: Duration::from_micros(whole),
        }
    }
}

/// The two counts, moved to the window of the decision.
struct Window {
    previous: u64,
    current: u64,
    elapsed: u64,
    length: u64,
    limit: u64,
}

impl Window {
    fn at(kept: Option<Kept>, index: u64, elapsed: u64, length: u64, limit: u64) -> Self {
        let (previous, current) = match kept {
            Some(Kept::Window {
                index: kept,
                previous,
                current,
            }) => {
                if kept == index.wrapping_sub(1) {
                    (current, 0)
                } else if kept < index {
                    (0, 0)
                } else {
                    // The same window, or a clock that was set back: nothing is forgotten, and
                    // from here it ages.
                    (previous, current)
                }
            }
            _ => (0, 0),
        };
        Self {
            previous,
            current,
            elapsed,
            length,
            limit,
        }
    }

    /// How much fits now.
    fn room(&self) -> u32 {
        let length = u128::from(self.length);
        let used = u128::from(self.previous) * u128::from(self.length - self.elapsed)
            + u128::from(self.current) * length;
        let free = (u128::from(self.limit) * length).saturating_sub(used) / length;
        // At most the limit, which was a `u32`.
        free as u32
    }

    /// How long until `cost` more fits.
    fn wait(&self, cost: u64) -> u64 {
        let current = self.current + cost;
        if current <= self.limit {
            self.fits_at(self.previous, self.limit - current)
                .saturating_sub(self.elapsed)
        } else {
            let rest = self.length - self.elapsed;
            rest + self.fits_at(self.current, self.limit.saturating_sub(cost))
        }
    }

    /// How far into a window a previous count weighs no more than `room`.
    fn fits_at(&self, previous: u64, room: u64) -> u64 {
        if previous <= room {
            return 0;
        }
        let covered = u128::from(room) * u128::from(self.length) / u128::from(previous);
        // `room` is less than `previous`, so what is covered is less than the window.
        self.length - covered as u64
    }
}

fn micros_up(nanoseconds: u128) -> Duration {
    Duration::from_micros(u64::try_from(nanoseconds.div_ceil(1_000)).unwrap_or(u64::MAX))
}
