use super::{Cost, FixedCost, Gcra, RateAlgorithm};
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, PerKey, Permit, Policy, Retention};
use crate::quota::Quota;
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_duration, check_name};
use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// Admits so much in so much time.
///
/// Excess is refused with [`Reason::RateLimited`] and the exact time until the call would pass, or,
/// after [`wait_at_most`](Self::wait_at_most), waits for its turn. A waiting call has reserved its
/// place, so that it never waits in vain; if its caller goes away, the place is given back.
///
/// ```
/// use buttress_core::{Admission, Gcra, Now, Policy, RateLimiter};
/// use std::time::{Duration, Instant};
///
/// let limit = RateLimiter::new(Gcra::new(10, Duration::from_secs(1), 1)?);
/// let now = Now::at(Instant::now());
/// assert!(matches!(limit.admit("a call", &now), Admission::Admitted(_)));
/// let Admission::Refused(rejection) = limit.admit("another", &now) else { panic!() };
/// assert_eq!(rejection.wait(), Some(Duration::from_millis(100)));
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct RateLimiter<A: RateAlgorithm = Gcra, W = FixedCost> {
    pub(super) settings: Arc<Settings<A, W>>,
    pub(super) state: A::State,
}

pub(super) struct Settings<A, W> {
    pub(super) algorithm: A,
    cost: W,
    name: &'static str,
    longest_wait: Duration,
    announced: bool,
    /// The point from which time is counted. A limiter knows no clock, so it is the first instant
    /// that anybody tells it.
    pub(super) anchor: OnceLock<Instant>,
}

impl<A: RateAlgorithm> RateLimiter<A> {
    /// A limiter that counts by `algorithm`, in which each call weighs 1. Its name is
    /// `"rate-limit"`, and excess is refused.
    pub fn new(algorithm: A) -> Self {
        Self::with(Settings {
            algorithm,
            cost: FixedCost::ONE,
            name: "rate-limit",
            longest_wait: Duration::ZERO,
            announced: false,
            anchor: OnceLock::new(),
        })
    }
}

impl<A: RateAlgorithm, W> RateLimiter<A, W> {
    /// Weighs calls by `cost`.
    pub fn weighed<V>(self, cost: V) -> RateLimiter<A, V>
    where
        A: Clone,
    {
        RateLimiter::with(self.settings.weighed(cost))
    }

    /// Lets excess wait for its turn, for `longest_wait` at most. What would wait longer is
    /// refused at once.
    ///
    /// # Errors
    ///
    /// `longest_wait` is 0 or longer than a year, or the algorithm cannot reserve: only [`Gcra`]
    /// can.
    pub fn wait_at_most(self, longest_wait: Duration) -> Result<Self, SettingError>
    where
        A: Clone,
        W: Clone,
    {
        if !A::RESERVES {
            return Err(SettingError::new(
                "wait_at_most",
                format_args!("{longest_wait:?}"),
                "left out with a sliding window, in which no place can be reserved",
            ));
        }
        let longest_wait = check_duration("wait_at_most", longest_wait)?;
        Ok(self.changed(|settings| settings.longest_wait = longest_wait))
    }

    /// The name that refusals and header fields carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(self, name: &'static str) -> Result<Self, SettingError>
    where
        A: Clone,
        W: Clone,
    {
        let name = check_name("named", name)?;
        Ok(self.changed(|settings| settings.name = name))
    }

    /// How it counts.
    pub fn algorithm(&self) -> &A {
        &self.settings.algorithm
    }

    /// The name that refusals and header fields carry.
    pub fn name(&self) -> &'static str {
        self.settings.name
    }

    /// How long excess may wait for its turn. At 0 it is refused.
    pub fn longest_wait(&self) -> Duration {
        self.settings.longest_wait
    }

    /// Whether callers are told their quota.
    pub fn is_announced(&self) -> bool {
        self.settings.announced
    }

    /// How much could be taken now, and how long until everything could. It takes nothing, and
    /// what waits has taken its part already.
    pub fn left(&self, now: &Now) -> (u32, Duration) {
        // Nothing was taken before the first call, from which time is counted.
        let at = match self.settings.anchor.get() {
            Some(anchor) => now.instant().saturating_duration_since(*anchor),
            None => Duration::ZERO,
        };
        self.settings.algorithm.left(&self.state, at)
    }

    /// What `call` takes.
    #[inline]
    pub fn weigh<C: ?Sized>(&self, call: &C) -> u32
    where
        W: Cost<C>,
    {
        self.settings.cost.cost(call)
    }

    /// Tells callers their quota, on admitted and refused calls alike.
    pub fn announced(self) -> Self
    where
        A: Clone,
        W: Clone,
    {
        self.changed(|settings| settings.announced = true)
    }

    /// A limiter with the same settings and nothing taken yet. The settings are shared, so that a
    /// limiter for one of a million keys is its state and a pointer.
    pub fn fresh(&self) -> Self {
        Self {
            settings: Arc::clone(&self.settings),
            state: A::State::default(),
        }
    }

    fn with(settings: Settings<A, W>) -> Self {
        Self {
            settings: Arc::new(settings),
            state: A::State::default(),
        }
    }

    fn changed(self, change: impl FnOnce(&mut Settings<A, W>)) -> Self
    where
        A: Clone,
        W: Clone,
    {
        let mut settings = self.settings.weighed(self.settings.cost.clone());
        change(&mut settings);
        Self::with(settings)
    }
}

