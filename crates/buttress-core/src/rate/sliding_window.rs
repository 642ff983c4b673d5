use super::RateAlgorithm;
use super::inherit::{Exactly, Given};
use crate::setting::{SettingError, check_duration, check_range};
use crate::sync::Mutex;
use std::num::NonZeroU32;
use std::time::Duration;

/// A sliding window, estimated from two fixed ones (Cloudflare, "How we built rate limiting
/// capable of scaling to millions of domains", 2017).
///
/// The previous window counts in proportion to how much of it the sliding window still covers:
/// `previous × (1 − elapsed ÷ window) + current`. With 42 calls in the previous minute and 18 in
/// this one, 15 s into it, that is 49.5. The estimate assumes that the previous window's calls
/// came evenly. It is exact arithmetic on integers, and 24 bytes a key whatever the limit.
#[derive(Clone, Debug)]
pub struct SlidingWindow {
    limit: u32,
    window: Duration,
    /// The same in nanoseconds.
    length: u64,
}

impl SlidingWindow {
    /// At most `calls` in any `window`, as estimated.
    ///
    /// # Errors
    ///
    /// `calls` is 0, or `window` is 0 or longer than a year.
    pub fn new(calls: u32, window: Duration) -> Result<Self, SettingError> {
        let window = check_duration("period", window)?;
        Ok(Self {
            limit: check_range("calls", calls, 1..=u32::MAX)?,
            window,
            // Not more than a year, as was just checked.
            length: window.as_nanos() as u64,
        })
    }
}

impl RateAlgorithm for SlidingWindow {
    type State = WindowCounts;

    /// A place in a window to come would need a counter for that window.
    const RESERVES: bool = false;

    fn take(&self, state: &WindowCounts, cost: NonZeroU32, at: Duration) -> Result<(), Duration> {
        let (index, elapsed) = self.position(at);
        let mut counts = state.0.lock();
        counts.move_to(index);
        let wait = self.wait(&counts, u64::from(cost.get()), elapsed);
        if wait.is_zero() {
            counts.current = counts.current.saturating_add(cost.get());
            Ok(())
        } else {
            Err(wait)
        }
    }

    fn give_back(&self, state: &WindowCounts, cost: NonZeroU32) {
        let mut counts = state.0.lock();
        // Taken in this window, or just before it began.
        let from_current = counts.current.min(cost.get());
        counts.current -= from_current;
        counts.previous = counts.previous.saturating_sub(cost.get() - from_current);
    }

    fn left(&self, state: &WindowCounts, at: Duration) -> (u32, Duration) {
        let (index, elapsed) = self.position(at);
        let mut counts = state.0.lock();
        counts.move_to(index);
        let free = self.capacity().saturating_sub(self.used(&counts, elapsed));
        let whole = match (counts.previous, counts.current) {
            (0, 0) => 0,
            (_, 0) => self.length - elapsed,
            _ => 2 * self.length - elapsed,
        };
        // At most the limit, which is a `u32`.
        let free = (free / u128::from(self.length)) as u32;
        (free, Duration::from_nanos(whole))
    }

    fn limit(&self) -> u32 {
        self.limit
    }

    fn window(&self) -> Duration {
        self.window
    }

    fn given(&self, state: &WindowCounts, at: Duration) -> Given {
        let given = Given::by(self, state, at);
        let counts = state.0.lock();
        let exactly = Exactly::Counts {
            index: counts.index,
            previous: counts.previous,
            current: counts.current,
            length: self.length,
        };
        given.exactly(exactly)
    }

    /// A window of the same length goes on with the counts, and begins when the other one did. Of those
    /// of another length nobody knows when within theirs the calls came.
    fn begin_with(&self, state: &WindowCounts, given: &Given, at: Duration) -> bool {
        match given.exactly {
            Exactly::Counts {
                index,
                previous,
                current,
                length,
            } if length == self.length && given.times_are_alike => {
                let mut counts = state.0.lock();
                counts.move_to(index);
                if counts.index == index {
                    counts.previous = counts.previous.max(previous.min(self.limit));
                    counts.current = counts.current.max(current.min(self.limit));
                }
                previous > 0 || current > 0
            }
            _ => given.take_from(self, state, at),
        }
    }
}

/// The counts of two neighbouring windows.
#[derive(Debug)]
pub struct WindowCounts(Mutex<Counts>);

impl Default for WindowCounts {
    fn default() -> Self {
        Self(Mutex::new(Counts::default()))
    }
}

#[derive(Debug, Default)]
struct Counts {
    /// The number of the current window, from the limiter's fixed point on.
    index: u64,
    previous: u32,
    current: u32,
}

impl Counts {
    fn move_to(&mut self, index: u64) {
        // A decision that read the clock before the previous one did belongs to the same window:
        // counts never move back.
        if index > self.index {
            self.previous = if index == self.index + 1 {
                self.current
            } else {
                0
            };
            self.current = 0;
            self.index = index;
        }
    }
}

impl SlidingWindow {
    /// The number of the window, and the nanoseconds since it began.
    fn position(&self, at: Duration) -> (u64, u64) {
        let length = u128::from(self.length);
        let at = at.as_nanos();
        // A clock that runs for 584 years ends the first; the second is less than a `u64`.
        ((at / length) as u64, (at % length) as u64)
    }

