//! Going on from where another limit is, whose settings may be others.

use super::{RateAlgorithm, RateLimiter};
use crate::now::Now;
use std::num::NonZeroU32;
use std::time::Duration;

impl<A: RateAlgorithm, W> RateLimiter<A, W> {
    /// Begins with what another one has given away and not got back yet, as far as its own limit goes:
    /// for a limit that changes while it is in use. Where both count in the same way, that comes free
    /// when it would have. Calls that wait for their turn in the other one come when it is. This one
    /// gives nothing else away meanwhile, as far as its own limit would be exceeded; a window counts
    /// them in advance. Returns whether there was anything.
    ///
    /// It is for one that has yet to be called.
    pub fn take_over<B: RateAlgorithm, V>(&self, before: &RateLimiter<B, V>, now: &Now) -> bool {
        let Some(anchor) = before.settings.anchor.get() else {
            return false;
        };
        // So that windows begin when they would have.
        let own_anchor = self.settings.anchor.get_or_init(|| *anchor);
        let at = before.settings.since_anchor(now);
        let mut given = before.settings.algorithm.given(&before.state, at);
        given.times_are_alike = own_anchor == anchor;
        let at = self.settings.since_anchor(now);
        let own = &self.settings.algorithm;
        own.begin_with(&self.state, &given, at)
    }
}

/// What a limit has given away, and not got back yet: for another one in its place.
#[derive(Clone, Debug)]
pub struct Given {
    /// Within its limit.
    at_once: u32,
    /// Beyond, to calls that wait for it, the last of which goes after that time.
    promised: u32,
    promised_until: Duration,
    pub(super) exactly: Exactly,
    /// Whether both count time from the same point.
    pub(super) times_are_alike: bool,
}

/// The same in the words of an algorithm, times in nanoseconds.
#[derive(Clone, Debug)]
pub(super) enum Exactly {
    /// All has come free after `debt`, and one call in each `interval`.
    Debt {
        debt: u64,
        interval: u64,
        burst: u32,
    },
    /// The counts of two windows of that `length`, the current one of which has the number `index`.
    Counts {
        index: u64,
        previous: u32,
        current: u32,
        length: u64,
    },
    Unknown,
}

impl Given {
    /// As far as [`RateAlgorithm::left`] tells.
    pub(super) fn by<A: RateAlgorithm + ?Sized>(
        algorithm: &A,
        state: &A::State,
        at: Duration,
    ) -> Self {
        let (left, whole_in) = algorithm.left(state, at);
        let window = algorithm.window();
        let promised_until = if A::RESERVES {
            whole_in.saturating_sub(window)
        } else {
            Duration::ZERO
        };
        let promised = promised_until.as_nanos() * u128::from(algorithm.limit());
        let promised = promised.div_ceil(window.as_nanos().max(1));
        Self {
            at_once: algorithm.limit().saturating_sub(left),
            promised: u32::try_from(promised).unwrap_or(u32::MAX),
            promised_until,
            exactly: Exactly::Unknown,
            times_are_alike: false,
        }
    }

    pub(super) fn exactly(self, exactly: Exactly) -> Self {
        Self { exactly, ..self }
    }

    /// Takes the same of another one.
    pub(super) fn take_from<A: RateAlgorithm + ?Sized>(
        &self,
        algorithm: &A,
        state: &A::State,
        at: Duration,
    ) -> bool {
        let Some(at_once) = NonZeroU32::new(self.at_once.min(algorithm.limit())) else {
            return false;
        };
        // If others were quicker, they have taken it.
        let _ = algorithm.take(state, at_once, at);
        self.take_promised_from(algorithm, state, at);
        true
    }

