//! Whose turn it is.

use crate::setting::{SettingError, check_duration};
use std::time::{Duration, Instant};

/// Who of those that wait is served next, and who gives way when the room is full.
///
/// First come, first served is fair, and the worst there is under overload: everybody waits as long
/// as anybody can, and whoever is served has nearly given up. The others are for that hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Discipline {
    /// First come, first served. If the room is full, newcomers are refused.
    #[default]
    Fifo,
    /// First come, first served, until somebody has been waiting all the time for `after`; from then
    /// on the newest first, whose caller is the most likely still to be there, until the room is
    /// empty. If the room is full then, the oldest gives way to the newcomer.
    ///
    /// `after` is more than 0 and a year at most; [`adaptive_lifo`](Self::adaptive_lifo) makes it
    /// 100 ms, as Facebook does (Maurer, *Fail at Scale*, 2015).
    AdaptiveLifo {
        /// How long there has to be a queue before it is turned round.
        after: Duration,
    },
    /// First come, first served, but once even those who waited the least waited for longer than
    /// `target` during an `interval`, there is a standing queue: then whoever waited for more than
    /// twice the `target` is dropped when its turn comes. So a burst may wait, and an overload may
    /// not.
    ///
    /// Both are more than 0 and a year at most; [`codel`](Self::codel) makes them 5 ms and 100 ms
    /// (RFC 8289). Dropping what waited twice too long, where RFC 8289 drops ever more often, is how
    /// servers do it (folly's `Codel`): a caller does not slow down as TCP does.
    CoDel {
        /// The wait that is all right to last.
        target: Duration,
        /// How long it must have been longer.
        interval: Duration,
    },
    /// The most critical first; of equals, first come, first served. If the room is full, the last
    /// to come of the least critical gives way to a newcomer who is more critical than it. Where
    /// nothing is [seen](crate::Look) in calls they are all equal.
    ///
    /// While more critical calls alone are too many, the least critical are never served: each waits
    /// for the room's longest wait and is refused then, or gives way before.
    Priority,
}

impl Discipline {
    /// [`AdaptiveLifo`](Self::AdaptiveLifo) after 100 ms.
    pub const fn adaptive_lifo() -> Self {
        Self::AdaptiveLifo {
            after: Duration::from_millis(100),
        }
    }

    /// [`CoDel`](Self::CoDel) with a target of 5 ms and an interval of 100 ms.
    pub const fn codel() -> Self {
        Self::CoDel {
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
        }
    }

    pub(super) fn checked(self) -> Result<Self, SettingError> {
        match self {
            Self::Fifo | Self::Priority => {}
            Self::AdaptiveLifo { after } => _ = check_duration("discipline.after", after)?,
            Self::CoDel { target, interval } => {
                check_duration("discipline.target", target)?;
                check_duration("discipline.interval", interval)?;
            }
        }
        Ok(self)
    }
}

/// A discipline, and what it remembers. It reads no clock: the latest time that anybody told it is
/// near enough, since under load somebody comes all the time.
#[derive(Debug)]
pub(super) struct Order {
    discipline: Discipline,
    /// Since when somebody has been waiting all the time.
    busy_since: Option<Instant>,
    latest: Option<Instant>,
    shortest: Shortest,
}

/// The shortest wait of an interval (`CoDel`).
#[derive(Debug, Default)]
struct Shortest {
    wait: Option<Duration>,
    ends: Option<Instant>,
    /// In the interval before, even the shortest was too long.
    overloaded: bool,
}

impl Order {
    pub(super) fn new(discipline: Discipline) -> Self {
        Self {
            discipline,
            busy_since: None,
            latest: None,
            shortest: Shortest::default(),
        }
    }

    pub(super) fn discipline(&self) -> Discipline {
        self.discipline
    }

    /// Goes by another discipline from now on. Since when somebody has been waiting stays known.
    pub(super) fn follow(&mut self, discipline: Discipline) {
        self.discipline = discipline;
        self.shortest = Shortest::default();
    }

    /// The queue in which somebody of that criticality's rank waits.
    pub(super) fn queue(&self, rank: usize) -> usize {
        match self.discipline {
            Discipline::Priority => rank,
            _ => 0,
        }
    }

    pub(super) fn saw(&mut self, now: Instant) {
        self.latest = self.latest.max(Some(now));
    }

    pub(super) fn joined(&mut self, now: Instant) {
        self.busy_since.get_or_insert(now);
    }

    /// Nobody waits any more.
    pub(super) fn emptied(&mut self) {
        self.busy_since = None;
        self.shortest.wait = Some(Duration::ZERO);
    }

    pub(super) fn newest_first(&self) -> bool {
        let Discipline::AdaptiveLifo { after } = self.discipline else {
            return false;
        };
        match (self.busy_since, self.latest) {
            (Some(since), Some(latest)) => latest.saturating_duration_since(since) >= after,
            _ => false,
        }
    }

    pub(super) fn gives_way_by_rank(&self) -> bool {
        self.discipline == Discipline::Priority
    }

    /// Whether it matters how long somebody waited.
    pub(super) fn judges_waits(&self) -> bool {
        matches!(self.discipline, Discipline::CoDel { .. })
    }

    /// The turn of somebody has come who may be the last in line: whether it waited too long.
    pub(super) fn waited_too_long(&mut self, wait: Duration, last: bool, now: Instant) -> bool {
        let Discipline::CoDel { target, interval } = self.discipline else {
            return false;
        };
        let shortest = &mut self.shortest;
        let ends = *shortest.ends.get_or_insert(now + interval);
        if now >= ends {
            shortest.overloaded = shortest.wait.is_some_and(|wait| wait > target);
            shortest.wait = None;
            shortest.ends = Some(now + interval);
        }
        // Behind the last there is no queue, however long it waited itself.
        let counts = if last { Duration::ZERO } else { wait };
        shortest.wait = Some(shortest.wait.map_or(counts, |known| known.min(counts)));
        shortest.overloaded && wait > 2 * target
    }
}
