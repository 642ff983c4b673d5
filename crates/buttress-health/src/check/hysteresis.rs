/// What is believed of a check.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It has not been asked often enough to tell.
    #[default]
    Unknown,
    Good,
    Bad,
}

/// Believes a check only when it has said the same so many times in a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hysteresis {
    standing: Standing,
    bad_after: u32,
    good_after: u32,
    /// The answers in a row that speak against the standing, and whether they passed.
    streak: u32,
    passing: bool,
}

impl Hysteresis {
    pub(crate) const fn new(bad_after: u32, good_after: u32) -> Self {
        Self {
            standing: Standing::Unknown,
            bad_after,
            good_after,
            streak: 0,
            passing: false,
        }
    }

    pub(crate) const fn standing(&self) -> Standing {
        self.standing
    }

    /// Takes an answer in, and says whether the standing changed.
    pub(crate) fn observe(&mut self, passed: bool) -> bool {
        if passed != self.passing {
            self.passing = passed;
            self.streak = 0;
        }
        self.streak = self.streak.saturating_add(1);
        let (believed, needed) = if passed {
            (Standing::Good, self.good_after)
        } else {
            (Standing::Bad, self.bad_after)
        };
        let turns = self.standing != believed && self.streak >= needed;
        if turns {
            self.standing = believed;
        }
        turns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The model looks at all the answers each time.
    fn model(answers: &[bool], bad_after: usize, good_after: usize) -> Standing {
        let mut standing = Standing::Unknown;
        for end in 1..=answers.len() {
            let last = |count: usize, passed: bool| {
                end >= count
                    && answers[end - count..end]
                        .iter()
                        .all(|&answer| answer == passed)
            };
            if last(bad_after, false) {
                standing = Standing::Bad;
            } else if last(good_after, true) {
                standing = Standing::Good;
            }
        }
        standing
    }

    proptest! {
        #[test]
        fn it_believes_what_was_said_so_many_times_in_a_row(
            answers in prop::collection::vec(any::<bool>(), 0..60),
            bad_after in 1_u32..6,
            good_after in 1_u32..6,
        ) {
            let mut hysteresis = Hysteresis::new(bad_after, good_after);
            for end in 0..answers.len() {
                let before = hysteresis.standing();
                let changed = hysteresis.observe(answers[end]);
                prop_assert_eq!(changed, before != hysteresis.standing());
                let expected = model(&answers[..=end], bad_after as usize, good_after as usize);
                prop_assert_eq!(hysteresis.standing(), expected);
            }
        }
    }
}
