//! How long something has been wrong, and what that calls for. Time comes in as what passed.

use std::time::Duration;

/// What is done, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    Fine,
    Reported,
    NotAlive,
    Refusing,
    End,
}

/// When each is done, counted from the report.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps {
    pub(super) not_alive: Duration,
    pub(super) refuse: Duration,
    pub(super) end: Option<Duration>,
}

impl Steps {
    /// The step for something that was reported so long ago.
    pub(super) fn at(&self, since_report: Option<Duration>) -> Step {
        let Some(time) = since_report else {
            return Step::Fine;
        };
        if self.end.is_some_and(|end| time >= end) {
            Step::End
        } else if time >= self.refuse {
            Step::Refusing
        } else if time >= self.not_alive {
            Step::NotAlive
        } else {
            Step::Reported
        }
    }
}

/// How long something has not moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Silence {
    allowed: Duration,
    lasted: Duration,
    beats: u64,
}

impl Silence {
    /// From now on, with so many beats counted.
    pub(super) const fn new(allowed: Duration, beats: u64) -> Self {
        Self {
            allowed,
            lasted: Duration::ZERO,
            beats,
        }
    }

    /// Takes in how many beats there were after so much time more.
    pub(super) fn observe(&mut self, passed: Duration, beats: u64) {
        if beats == self.beats {
            self.lasted = self.lasted.saturating_add(passed);
        } else {
            self.beats = beats;
            self.lasted = Duration::ZERO;
        }
    }

    pub(super) const fn allowed(&self) -> Duration {
        self.allowed
    }

    pub(super) const fn lasted(&self) -> Duration {
        self.lasted
    }

    /// How long ago it became too long.
    pub(super) fn too_long_for(&self) -> Option<Duration> {
        self.lasted.checked_sub(self.allowed)
    }
}

/// How long a bound has been broken. It is kept again only below a lower one, so that a value at
/// the bound does not go in and out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Excess {
    limit: f64,
    broken_for: Option<Duration>,
}

impl Excess {
    pub(super) const fn new(limit: f64) -> Self {
        Self {
            limit,
            broken_for: None,
        }
    }

    pub(super) fn observe(&mut self, passed: Duration, value: f64) {
        self.broken_for = match self.broken_for {
            None if value > self.limit => Some(Duration::ZERO),
            Some(time) if value > self.limit * 0.95 => Some(time.saturating_add(passed)),
            _ => None,
        };
    }

    pub(super) const fn broken_for(&self) -> Option<Duration> {
        self.broken_for
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEPS: Steps = Steps {
        not_alive: Duration::from_secs(5),
        refuse: Duration::from_secs(10),
        end: Some(Duration::from_secs(60)),
    };

    #[test]
    fn the_steps_come_one_after_the_other() {
        for (seconds, step) in [
            (0, Step::Reported),
            (4, Step::Reported),
            (5, Step::NotAlive),
            (9, Step::NotAlive),
            (10, Step::Refusing),
            (59, Step::Refusing),
            (60, Step::End),
            (u64::MAX, Step::End),
        ] {
            assert_eq!(STEPS.at(Some(Duration::from_secs(seconds))), step);
        }
        assert_eq!(STEPS.at(None), Step::Fine);
        let patient = Steps { end: None, ..STEPS };
        assert_eq!(patient.at(Some(Duration::MAX)), Step::Refusing);
    }

    #[test]
    fn memory_at_its_limit_does_not_go_in_and_out() {
        let second = Duration::from_secs(1);
        let mut excess = Excess::new(1_000.0);
        let mut seen = Vec::new();
        for value in [1_000.0, 1_001.0, 1_000.0, 951.0, 950.0, 1_000.0, 1_001.0] {
            excess.observe(second, value);
            seen.push(excess.broken_for().map(|time| time.as_secs()));
        }
        assert_eq!(seen, [None, Some(0), Some(1), Some(2), None, None, Some(0)]);
    }

    proptest! {
        /// Load that is heavy but moves: however long each gap is below the limit.
        #[test]
        fn what_moves_in_time_is_never_taken_for_stuck(
            gaps in prop::collection::vec(0_u64..19, 1..200),
        ) {
            // Looked at four times within the limit of 5 s and a bit: 20 looks.
            let look = Duration::from_millis(250);
            let mut silence = Silence::new(Duration::from_secs(5), 0);
            let mut beats = 0;
            for gap in gaps {
                for _ in 0..gap {
                    silence.observe(look, beats);
                    prop_assert_eq!(silence.too_long_for(), None);
                }
                beats += 1;
                silence.observe(look, beats);
                prop_assert_eq!(silence.too_long_for(), None);
            }
        }

        #[test]
        fn what_stands_still_is_noticed_at_its_limit(
            allowed in 1_u64..100, looks in 1_u64..300, before in 0_u64..50,
        ) {
            let look = Duration::from_secs(1);
            let mut silence = Silence::new(Duration::from_secs(allowed), 0);
            for beats in 0..=before {
                silence.observe(look, beats + 1);
            }
            for _ in 0..looks {
                silence.observe(look, before + 1);
            }
            let expected = looks.checked_sub(allowed).map(Duration::from_secs);
            prop_assert_eq!(silence.too_long_for(), expected);
        }
    }
}