    /// What is used, in calls times nanoseconds, so that nothing is rounded.
    fn used(&self, counts: &Counts, elapsed: u64) -> u128 {
        u128::from(counts.previous) * u128::from(self.length - elapsed)
            + u128::from(counts.current) * u128::from(self.length)
    }

    fn capacity(&self) -> u128 {
        u128::from(self.limit) * u128::from(self.length)
    }

    /// How long until `cost` more fits.
    fn wait(&self, counts: &Counts, cost: u64, elapsed: u64) -> Duration {
        let current = u64::from(counts.current) + cost;
        let limit = u64::from(self.limit);
        let nanoseconds = if current <= limit {
            // It fits into this window as soon as enough of the previous one has slid out.
            self.fits_at(counts.previous, limit - current)
                .saturating_sub(elapsed)
        } else {
            // It fits into the next one, when this one is the previous.
            let rest = self.length - elapsed;
            rest + self.fits_at(counts.current, limit.saturating_sub(cost))
        };
        Duration::from_nanos(nanoseconds)
    }

    /// How far into a window a previous count weighs no more than `room`.
    fn fits_at(&self, previous: u32, room: u64) -> u64 {
        if u64::from(previous) <= room {
            return 0;
        }
        let covered = u128::from(room) * u128::from(self.length) / u128::from(previous);
        // `room` is less than `previous`, so what is covered is less than the window.
        self.length - covered as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn one() -> NonZeroU32 {
        NonZeroU32::MIN
    }

    fn take(window: &SlidingWindow, state: &WindowCounts, times: u32, at: Duration) {
        for _ in 0..times {
            window.take(state, one(), at).unwrap();
        }
    }

    #[test]
    fn the_textbook_example_is_49_and_a_half() {
        let window = SlidingWindow::new(50, MINUTE).unwrap();
        let state = WindowCounts::default();
        take(&window, &state, 42, Duration::from_secs(30));
        take(&window, &state, 7, Duration::from_secs(61));
        take(&window, &state, 11, Duration::from_secs(75));
        let counts = state.0.lock();
        let used = window.used(&counts, 15_000_000_000) * 10 / u128::from(window.length);
        assert_eq!((counts.previous, counts.current, used), (42, 18, 495));
    }

    #[test]
    fn the_wait_ends_exactly_when_the_call_would_pass() {
        let window = SlidingWindow::new(50, MINUTE).unwrap();
        let state = WindowCounts::default();
        take(&window, &state, 42, Duration::from_secs(30));
        take(&window, &state, 18, Duration::from_secs(75));
        let at = Duration::from_secs(75);
        // 49.5 and one more are 50.5: half a call too many, and 42 of them slide out in a minute.
        let wait = window.take(&state, one(), at).unwrap_err();
        let nanosecond = Duration::from_nanos(1);
        assert!(
            window
                .take(&state, one(), (at + wait).saturating_sub(nanosecond))
                .is_err()
        );
        assert!(window.take(&state, one(), at + wait).is_ok());
        assert!(wait > Duration::from_millis(714) && wait < Duration::from_millis(715));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let window = SlidingWindow::new(2, MINUTE).unwrap();
        let state = WindowCounts::default();
        take(&window, &state, 2, Duration::ZERO);
        window.give_back(&state, one());
        take(&window, &state, 1, Duration::ZERO);
        assert!(window.take(&state, one(), Duration::ZERO).is_err());
    }

    proptest! {
        #[test]
        fn it_admits_exactly_what_the_formula_allows_and_its_waits_are_exact(
            limit in 1_u32..20,
            steps in prop::collection::vec((0_u64..700, 1_u32..4), 1..200),
        ) {
            // A window of 1000 ns makes every number small enough for plain fractions.
            let window = SlidingWindow::new(limit, Duration::from_nanos(1_000)).unwrap();
            let state = WindowCounts::default();
            let (mut taken, mut at) = (Vec::new(), 0_u64);
            for (pause, cost) in steps {
                at += pause;
                if cost > limit {
                    continue;
                }
                let sum = |index: u64| -> u64 {
                    taken.iter().filter(|(t, _)| t / 1_000 == index).map(|(_, c)| u64::from(*c)).sum()
                };
                let index = at / 1_000;
                let previous = index.checked_sub(1).map_or(0, sum);
                let estimate = previous * (1_000 - at % 1_000) + sum(index) * 1_000;
                let fits = estimate + u64::from(cost) * 1_000 <= u64::from(limit) * 1_000;
                let price = NonZeroU32::new(cost).unwrap();
                match window.take(&state, price, Duration::from_nanos(at)) {
                    Ok(()) => {
                        prop_assert!(fits);
                        taken.push((at, cost));
                    }
                    Err(wait) => {
                        prop_assert!(!fits);
                        let later = Duration::from_nanos(at) + wait;
                        let early = later.saturating_sub(Duration::from_nanos(1));
                        prop_assert!(window.take(&state, price, early).is_err());
                        prop_assert!(window.take(&state, price, later).is_ok());
                        window.give_back(&state, price);
                        at = later.as_nanos() as u64;
                    }
                }
            }
        }
    }
}
