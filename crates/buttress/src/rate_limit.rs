use crate::clock;
use crate::guard::policy_layer;
use crate::keyed::{Keyed, KeyedBuilder};
use buttress_core::rate::{CostBy, FixedCost, RateAlgorithm};
use buttress_core::setting::check_range;
use buttress_core::{Gcra, Now, RateLimiter, SettingError, SlidingWindow};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// So many calls in so much time.
///
/// A rate limit is a promise about fairness: no client takes more than its share, whatever it
/// sends. It is counted by the generic cell rate algorithm: calls come free one by one at an even
/// rate, and a burst of them may be saved up. [`sliding_window`](RateLimitBuilder::sliding_window)
/// counts by a window instead.
///
/// Excess is refused with the exact time until the call would pass (429 with `Retry-After`, gRPC
/// `RESOURCE_EXHAUSTED`), or with [`wait_at_most`](RateLimitBuilder::wait_at_most) it is delayed.
/// It is a handle: clones share what is counted.
///
/// # How it fails when misused
///
/// A limit that all clients share lets the loudest one starve the others: use
/// [`by`](RateLimitBuilder::by). A limit says nothing about how much the service can bear, which
/// changes from minute to minute: it doesn't replace a [`Bulkhead`](crate::Bulkhead). And
/// `per_second(5)` allows five calls at once by default; if they should be spread out, say
/// `burst(1)`.
///
/// ```
/// use buttress::{RateLimit, by_fn};
/// use std::time::Duration;
///
/// struct Job { tenant: u64, rows: u32 }
///
/// let limit = RateLimit::per_second(100)
///     .burst(20)
///     .cost_by(|job: &Job| job.rows.div_ceil(1_000))
///     .wait_at_most(Duration::from_millis(200))
///     .by(by_fn(|job: &Job| Ok(job.tenant)))
///     .build()?;
/// # let _ = limit;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub struct RateLimit<A: RateAlgorithm = Gcra, W = FixedCost> {
    limiter: Arc<RateLimiter<A, W>>,
}

impl RateLimit {
    /// `calls` in each second, from 1 to 1 000 000 000.
    pub fn per_second(calls: u32) -> RateLimitBuilder {
        Self::per(calls, Duration::from_secs(1))
    }

    /// `calls` in each minute, from 1 to 2³² − 1.
    pub fn per_minute(calls: u32) -> RateLimitBuilder {
        Self::per(calls, Duration::from_secs(60))
    }

    /// `calls` in each hour, from 1 to 2³² − 1.
    pub fn per_hour(calls: u32) -> RateLimitBuilder {
        Self::per(calls, Duration::from_secs(60 * 60))
    }

    /// `calls` in each day, from 1 to 2³² − 1.
    pub fn per_day(calls: u32) -> RateLimitBuilder {
        Self::per(calls, Duration::from_secs(24 * 60 * 60))
    }

    /// `calls` (1 to 2³² − 1) in each `period` (up to a year), and no more than one in a
    /// nanosecond.
    pub fn per(calls: u32, period: Duration) -> RateLimitBuilder {
        RateLimitBuilder {
            calls,
            period,
            burst: None,
            fixed_cost: 1,
            cost: FixedCost::ONE,
            longest_wait: None,
            name: "rate-limit",
            announced: false,
            algorithm: PhantomData,
        }
    }
}

impl<A: RateAlgorithm, W> RateLimit<A, W> {
    /// What is left now. Looking takes nothing.
    pub fn snapshot(&self) -> RateLimitSnapshot {
        let (left, whole_in) = self.limiter.left(&Now::at(clock::now()));
        let algorithm = self.limiter.algorithm();
        RateLimitSnapshot {
            limit: algorithm.limit(),
            window: algorithm.window(),
            left,
            whole_in,
        }
    }

    /// Begins with what another one has given away and not got back yet, as far as its own limit goes:
    /// for a limit that changes while it is in use, which would begin with a full burst otherwise.
    pub fn take_over<B: RateAlgorithm, V>(&self, before: &RateLimit<B, V>) {
        let now = Now::lazy(clock::now);
        self.limiter.take_over(&before.limiter, &now);
    }
}

impl<K, A: RateAlgorithm, W> Keyed<K, RateLimiter<A, W>> {
    /// Begins with what another one has given away to each key and not got back yet, as far as the
    /// limit goes.
    ///
    /// It is for one that takes the other one's place and has yet to be called, and whose keys are the
    /// same as the other one's.
    pub fn take_over<B: RateAlgorithm, V>(&self, before: &Keyed<K, RateLimiter<B, V>>) {
        let now = Now::lazy(clock::now);
        let template = self.for_a_new_key();
        self.carry_over(before, |limiter| {
            let next = template.fresh();
            next.take_over(limiter, &now).then_some(next)
        });
    }
}

impl<A: RateAlgorithm, W> Clone for RateLimit<A, W> {
    fn clone(&self) -> Self {
        Self {
            limiter: Arc::clone(&self.limiter),
        }
    }
}

impl<A: RateAlgorithm + fmt::Debug, W> fmt::Debug for RateLimit<A, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.limiter.fmt(f)
    }
}

policy_layer!([A, W] RateLimit<A, W>, limiter: Arc<RateLimiter<A, W>>, where A: RateAlgorithm);

/// What a [`RateLimit`] has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitSnapshot {
    /// The most that can be taken at once: the burst, or what a sliding window allows. Calls,
    /// weighted by their cost.
    pub limit: u32,
    /// The time in which the limit is whole again after it was used up.
    pub window: Duration,
    /// How much could be taken now.
    pub left: u32,
    /// How long until everything could be taken, if nobody takes anything meanwhile. With calls that
    /// wait it may be longer than the window.
    pub whole_in: Duration,
}

