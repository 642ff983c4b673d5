use buttress_core::rate::RateAlgorithm;
use buttress_core::{Gcra, SettingError, SlidingWindow};
use std::time::Duration;

/// How a limit counts, in numbers that each engine understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// One comes free in each interval, and `burst` of them may be saved up (GCRA).
    Even {
        /// Whole nanoseconds, at least one. All of the burst takes a year at most.
        interval: Duration,
        /// At least one.
        burst: u32,
    },
    /// So many in any window, estimated from the counts of two fixed ones.
    Window {
        /// At least a millisecond, a year at most.
        length: Duration,
        /// At least one.
        limit: u32,
    },
}

impl Rule {
    /// The most that can be taken at once.
    pub const fn limit(&self) -> u32 {
        match *self {
            Self::Even { burst, .. } => burst,
            Self::Window { limit, .. } => limit,
        }
    }

    /// The time in which the limit is whole again after it was used up.
    pub const fn period(&self) -> Duration {
        match *self {
            Self::Even { interval, burst } => interval.saturating_mul(burst),
            Self::Window { length, .. } => length,
        }
    }

    /// One instance's part of it, if `instances` share it evenly: never less than `least`, which
    /// one call takes.
    pub(crate) fn share(&self, instances: u32, least: u32) -> Self {
        let instances = instances.max(1);
        let part = |whole: u32| (whole / instances).max(least).min(whole).max(1);
        match *self {
            Self::Even { interval, burst } => Self::Even {
                interval: interval.saturating_mul(instances),
                burst: part(burst),
            },
            Self::Window { length, limit } => Self::Window {
                length,
                limit: part(limit),
            },
        }
    }
}

/// An algorithm of [`RateLimit`](buttress::RateLimit) that a fleet can count by: GCRA, and the
/// sliding window.
pub trait Countable: RateAlgorithm + sealed::Sealed {
    /// The rule with the same settings.
    ///
    /// # Errors
    ///
    /// A window is shorter than a millisecond: the clocks and networks between instances are no
    /// better than that.
    fn rule(&self) -> Result<Rule, SettingError>;
}

impl Countable for Gcra {
    fn rule(&self) -> Result<Rule, SettingError> {
        let burst = self.limit();
        // It was made by multiplying, so this is exact.
        let interval = self.window() / burst.max(1);
        Ok(Rule::Even { interval, burst })
    }
}

impl Countable for SlidingWindow {
    fn rule(&self) -> Result<Rule, SettingError> {
        let length = self.window();
        if length < SHORTEST_WINDOW {
            return Err(SettingError::new(
                "period",
                format_args!("{length:?}"),
                "at least 1 ms for a window that a fleet shares",
            ));
        }
        Ok(Rule::Window {
            length,
            limit: self.limit(),
        })
    }
}

const SHORTEST_WINDOW: Duration = Duration::from_millis(1);

mod sealed {
    pub trait Sealed {}
    impl Sealed for buttress_core::Gcra {}
    impl Sealed for buttress_core::SlidingWindow {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_slower_and_smaller_and_never_too_small_for_a_call() {
        let gcra = Gcra::new(10, Duration::from_secs(1), 8).unwrap();
        let rule = gcra.rule().unwrap();
        let interval = Duration::from_millis(400);
        assert_eq!(rule.share(4, 1), Rule::Even { interval, burst: 2 });
        assert_eq!(rule.share(4, 5), Rule::Even { interval, burst: 5 });
        assert_eq!(rule.share(0, 1), rule);
        assert_eq!(rule.share(u32::MAX, 1).limit(), 1);
    }

    #[test]
    fn a_window_that_is_too_short_is_refused_by_name() {
        let window = SlidingWindow::new(1, Duration::from_micros(1)).unwrap();
        assert_eq!(window.rule().unwrap_err().field(), "period");
    }
}