impl<C: ?Sized, A: RateAlgorithm, W: Cost<C>> Policy<C> for RateLimiter<A, W> {
    type Permit = RatePermit;
    type Waiting = Reservation;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<RatePermit, Reservation> {
        let Some(cost) = NonZeroU32::new(self.settings.cost.cost(call)) else {
            return Admission::Admitted(RatePermit { quota: None });
        };
        let at = self.settings.since_anchor(now);
        if cost.get() <= self.settings.algorithm.limit() {
            match self.settings.algorithm.take(&self.state, cost, at) {
                Ok(()) => Admission::Admitted(self.permit(at)),
                Err(wait) => self.too_much(cost, wait, at, now),
            }
        } else {
            // It would never pass, so there is no time after which to try again.
            Admission::Refused(Rejection::new(Reason::RateLimited, self.settings.name))
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut Reservation,
        _: &C,
        now: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<RatePermit, Rejection>> {
        if now.instant() < waiting.until {
            return Poll::Pending;
        }
        Poll::Ready(Ok(self.permit(self.settings.since_anchor(now))))
    }

    fn wake_at(&self, waiting: &Reservation) -> Option<Instant> {
        Some(waiting.until)
    }

    fn abandon(&self, waiting: Reservation, _: &C) {
        self.give_back(waiting.cost);
    }

    fn revoke(&self, _: RatePermit, call: &C) {
        if let Some(cost) = NonZeroU32::new(self.settings.cost.cost(call)) {
            self.give_back(cost);
        }
    }
}

impl<A: RateAlgorithm, W> RateLimiter<A, W> {
    #[inline]
    fn permit(&self, at: Duration) -> RatePermit {
        let settings = &self.settings;
        RatePermit {
            quota: settings
                .announced
                .then(|| Box::new(settings.quota(&self.state, at, None))),
        }
    }

    #[cold]
    fn too_much(
        &self,
        cost: NonZeroU32,
        mut wait: Duration,
        at: Duration,
        now: &Now,
    ) -> Admission<RatePermit, Reservation> {
        let settings = &self.settings;
        // Reserving is taking at the time when the call would pass. If others are quicker it
        // passes later, so that is asked again until it holds or is too far off.
        while wait <= settings.longest_wait {
            match settings.algorithm.take(&self.state, cost, at + wait) {
                Ok(()) => {
                    let until = now.instant() + wait;
                    return Admission::Wait(Reservation { until, cost });
                }
                Err(more) => wait += more,
            }
        }
        let mut rejection = Rejection::new(Reason::RateLimited, settings.name).retry_after(wait);
        if settings.announced {
            rejection = rejection.quota(settings.quota(&self.state, at, Some(wait)));
        }
        Admission::Refused(rejection)
    }

    fn give_back(&self, cost: NonZeroU32) {
        self.settings.algorithm.give_back(&self.state, cost);
    }
}

impl<C: ?Sized, A: RateAlgorithm, W: Cost<C>> PerKey<C> for RateLimiter<A, W> {
    fn retention(&self, now: &Now) -> Retention {
        let at = self.settings.since_anchor(now);
        if self.settings.algorithm.is_whole(&self.state, at) {
            Retention::Idle
        } else {
            Retention::Active
        }
    }
}

impl<A: RateAlgorithm + fmt::Debug, W> fmt::Debug for RateLimiter<A, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("name", &self.settings.name)
            .field("algorithm", &self.settings.algorithm)
            .finish_non_exhaustive()
    }
}

impl<A: RateAlgorithm, W> Settings<A, W> {
    /// The same for a limiter that weighs calls by `cost`, and that nobody has asked yet.
    fn weighed<V>(&self, cost: V) -> Settings<A, V>
    where
        A: Clone,
    {
        Settings {
            algorithm: self.algorithm.clone(),
            cost,
            name: self.name,
            longest_wait: self.longest_wait,
            announced: self.announced,
            anchor: OnceLock::new(),
        }
    }

    #[inline]
    pub(super) fn since_anchor(&self, now: &Now) -> Duration {
        let now = now.instant();
        // Two first calls may race: the one that loses counts from the winner's instant, and may
        // find itself at zero.
        now.saturating_duration_since(*self.anchor.get_or_init(|| now))
    }

    fn quota(&self, state: &A::State, at: Duration, wait: Option<Duration>) -> Quota {
        let (remaining, whole) = self.algorithm.left(state, at);
        Quota::new(
            self.name,
            self.algorithm.limit(),
            self.algorithm.window(),
            remaining,
            wait.unwrap_or(whole),
        )
    }
}

/// An admitted call, and the quota to tell its caller, if it is announced.
#[derive(Debug)]
pub struct RatePermit {
    // In a box, so that the calls of limits that announce nothing are the smaller for it.
    quota: Option<Box<Quota>>,
}

impl Permit for RatePermit {
    const WANTS_OUTCOME: bool = false;

    fn complete(self, _: Outcome, _: &Now) {}

    #[inline]
    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        if let Some(quota) = &self.quota {
            each(quota);
        }
    }
}

/// A call that waits for its turn, which is certain to come.
#[derive(Debug)]
pub struct Reservation {
    until: Instant,
    cost: NonZeroU32,
}
