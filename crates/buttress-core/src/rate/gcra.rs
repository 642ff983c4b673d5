use super::RateAlgorithm;
use super::inherit::{Exactly, Given};
use crate::setting::{LONGEST, SettingError, check_duration, check_range};
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The generic cell rate algorithm (ITU-T I.371), by the `governor` crate: calls come free one by
/// one, evenly, and as many as the burst may be saved up.
///
/// Unlike a window it has no edges at which twice the limit gets through, and one key costs 8
/// bytes.
#[derive(Clone, Debug)]
pub struct Gcra {
    quota: Quota,
    /// Nanoseconds in which one call comes free.
    interval: u64,
    burst: NonZeroU32,
}

impl Gcra {
    /// `calls` in each `period`, and at most `burst` of them at once. A period's worth of calls
    /// is the usual burst.
    ///
    /// The interval between calls is kept in whole nanoseconds, rounded down: a rate above ten
    /// million a second is inexact by more than a percent.
    ///
    /// # Errors
    ///
    /// `calls` or `burst` is 0; `period` is 0 or longer than a year; there would be more than one
    /// call in a nanosecond; or the burst would take longer than a year to come free.
    pub fn new(calls: u32, period: Duration, burst: u32) -> Result<Self, SettingError> {
        let calls = check_range("calls", calls, 1..=u32::MAX)?;
        let period = check_duration("period", period)?;
        let burst = NonZeroU32::new(burst)
            .ok_or_else(|| SettingError::new("burst", burst, "at least 1"))?;
        let interval = period / calls;
        let quota = Quota::with_period(interval).ok_or_else(|| {
            SettingError::new(
                "calls",
                calls,
                "at most one in each nanosecond of the period",
            )
        })?;
        if interval
            .checked_mul(burst.get())
            .is_none_or(|refill| refill > LONGEST)
        {
            let most = (LONGEST.as_nanos() / interval.as_nanos()).min(u128::from(u32::MAX));
            return Err(SettingError::new(
                "burst",
                burst,
                format!("at most {most}, which takes a year to come free"),
            ));
        }
        Ok(Self {
            quota: quota.allow_burst(burst),
            // Not more than a year, as was just checked.
            interval: interval.as_nanos() as u64,
            burst,
        })
    }

    fn refill(&self, calls: u32) -> u64 {
        // Not more than a year for a burst, and a `u64` holds 584.
        self.interval.saturating_mul(u64::from(calls))
    }
}

impl RateAlgorithm for Gcra {
    /// The "theoretical arrival time": when everything taken will have come free again.
    type State = AtomicU64;

    const RESERVES: bool = true;

    #[inline]
    fn take(&self, state: &AtomicU64, cost: NonZeroU32, at: Duration) -> Result<(), Duration> {
        let at = nanoseconds(at);
        let arrival = Arrival { state, at };
        let limiter: RateLimiter<_, _, _, NoOpMiddleware<Nanos>> =
            RateLimiter::new(self.quota, arrival, AtTheDecision);
        match limiter.check_n(cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(not_until)) => Err(not_until.wait_time_from(Nanos::new(0))),
            // More than a burst: the limiter asks first, so that nobody waits for it.
            Err(_) => Err(LONGEST),
        }
    }

    fn give_back(&self, state: &AtomicU64, cost: NonZeroU32) {
        let earlier = |arrival: u64| Some(arrival.saturating_sub(self.refill(cost.get())));
        // The closure never declines, so neither does the update.
        let _ = state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earlier);
    }

    fn left(&self, state: &AtomicU64, at: Duration) -> (u32, Duration) {
        let debt = state
            .load(Ordering::Relaxed)
            .saturating_sub(nanoseconds(at));
        let free = self.refill(self.burst.get()).saturating_sub(debt) / self.interval;
        // At most the burst, which is a `u32`.
        (free as u32, Duration::from_nanos(debt))
    }

    fn is_whole(&self, state: &AtomicU64, at: Duration) -> bool {
        state.load(Ordering::Relaxed) <= nanoseconds(at)
    }

    fn limit(&self) -> u32 {
        self.burst.get()
    }

    fn window(&self) -> Duration {
        Duration::from_nanos(self.refill(self.burst.get()))
    }

    fn given(&self, state: &AtomicU64, at: Duration) -> Given {
        let arrival = state.load(Ordering::Relaxed);
        let exactly = Exactly::Debt {
            debt: arrival.saturating_sub(nanoseconds(at)),
            interval: self.interval,
            burst: self.burst.get(),
        };
        Given::by(self, state, at).exactly(exactly)
    }

    /// A debt stays a debt. Where the calls come free more slowly or quickly now, so does what of the
    /// next one has come free already.
    fn begin_with(&self, state: &AtomicU64, given: &Given, at: Duration) -> bool {
        let Exactly::Debt {
            debt,
            interval,
            burst,
        } = given.exactly
        else {
            return given.take_from(self, state, at);
        };
        let is_alike = (interval, burst) == (self.interval, self.burst.get());
        let own = if is_alike {
            debt
        } else {
            let at_once = debt.min(interval.saturating_mul(u64::from(burst)));
            let own = u128::from(at_once) * u128::from(self.interval);
            let own = own.div_ceil(u128::from(interval.max(1)));
            let most = self.refill(self.burst.get());
            u64::try_from(own).unwrap_or(most).min(most)
        };
        state.fetch_max(nanoseconds(at).saturating_add(own), Ordering::Relaxed);
        if !is_alike {
            given.take_promised_from(self, state, at);
        }
        debt > 0
    }
}

