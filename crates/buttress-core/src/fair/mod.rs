//! The state machine of a fair share for each tenant.

#[cfg(all(test, not(loom)))]
mod measurement;
#[cfg(all(test, not(loom)))]
mod tests;

use crate::combine::{Instead, MissingKeyMeans, MissingKeys};
use crate::key::Key;
use crate::never::Never;
use crate::now::Now;
use crate::outcome::Outcome;
use crate::policy::{Admission, Permit, Policy};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name, check_range};
use siphasher::sip128::{Hasher128, SipHasher13};
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};

/// At most so many calls at once, of which nobody gets more than its share.
///
/// A tenant may have as many calls under way as there are slots free, times a factor (Choudhury and
/// Hahne, *Dynamic Queue Length Thresholds for Shared-Memory Packet Switches*, 1998). So one that is
/// alone gets most of the slots, several that want everything get the same, and some slots are always
/// free for whoever has few. Nobody needs to know how many tenants there are.
///
/// How many calls a tenant has is counted in a sketch of fixed size (count-min, Cormode and
/// Muthukrishnan 2005), under a secret of the process: a flood of tenants takes no memory, and
/// nobody can aim for another one's counters. Where counters are shared all the same, a tenant may
/// seem to have more calls than it has, never fewer. The chance is under 0.1 % while there are no more
/// calls than the limit that it was built with, up to 10 000 of them; far above that, which is where
/// a limit may be [set](Self::set_limit), all tenants seem to have some.
///
/// ```
/// use buttress_core::{FairShare, by_fn};
///
/// let tenant = by_fn(|call: &(u64, &str)| Ok(call.0));
/// let fair = FairShare::new(100, tenant)?;
/// assert_eq!(fair.taken(), 0);
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct FairShare<K> {
    key: K,
    shared: Arc<Shared>,
    secret: SipHasher13,
    /// How many times the free slots a tenant may have.
    factor: f64,
    missing: MissingKeys,
}

struct Shared {
    limit: AtomicU32,
    taken: AtomicU32,
    /// [`ROWS`] rows of counters, one after the other.
    counters: Box<[AtomicU32]>,
}

impl<K> FairShare<K> {
    /// `limit` calls at once, from 1 to 2³² − 1, of which one tenant alone gets 70 % at most. The
    /// name is `"fair-share"`, and calls without a key are refused.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn new(limit: u32, key: K) -> Result<Self, SettingError> {
        let limit = check_range("limit", limit, 1..=u32::MAX)?;
        let width = limit.saturating_mul(WIDTH).clamp(NARROWEST, WIDEST);
        let cells = width.next_power_of_two() as usize * ROWS;
        let seeds = RandomState::new();
        Ok(Self {
            key,
            shared: Arc::new(Shared {
                limit: AtomicU32::new(limit),
                taken: AtomicU32::new(0),
                counters: (0..cells).map(|_| AtomicU32::new(0)).collect(),
            }),
            secret: SipHasher13::new_with_keys(seeds.hash_one(0), seeds.hash_one(1)),
            factor: factor(LARGEST_SHARE),
            missing: MissingKeys::new("fair-share"),
        })
    }

    /// What part of the slots one tenant gets that is alone, from 0.1 to 0.99, 0.7 by default. Then
    /// two that want everything get 41 % each, and three 29 %; the rest is for whoever comes next.
    ///
    /// # Errors
    ///
    /// `part` is out of range.
    pub fn largest_share(mut self, part: f64) -> Result<Self, SettingError> {
        self.factor = factor(check_range("largest_share", part, 0.1..=0.99)?);
        Ok(self)
    }

    /// What becomes of a call that has no key.
    pub fn missing_key(mut self, missing: MissingKeyMeans) -> Self {
        self.missing.means = missing;
        self
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(mut self, name: &'static str) -> Result<Self, SettingError> {
        self.missing.name = check_name("named", name)?;
        Ok(self)
    }

    /// Counts its calls together with those of another one, and has that one's limit from now on,
    /// which is changed for both. For other settings than the limit, while calls run.
    pub fn counting_with<J>(mut self, other: &FairShare<J>) -> Self {
        self.shared = Arc::clone(&other.shared);
        self.secret = other.secret;
        self
    }

    /// Changes the limit while calls run. A lower one interrupts nobody.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn set_limit(&self, limit: u32) -> Result<(), SettingError> {
        let limit = check_range("limit", limit, 1..=u32::MAX)?;
        self.shared.limit.store(limit, Ordering::Relaxed);
        Ok(())
    }

    /// How many calls may be under way at once.
    pub fn limit(&self) -> u32 {
        self.shared.limit.load(Ordering::Relaxed)
    }

    /// How many are.
    pub fn taken(&self) -> u32 {
        self.shared.taken.load(Ordering::Relaxed)
    }

    /// Whether so many calls, of which so many are the tenant's, leave room for one more of its.
    #[inline]
    fn has_room(&self, taken: u32, own: u32) -> bool {
        let Some(left) = self.limit().checked_sub(taken).filter(|free| *free > 0) else {
            return false;
        };
        // One that has nothing is let in as long as anything is free.
        own == 0 || f64::from(own) + 1.0 <= self.factor * f64::from(left - 1)
    }

    /// Where a key is counted.
    fn cells<T: Hash>(&self, key: &T) -> Cells {
        let mut hasher = self.secret;
        key.hash(&mut hasher);
        let digest = hasher.finish128();
        let width = self.shared.counters.len() / ROWS;
        let halves = [digest.h1, digest.h1 >> 32, digest.h2, digest.h2 >> 32];
        let mut row = 0;
        halves.map(|half| {
            // The width is a power of two of at most 16 bits.
            let cell = row * width + (half as u32 as usize & (width - 1));
            row += 1;
            cell as u32
        })
    }
}

