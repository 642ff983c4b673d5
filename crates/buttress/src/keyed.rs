use crate::guard::policy_layer;
use buttress_core::SettingError;
use buttress_core::combine::{self, MissingKeyMeans};
use std::sync::Arc;

/// One policy for each key: each client its own rate limit, each tenant its own bulkhead.
///
/// It is what `.by(key)` of the other builders makes. The number of keys has a hard bound, so
/// that clients who make up keys cannot exhaust the service's memory; see [`KeyedBuilder`].
///
/// ```
/// use buttress::{Bulkhead, by_fn};
///
/// struct Job { tenant: u64 }
///
/// let two_each = Bulkhead::builder(2)
///     .by(by_fn(|job: &Job| Ok(job.tenant)))
///     .max_keys(10_000)
///     .build()?;
/// assert_eq!(two_each.keys(), 0);
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Debug)]
pub struct Keyed<K, P> {
    policies: Arc<combine::Keyed<K, P>>,
}

impl<K, P> Keyed<K, P> {
    /// One policy of your own for each key, made by `make` when the key is first met.
    pub fn builder(key: K, make: impl Fn() -> P + Send + Sync + 'static) -> KeyedBuilder<K, P> {
        KeyedBuilder {
            key,
            make: Ok(Arc::new(make)),
            name: "keyed",
            max_keys: None,
            missing_key: MissingKeyMeans::Refused,
        }
    }

    /// The most keys that are remembered at a time.
    pub fn most_keys(&self) -> usize {
        self.policies.most_keys()
    }

    /// How many keys are remembered now.
    pub fn keys(&self) -> usize {
        self.policies.len()
    }

    /// A policy as the next new key gets it.
    pub fn for_a_new_key(&self) -> P {
        self.policies.for_a_new_key()
    }

    /// The policies of the keys that are remembered now, as handles, in no order. While calls come,
    /// the newest may not be among them.
    pub fn policies(&self) -> Vec<P>
    where
        P: Clone,
    {
        self.policies.policies()
    }

    /// Changes the policies of all keys while calls run: each of those that there are is shown to
    /// `each`, which changes it, and `make` makes those of the keys that are new from now on. What
    /// comes meanwhile is made by `make` or shown to `each`. Of two changes at once, one waits for the
    /// other.
    ///
    /// It is for policies whose clones share their state.
    ///
    /// ```
    /// use buttress::{Bulkhead, Slots, by_fn};
    ///
    /// struct Job { tenant: u64 }
    ///
    /// let by = || by_fn(|job: &Job| Ok(job.tenant));
    /// let two_each = Bulkhead::builder(2).by(by()).build()?;
    ///
    /// // Three from now on. The calls under way stay counted.
    /// let three = Slots::new(3)?;
    /// let template = three.clone();
    /// two_each.change(move || template.fresh(), |slots| slots.follow(&three));
    /// assert_eq!(two_each.for_a_new_key().limit(), 3);
    /// # Ok::<(), buttress::SettingError>(())
    /// ```
    pub fn change(&self, make: impl Fn() -> P + Send + Sync + 'static, each: impl FnMut(&P))
    where
        P: Clone,
    {
        self.policies.change(make, each);
    }

    /// Remembers the keys that another one remembers, each with what `next` makes of its policy, as
    /// far as there is room. Of a policy from which it makes nothing, the key is not remembered.
    ///
    /// It is for one that takes another one's place and has yet to be called, and whose keys are the
    /// same as the other one's. What `next` does must be short, and must not ask either of the two.
    pub fn carry_over<J, Q>(&self, before: &Keyed<J, Q>, next: impl Fn(&Q) -> Option<P>) {
        self.policies.take_over(&before.policies, next);
    }
}

impl<K, P> Clone for Keyed<K, P> {
    fn clone(&self) -> Self {
        Self {
            policies: Arc::clone(&self.policies),
        }
    }
}

policy_layer!([K, P] Keyed<K, P>, policies: Arc<combine::Keyed<K, P>>);

/// The settings of a [`Keyed`].
#[must_use = "call `build`"]
pub struct KeyedBuilder<K, P> {
    key: K,
    make: Result<Arc<dyn Fn() -> P + Send + Sync>, SettingError>,
    name: &'static str,
    max_keys: Option<u32>,
    missing_key: MissingKeyMeans,
}

impl<K, P> KeyedBuilder<K, P> {
    pub(crate) fn from_template<T>(
        key: K,
        name: &'static str,
        template: Result<T, SettingError>,
        fresh: impl Fn(&T) -> P + Send + Sync + 'static,
    ) -> Self
    where
        T: Send + Sync + 'static,
    {
        let make = template.map(|template| {
            let make: Arc<dyn Fn() -> P + Send + Sync> = Arc::new(move || fresh(&template));
            make
        });
        Self {
            key,
            make,
            name,
            max_keys: None,
            missing_key: MissingKeyMeans::Refused,
        }
    }

    /// The most keys remembered at a time, from 1 to 2³¹; 100 000 by default. When they are used
    /// up, a key that is idle makes room for a new one, or else the one that was not used for
    /// long. If calls hold all the keys in reach, the new key's call is refused.
    pub fn max_keys(mut self, max_keys: u32) -> Self {
        self.max_keys = Some(max_keys);
        self
    }

    /// What becomes of a call that has no key. By default it is refused: with a 400 if the call
    /// should have carried it, and with a 503 if the service is not set up to know it, in which
    /// case the log says once what to do.
    pub fn missing_key(mut self, missing: MissingKeyMeans) -> Self {
        self.missing_key = missing;
        self
    }

    /// Checks the settings, those of the policy for each key included.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Keyed<K, P>, SettingError>
    where
        P: 'static,
    {
        let make = self.make?;
        let mut keyed = combine::Keyed::new(self.key, move || make())
            .missing_key(self.missing_key)
            .named(self.name)?;
        if let Some(max_keys) = self.max_keys {
            keyed = keyed.max_keys(max_keys)?;
        }
        Ok(Keyed {
            policies: Arc::new(keyed),
        })
    }
}

impl<K, P> KeyedBuilder<K, P> {
    /// The settings, for a limit for each key that is kept elsewhere than in a map of ours.
    ///
    /// # Errors
    ///
    /// A setting of the policy for each key makes no sense.
    pub fn into_parts(self) -> Result<KeyedParts<K, P>, SettingError> {
        Ok(KeyedParts {
            policy: self.make?(),
            key: self.key,
            name: self.name,
            max_keys: self.max_keys.unwrap_or(combine::DEFAULT_MAX_KEYS),
            missing_key: self.missing_key,
        })
    }
}

/// What a [`KeyedBuilder`] was told.
#[derive(Debug)]
#[non_exhaustive]
pub struct KeyedParts<K, P> {
    /// What calls are told apart by.
    pub key: K,
    /// A policy as each key would get it.
    pub policy: P,
    /// The name that refusals for a missing key carry.
    pub name: &'static str,
    /// The most keys to remember at a time. Not checked yet: it must be from 1 to 2³¹.
    pub max_keys: u32,
    /// What becomes of a call that has no key.
    pub missing_key: MissingKeyMeans,
}

impl<K: std::fmt::Debug, P> std::fmt::Debug for KeyedBuilder<K, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyedBuilder")
            .field("key", &self.key)
            .field("max_keys", &self.max_keys)
            .finish_non_exhaustive()
    }
}
