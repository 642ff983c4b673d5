use crate::digest::Digester;
use crate::entry::{Entries, Entry};
use crate::limit::{Everyone, FleetLimit, Inner};
use crate::link::Subject;
use crate::rule::Countable;
use crate::share::{Mode, Share};
use crate::shared::Shared;
use buttress::{KeyedBuilder, MissingKeyMeans, RateLimitBuilder};
use buttress_core::rate::{CostBy, FixedCost};
use buttress_core::{Gcra, RateLimiter, SettingError, SlidingWindow};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize};

/// Builds a rate limit for a fleet where [`build`](RateLimitBuilder::build) builds one for a
/// process.
///
/// ```
/// use buttress::{RateLimit, by_fn};
/// use buttress_redis::{BuildOn, Fleet};
///
/// struct Job { tenant: u64 }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fleet = Fleet::in_memory()?;
/// let limit = RateLimit::per_second(100)
///     .burst(20)
///     .announced()
///     .by(by_fn(|job: &Job| Ok(job.tenant)))
///     .build_on(&fleet)?;
/// # let _ = limit;
/// # Ok(())
/// # }
/// ```
pub trait BuildOn: sealed::Sealed + Sized {
    /// The limit that it builds.
    type Limit;

    /// Checks the settings, and builds the limit for a fleet: `&fleet` for an exact one,
    /// `fleet.leased()` or `fleet.synchronised(period)` for the others.
    ///
    /// Limits count together if they have the same name, the same settings and the same fleet.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed. Excess may
    /// [wait](RateLimitBuilder::wait_at_most) only for an exact limit: the others have no place
    /// in line to reserve.
    fn build_on(self, share: impl Into<Share>) -> Result<Self::Limit, SettingError>;
}

macro_rules! build_on {
    ($([$($generics:tt)*] $algorithm:ty, $cost:ty;)*) => {$(
        impl<$($generics)*> BuildOn for RateLimitBuilder<$algorithm, $cost> {
            type Limit = FleetLimit<Everyone, $algorithm, $cost>;

            fn build_on(self, share: impl Into<Share>) -> Result<Self::Limit, SettingError> {
                for_everyone(self.limiter()?, share.into())
            }
        }

        impl<$($generics)*> sealed::Sealed for RateLimitBuilder<$algorithm, $cost> {}
    )*};
}

build_on! {
    [] Gcra, FixedCost;
    [F: Clone] Gcra, CostBy<F>;
    [] SlidingWindow, FixedCost;
    [F: Clone] SlidingWindow, CostBy<F>;
}

impl<K, A: Countable + 'static, W: 'static> BuildOn for KeyedBuilder<K, RateLimiter<A, W>> {
    type Limit = FleetLimit<K, A, W>;

    fn build_on(self, share: impl Into<Share>) -> Result<Self::Limit, SettingError> {
        let parts = self.into_parts()?;
        let shared = shared(&parts.policy, share.into(), parts.max_keys)?;
        Ok(FleetLimit::new(Inner {
            key: parts.key,
            only: None,
            missing_key: parts.missing_key,
            reported: AtomicBool::new(false),
            limiter: parts.policy,
            shared: Arc::new(shared),
        }))
    }
}

impl<K, A: Countable, W> sealed::Sealed for KeyedBuilder<K, RateLimiter<A, W>> {}

fn for_everyone<A: Countable, W>(
    limiter: RateLimiter<A, W>,
    share: Share,
) -> Result<FleetLimit<Everyone, A, W>, SettingError> {
    let mut shared = shared(&limiter, share, 1)?;
    let digest = shared.digester.digest(&());
    shared.only = Some(Entry::new(digest));
    Ok(FleetLimit::new(Inner {
        key: Everyone,
        only: Some(digest),
        missing_key: MissingKeyMeans::Refused,
        reported: AtomicBool::new(false),
        limiter,
        shared: Arc::new(shared),
    }))
}

fn shared<A: Countable, W>(
    limiter: &RateLimiter<A, W>,
    share: Share,
    max_keys: u32,
) -> Result<Shared, SettingError> {
    let Share {
        fleet,
        mode,
        when_unreachable,
    } = share.checked()?;
    let rule = limiter.algorithm().rule()?;
    let longest_wait = limiter.longest_wait();
    if mode != Mode::Exact && !longest_wait.is_zero() {
        return Err(SettingError::new(
            "wait_at_most",
            format_args!("{longest_wait:?}"),
            "left out unless the limit is exact: no place can be reserved",
        ));
    }
    let name = limiter.name();
    Ok(Shared {
        digester: Digester::new(&fleet.inner.namespace, &fleet.inner.secret, name, &rule),
        subject: Subject {
            link: Arc::clone(&fleet.inner.link),
            rule,
            name,
        },
        mode,
        when_unreachable,
        longest_wait,
        announced: limiter.is_announced(),
        entries: Entries::new(max_keys)?,
        only: None,
        anchor: tokio::time::Instant::now().into_std(),
        keepers: AtomicUsize::new(0),
        // 32 bits fit everywhere.
        most_keepers: max_keys as usize,
    })
}

mod sealed {
    pub trait Sealed {}
}