/// The settings of a [`RateLimit`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct RateLimitBuilder<A = Gcra, W = FixedCost> {
    calls: u32,
    period: Duration,
    burst: Option<u32>,
    fixed_cost: u32,
    cost: W,
    longest_wait: Option<Duration>,
    name: &'static str,
    announced: bool,
    algorithm: PhantomData<fn() -> A>,
}

impl<A, W> RateLimitBuilder<A, W> {
    /// How much may be taken at once after a quiet time: from 1 up to what comes free in a year.
    /// By default a period's worth: `per_second(100)` allows 100 at once.
    pub fn burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// What each call takes: 1 by default, at most the burst.
    pub fn cost(mut self, cost: u32) -> Self {
        self.fixed_cost = cost;
        self
    }

    /// What a call takes, by a function of the call. One that takes nothing is free; one that
    /// takes more than the burst is always refused.
    pub fn cost_by<F>(self, cost: F) -> RateLimitBuilder<A, CostBy<F>> {
        RateLimitBuilder {
            calls: self.calls,
            period: self.period,
            burst: self.burst,
            fixed_cost: self.fixed_cost,
            cost: CostBy(cost),
            longest_wait: self.longest_wait,
            name: self.name,
            announced: self.announced,
            algorithm: PhantomData,
        }
    }

    /// Delays what is too much instead of refusing it, for `longest_wait` at most (up to a year).
    /// What would wait longer is refused at once. By default nothing waits.
    pub fn wait_at_most(mut self, longest_wait: Duration) -> Self {
        self.longest_wait = Some(longest_wait);
        self
    }

    /// The name that refusals and header fields carry: 1 to 64 printable ASCII characters,
    /// `"rate-limit"` by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Tells HTTP clients their quota in the `RateLimit` and `RateLimit-Policy` fields, on
    /// admitted and refused calls alike. Off by default: the fields cost an allocation each, and
    /// tell a client exactly how much it may send.
    pub fn announced(mut self) -> Self {
        self.announced = true;
        self
    }

    /// Counts by a sliding window instead: at most so many calls in any period, estimated from
    /// the counts of two fixed ones. There is no burst to set, and excess cannot wait.
    pub fn sliding_window(self) -> RateLimitBuilder<SlidingWindow, W> {
        RateLimitBuilder {
            calls: self.calls,
            period: self.period,
            burst: self.burst,
            fixed_cost: self.fixed_cost,
            cost: self.cost,
            longest_wait: self.longest_wait,
            name: self.name,
            announced: self.announced,
            algorithm: PhantomData,
        }
    }
}

impl<A: Algorithm, W: Weight> RateLimitBuilder<A, W> {
    /// One limit with these settings for each key. What follows is set on the keyed builder.
    pub fn by<K>(self, key: K) -> KeyedBuilder<K, RateLimiter<A, W>>
    where
        A: Send + Sync + 'static,
        A::State: Send + Sync,
        W: Send + Sync + 'static,
    {
        let name = self.name;
        KeyedBuilder::from_template(key, name, self.limiter(), RateLimiter::fresh)
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<RateLimit<A, W>, SettingError> {
        Ok(RateLimit {
            limiter: Arc::new(self.limiter()?),
        })
    }

    /// Checks the settings, and makes the state machine alone: for those who decide on their own
    /// when to ask it, or who count elsewhere by the same settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn limiter(self) -> Result<RateLimiter<A, W>, SettingError> {
        let algorithm = A::new(self.calls, self.period, self.burst)?;
        let fixed_cost = check_range("cost", self.fixed_cost, 1..=algorithm.limit())?;
        let cost = self.cost.or_fixed(fixed_cost);
        let mut limiter = RateLimiter::new(algorithm).weighed(cost).named(self.name)?;
        if let Some(longest_wait) = self.longest_wait {
            limiter = limiter.wait_at_most(longest_wait)?;
        }
        if self.announced {
            limiter = limiter.announced();
        }
        Ok(limiter)
    }
}

use sealed::{Algorithm, Weight};

mod sealed {
    use super::{
        CostBy, Duration, FixedCost, Gcra, NonZeroU32, RateAlgorithm, SettingError, SlidingWindow,
    };

    /// An algorithm that can be made of a builder's settings.
    pub trait Algorithm: RateAlgorithm + Clone {
        fn new(calls: u32, period: Duration, burst: Option<u32>) -> Result<Self, SettingError>;
    }

    impl Algorithm for Gcra {
        fn new(calls: u32, period: Duration, burst: Option<u32>) -> Result<Self, SettingError> {
            Gcra::new(calls, period, burst.unwrap_or(calls))
        }
    }

    impl Algorithm for SlidingWindow {
        fn new(calls: u32, period: Duration, burst: Option<u32>) -> Result<Self, SettingError> {
            if let Some(burst) = burst {
                let allowed = "left out with a sliding window, which has none";
                return Err(SettingError::new("burst", burst, allowed));
            }
            SlidingWindow::new(calls, period)
        }
    }

    /// What calls take: what `cost_by` said, or else the fixed cost.
    pub trait Weight: Clone {
        fn or_fixed(self, fixed: u32) -> Self;
    }

    impl Weight for FixedCost {
        fn or_fixed(self, fixed: u32) -> Self {
            NonZeroU32::new(fixed).map_or(self, FixedCost::new)
        }
    }

    impl<F: Clone> Weight for CostBy<F> {
        fn or_fixed(self, _: u32) -> Self {
            self
        }
    }
}