impl<C: ?Sized, K: Key<C>> Policy<C> for FairShare<K> {
    /// `None` if the call has no key and was admitted all the same.
    type Permit = Option<Share>;
    type Waiting = Never;

    fn admit(&self, call: &C, _: &Now) -> Admission<Option<Share>, Never> {
        let cells = match self.key.key(call) {
            Ok(key) => self.cells(&key),
            Err(missing) => match self.missing.decide(missing) {
                Ok(Instead::SharedKey) => self.cells(&()),
                Ok(Instead::Admitted) => return Admission::Admitted(None),
                Err(rejection) => return Admission::Refused(rejection),
            },
        };
        // A look first, so that a flood of refusals writes nothing that others read.
        let (taken, own) = self.shared.counts(cells);
        if self.has_room(taken, own) {
            // From here on, dropping it gives everything back.
            let (share, taken, own) = Share::take(&self.shared, cells);
            if self.has_room(taken, own) {
                return Admission::Admitted(Some(share));
            }
        }
        Admission::Refused(Rejection::new(Reason::Overloaded, self.missing.name))
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<Option<Share>, Rejection>> {
        match *waiting {}
    }
}

impl<K> fmt::Debug for FairShare<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FairShare")
            .field("name", &self.missing.name)
            .field("limit", &self.limit())
            .field("taken", &self.taken())
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// How many calls there are, and how many of them the tenant's that is counted there.
    #[inline]
    fn counts(&self, cells: Cells) -> (u32, u32) {
        let own = cells.map(|cell| self.counters[cell as usize].load(Ordering::Relaxed));
        let taken = self.taken.load(Ordering::Relaxed);
        (taken, own.into_iter().min().unwrap_or(0))
    }
}

/// A call that is counted as its tenant's. Completing it and dropping it both end that.
#[must_use = "dropping it ends the call"]
pub struct Share {
    shared: Arc<Shared>,
    cells: Cells,
}

impl Share {
    /// Counts a call, and returns how many there were before, and how many of them its tenant's.
    #[inline]
    fn take(shared: &Arc<Shared>, cells: Cells) -> (Self, u32, u32) {
        let taken = shared.taken.fetch_add(1, Ordering::Relaxed);
        let counts = cells.map(|cell| {
            let counter = &shared.counters[cell as usize];
            counter.fetch_add(1, Ordering::Relaxed)
        });
        let own = counts.into_iter().min().unwrap_or(0);
        let shared = Arc::clone(shared);
        (Self { shared, cells }, taken, own)
    }
}

impl Permit for Share {
    const WANTS_OUTCOME: bool = false;

    fn complete(self, _: Outcome, _: &Now) {}
}

impl Drop for Share {
    #[inline]
    fn drop(&mut self) {
        for cell in self.cells {
            self.shared.counters[cell as usize].fetch_sub(1, Ordering::Relaxed);
        }
        self.shared.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Share").finish_non_exhaustive()
    }
}

type Cells = [u32; ROWS];

/// Where one that is alone has that part of the slots, it is this many times what is free; and a
/// little more, so that rounding takes no slot away.
fn factor(largest_share: f64) -> f64 {
    largest_share / (1.0 - largest_share) * (1.0 + 1e-9)
}

/// The measurement decided: with more, those that have few calls lose some of them to one that wants
/// everything; with less, slots lie idle and they gain nothing.
const LARGEST_SHARE: f64 = 0.7;

/// With four, all of a tenant's counters are shared with busy ones only if chance will have it four
/// times over.
const ROWS: usize = 4;

/// How many counters there are in a row for each call.
const WIDTH: u32 = 8;

/// 16 KiB of counters at least, and 1 MiB at most.
const NARROWEST: u32 = 1 << 10;
const WIDEST: u32 = 1 << 16;