/// One key's state at the instant of one decision, as `governor` wants to see it.
///
/// `governor` asks its clock twice and counts from the first answer. Here the decision's instant
/// is known already, so it is the zero from which everything is counted.
struct Arrival<'a> {
    state: &'a AtomicU64,
    at: u64,
}

impl StateStore for Arrival<'_> {
    type Key = NotKeyed;

    #[inline]
    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut known = self.state.load(Ordering::Relaxed);
        loop {
            let (answer, next) = decide(Some(Nanos::new(known.saturating_sub(self.at))))?;
            match self.state.compare_exchange_weak(
                known,
                self.at.saturating_add(next.as_u64()),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(answer),
                Err(actual) => known = actual,
            }
        }
    }
}

struct AtTheDecision;

impl Clock for AtTheDecision {
    type Instant = Nanos;

    #[inline]
    fn now(&self) -> Nanos {
        Nanos::new(0)
    }
}

/// Enough for 584 years.
#[inline]
fn nanoseconds(at: Duration) -> u64 {
    at.as_secs()
        .saturating_mul(1_000_000_000)
        .saturating_add(u64::from(at.subsec_nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ONE: NonZeroU32 = NonZeroU32::MIN;

    fn gcra(calls: u32, period: Duration, burst: u32) -> (Gcra, AtomicU64) {
        (Gcra::new(calls, period, burst).unwrap(), AtomicU64::new(0))
    }

    #[test]
    fn a_burst_passes_and_then_one_call_in_each_interval() {
        let (gcra, state) = gcra(10, Duration::from_secs(1), 3);
        let at = Duration::from_secs(5);
        for left in [2, 1, 0] {
            assert_eq!(gcra.take(&state, ONE, at), Ok(()));
            assert_eq!(gcra.left(&state, at).0, left);
        }
        let wait = gcra.take(&state, ONE, at).unwrap_err();
        assert_eq!(wait, Duration::from_millis(100));
        let nanosecond = Duration::from_nanos(1);
        let early = at + wait.saturating_sub(nanosecond);
        assert_eq!(gcra.take(&state, ONE, early), Err(nanosecond));
        assert_eq!(gcra.take(&state, ONE, at + wait), Ok(()));
    }

    #[test]
    fn a_call_can_weigh_more() {
        let (gcra, state) = gcra(1, Duration::from_secs(1), 5);
        let four = NonZeroU32::new(4).unwrap();
        assert_eq!(gcra.take(&state, four, Duration::ZERO), Ok(()));
        let wait = gcra.take(&state, four, Duration::ZERO);
        assert_eq!(wait, Err(Duration::from_secs(3)));
        gcra.give_back(&state, four);
        assert_eq!(gcra.take(&state, four, Duration::ZERO), Ok(()));
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let second = Duration::from_secs(1);
        let field = |result: Result<Gcra, SettingError>| result.unwrap_err().field();
        assert_eq!(field(Gcra::new(0, second, 1)), "calls");
        assert_eq!(field(Gcra::new(2, Duration::from_nanos(1), 1)), "calls");
        assert_eq!(field(Gcra::new(1, Duration::ZERO, 1)), "period");
        assert_eq!(field(Gcra::new(1, Duration::MAX, 1)), "period");
        assert_eq!(field(Gcra::new(1, second, 0)), "burst");
        assert_eq!(field(Gcra::new(1, second, u32::MAX)), "burst");
    }

    proptest! {
        /// The model: a bucket of `burst` tokens, counted in nanoseconds, that fills evenly.
        #[test]
        fn it_agrees_with_a_bucket_of_tokens(
            calls in 1_u32..1_000,
            burst in 1_u32..50,
            steps in prop::collection::vec((0_u64..50_000_000, 1_u32..4, any::<bool>()), 1..200),
        ) {
            let (gcra, state) = gcra(calls, Duration::from_secs(1), burst);
            let interval = u128::from(1_000_000_000 / calls);
            let full = interval * u128::from(burst);
            let (mut bucket, mut at) = (full, 0);
            for (pause, cost, give_back) in steps {
                at += pause;
                bucket = full.min(bucket + u128::from(pause));
                let price = interval * u128::from(cost);
                let cost = NonZeroU32::new(cost).unwrap();
                if cost.get() > burst {
                    continue;
                }
                let answer = gcra.take(&state, cost, Duration::from_nanos(at));
                if price <= bucket {
                    prop_assert_eq!(answer, Ok(()));
                    bucket -= price;
                    if give_back {
                        gcra.give_back(&state, cost);
                        bucket += price;
                    }
                } else {
                    let wait = Duration::from_nanos((price - bucket) as u64);
                    prop_assert_eq!(answer, Err(wait));
                }
                let left = gcra.left(&state, Duration::from_nanos(at));
                prop_assert_eq!(u128::from(left.0), bucket / interval);
            }
        }
    }
}
