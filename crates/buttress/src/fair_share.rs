use crate::guard::policy_layer;
use buttress_core::combine::MissingKeyMeans;
use buttress_core::{FairShare as Core, SettingError};
use std::sync::Arc;

/// At most so many calls at once, of which no tenant gets more than its share.
///
/// In front of a limit that everybody shares, whoever sends the most gets the most: one noisy tenant
/// fills it, and the others find it full. Here a tenant may have as many calls under way as there
/// are slots free, times a factor. So the noisy one is refused while there is still room for the
/// others; one that is alone gets most of them; several that want everything get the same; and
/// nobody needs to say how many there are.
///
/// | tenants that want everything | each gets | free for others |
/// | --- | --- | --- |
/// | 1 | 70 % | 30 % |
/// | 2 | 41 % | 18 % |
/// | 4 | 23 % | 10 % |
///
/// Calls are counted in a sketch of a fixed size, so a flood of tenants takes no memory.
///
/// # How it fails when misused
///
/// A part of the slots stays free: set the limit half as high again as what you would give a
/// [`Bulkhead`](crate::Bulkhead), or put it in front of one. With fewer than some twenty slots, chance
/// decides more than any share: the calls of those that have few come several at once. A tenant that can make up keys has as
/// many shares as it likes: use what was authenticated.
///
/// ```
/// use buttress::{FairShare, by_fn};
///
/// struct Job { tenant: u64 }
///
/// let fair = FairShare::builder(100, by_fn(|job: &Job| Ok(job.tenant))).build()?;
/// # let _ = fair;
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// The rule is that by which switches share their memory among their ports (Choudhury and Hahne,
/// 1998).
#[derive(Debug)]
pub struct FairShare<K> {
    shares: Arc<Core<K>>,
}

impl<K> FairShare<K> {
    /// At most `limit` calls at once, from 1 to 2³² − 1.
    pub fn builder(limit: u32, key: K) -> FairShareBuilder<K> {
        FairShareBuilder {
            limit,
            together: None,
            key,
            largest_share: None,
            name: "fair-share",
            missing_key: MissingKeyMeans::Refused,
        }
    }

    /// Changes the limit while calls run, also for those that [count with](FairShareBuilder::counting_with)
    /// this one. A lower one interrupts nobody.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn set_limit(&self, limit: u32) -> Result<(), SettingError> {
        self.shares.set_limit(limit)
    }

    /// How many calls may be under way at once.
    pub fn limit(&self) -> u32 {
        self.shares.limit()
    }

    /// How many calls are under way.
    pub fn in_flight(&self) -> usize {
        self.shares.taken() as usize
    }
}

impl<K> Clone for FairShare<K> {
    fn clone(&self) -> Self {
        Self {
            shares: Arc::clone(&self.shares),
        }
    }
}

policy_layer!([K] FairShare<K>, shares: Arc<Core<K>>);

/// The settings of a [`FairShare`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct FairShareBuilder<K> {
    limit: u32,
    together: Option<Arc<Core<K>>>,
    key: K,
    largest_share: Option<f64>,
    name: &'static str,
    missing_key: MissingKeyMeans,
}

impl<K> FairShareBuilder<K> {
    /// What part of the slots a tenant gets that is alone: from 0.1 to 0.99, 0.7 by default. The
    /// more, the less is free when the next one comes. With the default, quiet tenants lose less than
    /// 1 % of their calls to one that wants three times everything, from 24 slots up; with 0.9 it is
    /// more than that up to a hundred slots, when there are two.
    pub fn largest_share(mut self, part: f64) -> Self {
        self.largest_share = Some(part);
        self
    }

    /// What becomes of a call that has no key: by default it is refused.
    pub fn missing_key(mut self, missing: MissingKeyMeans) -> Self {
        self.missing_key = missing;
        self
    }

    /// Counts its calls together with those of another one, and has that one's limit, which is
    /// [changed](FairShare::set_limit) for both: for other settings than the limit, while calls run.
    pub fn counting_with(mut self, other: &FairShare<K>) -> Self {
        self.together = Some(Arc::clone(&other.shares));
        self
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"fair-share"` by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<FairShare<K>, SettingError> {
        let mut shares = Core::new(self.limit, self.key)?
            .missing_key(self.missing_key)
            .named(self.name)?;
        if let Some(part) = self.largest_share {
            shares = shares.largest_share(part)?;
        }
        if let Some(other) = &self.together {
            shares = shares.counting_with(other);
        }
        Ok(FairShare {
            shares: Arc::new(shares),
        })
    }
}
