use crate::combine::key_map::{Full, KeyMap};
use crate::combine::missing::{Instead, MissingKeyMeans, MissingKeys};
use crate::digest::Digest;
use crate::key::Key;
use crate::now::Now;
use crate::policy::{Admission, PerKey, Policy};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name, check_range};
use parking_lot::{Mutex, RwLock};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

/// One policy for each key, made on demand.
///
/// The danger of a policy per client is that clients choose how many there are: a map without a
/// bound is a way to exhaust the service's memory, and one that searches for something to evict
/// is a way to exhaust its processor. This map holds [`max_keys`](Self::max_keys) at most, and
/// what a fresh key costs when it is full has a bound as well. To make room it forgets a state
/// that is [idle](crate::Retention::Idle) or, failing that, one that has not been used for long.
/// States that calls hold are never forgotten; if a handful of probes finds nothing else, the
/// new key's call is refused with [`Reason::Overloaded`].
///
/// ```
/// use buttress_core::{Keyed, Slots, by_fn};
///
/// let tenant = by_fn(|call: &(u64, &str)| Ok(call.0));
/// let slots = Slots::new(2)?;
/// let two_for_each_tenant = Keyed::new(tenant, move || slots.fresh()).max_keys(10_000)?;
/// assert!(two_for_each_tenant.is_empty());
/// # Ok::<(), buttress_core::SettingError>(())
/// ```
pub struct Keyed<K, P> {
    key: K,
    make: RwLock<Make<P>>,
    /// Held by whoever changes all policies.
    change: Mutex<()>,
    map: KeyMap<P>,
    missing: MissingKeys,
}

/// What makes the policy of a key that is new. It is asked under the lock of the key's part of the
/// map.
type Make<P> = Arc<dyn Fn() -> P + Send + Sync>;

impl<K, P> Keyed<K, P> {
    /// One policy for each key, made by `make` when the key is first met. Its name is `"keyed"`,
    /// it holds 100 000 keys at most, and calls without a key are refused.
    pub fn new(key: K, make: impl Fn() -> P + Send + Sync + 'static) -> Self {
        Self {
            key,
            make: RwLock::new(Arc::new(make)),
            change: Mutex::new(()),
            map: KeyMap::new(DEFAULT_MAX_KEYS),
            missing: MissingKeys::new("keyed"),
        }
    }

    /// The most keys remembered at a time, from 1 to 2³¹; 100 000 unless told otherwise. It is
    /// the memory that is bounded: at about 50 bytes a key for a rate limit, 100 000 keys are
    /// 5 MB.
    ///
    /// # Errors
    ///
    /// `max_keys` is out of range.
    pub fn max_keys(mut self, max_keys: u32) -> Result<Self, SettingError> {
        self.map = KeyMap::new(check_range("max_keys", max_keys, 1..=1 << 31)?);
        Ok(self)
    }

    /// What becomes of a call that has no key.
    pub fn missing_key(mut self, missing: MissingKeyMeans) -> Self {
        self.missing.means = missing;
        self
    }

