//! Going on from where another limit is, whose settings may be others.

use super::{RateAlgorithm, RateLimiter};
use crate::now::Now;
use std::num::NonZeroU32;
use std::time::Duration;

impl<A: RateAlgorithm, W> RateLimiter<A, W> {
    /// Begins with what another one has given away and not got back yet, as far as its own limit goes:
    /// for a limit that changes while it is in use. Calls that wait for their turn in the other one
    /// come when it is. Where both let calls wait, this one gives nothing else away meanwhile, as far
    /// as its own limit would be exceeded. Returns whether there was anything.
    pub fn take_over<B: RateAlgorithm, V>(&self, before: &RateLimiter<B, V>, now: &Now) -> bool {
        let given = Given::by(before, now);
        let own = &self.settings.algorithm;
        let Some(at_once) = NonZeroU32::new(given.at_once.min(own.limit())) else {
            return false;
        };
        let at = self.settings.since_anchor(now);
        // If others were quicker, they have taken it.
        let _ = own.take(&self.state, at_once, at);
        if A::RESERVES {
            self.reserve(&given, at);
        }
        true
    }

    /// Takes in advance what the other one has promised to calls that wait, until the last of them has
    /// gone.
    fn reserve(&self, given: &Given, at: Duration) {
        let own = &self.settings.algorithm;
        let (mut left, mut wait) = (given.promised, Duration::ZERO);
        let mut at_a_time = own.limit();
        while let Some(cost) = NonZeroU32::new(at_a_time.min(left)) {
            match own.take(&self.state, cost, at + wait) {
                Ok(()) => left -= cost.get(),
                Err(more) if wait + more <= given.promised_until => wait += more,
                Err(_) => at_a_time = cost.get() / 2,
            }
        }
    }
}

/// What a limit has given away, and not got back yet.
struct Given {
    /// Within its limit.
    at_once: u32,
    /// Beyond, to calls that wait for it, the last of which goes after that time.
    promised: u32,
    promised_until: Duration,
}

impl Given {
    fn by<A: RateAlgorithm, W>(limiter: &RateLimiter<A, W>, now: &Now) -> Self {
        let algorithm = &limiter.settings.algorithm;
        let at = limiter.settings.since_anchor(now);
        let (left, whole_in) = algorithm.left(&limiter.state, at);
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
        assert_eq!(calls(&next, 100, &now), (2, 0));
        let back = gcra(10, 9, SECOND);
        back.take_over(&next, &now);
        assert_eq!(calls(&back, 100, &now).0, 2);
    }
}