    /// Takes in advance what was promised to calls that wait, until the last of them has gone.
    pub(super) fn take_promised_from<A: RateAlgorithm + ?Sized>(
        &self,
        algorithm: &A,
        state: &A::State,
        at: Duration,
    ) {
        if !A::RESERVES {
            // There is no other time to count them in.
            let (left, _) = algorithm.left(state, at);
            if let Some(promised) = NonZeroU32::new(self.promised.min(left)) {
                let _ = algorithm.take(state, promised, at);
            }
            return;
        }
        let (mut left, mut wait) = (self.promised, Duration::ZERO);
        let mut at_a_time = algorithm.limit();
        while let Some(cost) = NonZeroU32::new(at_a_time.min(left)) {
            match algorithm.take(state, cost, at + wait) {
                Ok(()) => left -= cost.get(),
                Err(more) if wait + more <= self.promised_until => wait += more,
                Err(_) => at_a_time = cost.get() / 2,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Admission, Policy};
    use crate::rate::{Gcra, SlidingWindow};
    use std::time::Instant;

    const SECOND: Duration = Duration::from_secs(1);

    fn gcra(calls: u32, burst: u32, longest_wait: Duration) -> RateLimiter {
        let limiter = RateLimiter::new(Gcra::new(calls, SECOND, burst).unwrap());
        limiter.wait_at_most(longest_wait).unwrap()
    }

    /// How many calls go at once, and how many wait, of so many.
    fn calls<A: RateAlgorithm>(limiter: &RateLimiter<A>, many: u32, now: &Now) -> (u32, u32) {
        let (mut at_once, mut waiting) = (0, 0);
        for _ in 0..many {
            match limiter.admit(&(), now) {
                Admission::Admitted(_) => at_once += 1,
                Admission::Wait(_) => waiting += 1,
                Admission::Refused(_) => {}
            }
        }
        (at_once, waiting)
    }

    fn times() -> (Now, impl Fn(Duration) -> Now) {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let start = Instant::now();
        (Now::at(start), move |after| Now::at(start + after))
    }

    #[test]
    fn while_calls_go_that_waited_before_no_others_do_beyond_the_limit() {
        let (now, after) = times();
        // The same rate, a higher one, another burst.
        for (rate, burst) in [(10, 2), (20, 2), (10, 5), (10, 1)] {
            let before = gcra(10, 2, SECOND);
            assert_eq!(calls(&before, 100, &now), (2, 10));
            let next = gcra(rate, burst, 9 * SECOND);
            assert!(next.take_over(&before, &now));
            let (mut went, mut at_the_end) = (2 + 10, 0);
            for step in 0..=20 {
                let now = after(step * SECOND / 10);
                while next.left(&now).0 > 0 {
                    went += calls(&next, 1, &now).0;
                    at_the_end = step;
                }
            }
            // In two seconds.
            assert!(went <= 2 * rate + burst.max(2), "{rate} {burst}: {went}");
            assert_eq!(at_the_end, 20, "{rate} {burst}: it goes on afterwards");
        }
    }

    #[test]
    fn a_slower_limit_goes_on_when_the_last_that_waited_has_gone() {
        let (now, after) = times();
        let before = gcra(100, 1, SECOND);
        assert_eq!(calls(&before, 1_000, &now), (1, 100));
        let next = gcra(1, 1, SECOND);
        next.take_over(&before, &now);
        assert_eq!(next.left(&after(SECOND)).0, 0);
        assert_eq!(next.left(&after(3 * SECOND)).0, 1);
    }

    #[test]
    fn a_window_takes_what_it_has_room_for() {
        let (now, _) = times();
        let before = gcra(10, 5, SECOND);
        assert_eq!(calls(&before, 100, &now), (5, 10));
        let next = RateLimiter::new(SlidingWindow::new(7, SECOND).unwrap());
        next.take_over(&before, &now);
        assert_eq!(calls(&next, 100, &now), (0, 0), "those that wait, too");
        let back = gcra(10, 9, SECOND);
        back.take_over(&next, &now);
        assert_eq!(calls(&back, 100, &now).0, 2);
    }

    #[test]
    fn what_counts_in_the_same_way_comes_free_when_it_would_have() {
        let (now, after) = times();
        let before = gcra(1, 1, SECOND);
        assert_eq!(calls(&before, 100, &now), (1, 1));
        let next = gcra(1, 1, 5 * SECOND).named("other").unwrap();
        next.take_over(&before, &after(SECOND / 2));
        assert_eq!(next.left(&after(SECOND * 199 / 100)).0, 0);
        assert_eq!(next.left(&after(2 * SECOND)).0, 1);

        let window = |calls| RateLimiter::new(SlidingWindow::new(calls, SECOND).unwrap());
        let before = window(4);
        assert_eq!(calls(&before, 100, &now), (4, 0));
        assert_eq!(calls(&before, 1, &after(SECOND * 5 / 4)), (1, 0));
        // One is taken over as far as its own limit goes.
        let (next, smaller) = (window(4).named("other").unwrap(), window(2));
        next.take_over(&before, &after(SECOND * 5 / 4));
        smaller.take_over(&before, &after(SECOND * 5 / 4));
        assert_eq!(smaller.left(&after(SECOND * 3 / 2)).0, 0);
        assert_eq!(smaller.left(&after(3 * SECOND)).0, 2);
        for step in 5..=12 {
            let now = after(SECOND * step / 4);
            assert_eq!(next.left(&now), before.left(&now), "{step}");
        }
    }

    #[test]
    fn with_another_rate_a_debt_that_is_nearly_paid_stays_so() {
        let (now, after) = times();
        let before = gcra(1, 1, SECOND);
        assert_eq!(calls(&before, 1, &now), (1, 0));
        let next = RateLimiter::new(Gcra::new(1, 10 * SECOND, 1).unwrap());
        next.take_over(&before, &after(SECOND * 9 / 10));
        assert_eq!(next.left(&after(SECOND * 18 / 10)).0, 0);
        assert_eq!(next.left(&after(SECOND * 19 / 10)).0, 1);
    }
}