    /// The name that the refusals for a missing key or for want of room carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(mut self, name: &'static str) -> Result<Self, SettingError> {
        self.missing.name = check_name("named", name)?;
        Ok(self)
    }

    /// The most keys that are remembered at a time.
    pub fn most_keys(&self) -> usize {
        self.map.capacity()
    }

    /// How many keys are remembered now.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether no key is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A policy as the next new key gets it.
    pub fn for_a_new_key(&self) -> P {
        let make = Arc::clone(&self.make.read());
        make()
    }

    /// The policies of the keys that are remembered now, as handles, in no order. While calls come,
    /// the newest may not be among them.
    pub fn policies(&self) -> Vec<P>
    where
        P: Clone,
    {
        let mut policies = Vec::with_capacity(self.len());
        self.map.each(|policy| policies.push(policy.clone()));
        policies
    }

    /// Changes the policies of all keys while calls run: each of those that there are is shown to
    /// `each`, which changes it, and `make` makes those of the keys that are new from now on. None is
    /// left out: what comes meanwhile is made by `make` or shown to `each`.
    ///
    /// It is for policies whose clones share their state. No lock of the map is held while `each`
    /// runs. Of two changes at once, one waits for the other.
    pub fn change(&self, make: impl Fn() -> P + Send + Sync + 'static, each: impl FnMut(&P))
    where
        P: Clone,
    {
        let _one_at_a_time = self.change.lock();
        // First, so that what is not among the policies yet is made by the new one.
        *self.make.write() = Arc::new(make);
        self.policies().iter().for_each(each);
    }

    /// Remembers the keys that another one remembers, each with what `next` makes of its policy, as
    /// far as there is room. Of a policy from which it makes nothing, the key is not remembered.
    ///
    /// It is for one that has yet to be called, and whose keys are the same as the other one's. What
    /// `next` does must be short, and must not ask either of the two.
    pub fn take_over<J, Q>(&self, before: &Keyed<J, Q>, next: impl Fn(&Q) -> Option<P>) {
        self.map.take_over(&before.map, next);
    }

    /// What the call is told apart by: `Ok(None)` if it has no key and passes all the same.
    #[inline]
    fn digest<C: ?Sized>(&self, call: &C) -> Result<Option<Digest>, Rejection>
    where
        K: Key<C>,
    {
        match self.key.key(call) {
            Ok(key) => Ok(Some(self.map.digest(&key))),
            Err(missing) => Ok(match self.missing.decide(missing)? {
                Instead::SharedKey => Some(self.map.digest(&())),
                Instead::Admitted => None,
            }),
        }
    }
}

impl<C: ?Sized, K: Key<C>, P: PerKey<C>> Policy<C> for Keyed<K, P> {
    /// `None` if the call has no key and was admitted all the same.
    type Permit = Option<P::Permit>;
    type Waiting = KeyedWaiting<P::Waiting>;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
        let digest = match self.digest(call) {
            Ok(Some(digest)) => digest,
            Ok(None) => return Admission::Admitted(None),
            Err(rejection) => return Admission::Refused(rejection),
        };
        let answer = self.map.get_or_make(
            digest,
            || self.for_a_new_key(),
            |policy| policy.retention(now),
            |policy| policy.admit(call, now),
        );
        match answer {
            Ok(Admission::Admitted(permit)) => Admission::Admitted(Some(permit)),
            Ok(Admission::Refused(rejection)) => Admission::Refused(rejection),
            Ok(Admission::Wait(waiting)) => Admission::Wait(KeyedWaiting { digest, waiting }),
            Err(Full) => Admission::Refused(Rejection::new(Reason::Overloaded, self.missing.name)),
        }
    }

    fn poll_admit(
        &self,
        waiting: &mut Self::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        let KeyedWaiting { digest, waiting } = waiting;
        self.map
            .get(*digest, |policy| {
                policy.poll_admit(waiting, call, now, context)
            })
            .map_or_else(
                // A policy whose waiters don't hold its state was forgotten. Whoever made it so
                // gets a refusal rather than a hang.
                || Poll::Ready(Err(Rejection::new(Reason::Overloaded, self.missing.name))),
                |answer| answer.map_ok(Some),
            )
    }

    fn wake_at(&self, waiting: &Self::Waiting) -> Option<Instant> {
        self.map
            .get(waiting.digest, |policy| policy.wake_at(&waiting.waiting))
            .flatten()
    }

    fn abandon(&self, waiting: Self::Waiting, call: &C) {
        let KeyedWaiting { digest, waiting } = waiting;
        if P::TAKES_BACK {
            self.map.get(digest, |policy| policy.abandon(waiting, call));
        }
    }

    fn revoke(&self, permit: Self::Permit, call: &C) {
        if P::TAKES_BACK
            && let (Some(permit), Ok(Some(digest))) = (permit, self.digest(call))
        {
            self.map.get(digest, |policy| policy.revoke(permit, call));
        }
    }
}

impl<K, P> fmt::Debug for Keyed<K, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyed")
            .field("name", &self.missing.name)
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

/// A call that waits for its key's policy.
#[derive(Debug)]
pub struct KeyedWaiting<W> {
    digest: Digest,
    waiting: W,
}

/// How many keys are remembered at most, unless told otherwise. A service with more clients than
/// this has a larger machine, too, and says so.
pub const DEFAULT_MAX_KEYS: u32 = 100_000;
