use crate::guard::policy_layer;
use buttress_core::combine::MissingKeyMeans;
use buttress_core::{Blind, SettingError, Shards, Slots};
use std::sync::Arc;

/// Bulkheads among which each key has a few of its own choice.
///
/// One tenant sends requests that never come back, and the bulkhead that everybody shares is full
/// of them: all are down. One bulkhead for each tenant prevents it, if there are few tenants; with a
/// thousand, each gets so few slots that it can do nothing with them, or together they get more
/// than the service can bear. Shuffle sharding lies between the two. There are a few compartments,
/// and each tenant may use some of them, chosen by its key. Of 8 compartments, 2 can be chosen in
/// 28 ways: a poisonous tenant fills its two, and only one in 28 of the others has no other
/// compartment left.
///
/// A call takes the least loaded of its key's compartments. The choice follows from the key alone,
/// so all instances of a service make the same one, and it stays the same for nearly all keys when a
/// compartment is added. What is remembered doesn't grow with the number of keys.
///
/// # How it fails when misused
///
/// With as many compartments for each key as there are, nothing is kept apart; with one, there is
/// nowhere to go when it is full. A call that has to wait does so in one compartment, the one with the
/// shortest line, even if a slot comes free in another meanwhile: where tenants may hang, better have
/// no waiting room, or a [longest wait](crate::BulkheadBuilder::waiting_room) that is short.
/// [`Shards::overlap`] says what to expect. A key that clients make
/// up gives them every compartment: use what was authenticated. And a tenant that knows the
/// [seed](ShuffleShardingBuilder::seed) may look for a name that shares another one's compartments.
///
/// ```
/// use buttress::{Bulkhead, by_fn};
///
/// struct Job { tenant: u64 }
///
/// // 8 compartments of 16 slots each: 128 calls at once, and 32 of one tenant's.
/// let sharded = Bulkhead::builder(16)
///     .shuffle_sharded(8, 2, by_fn(|job: &Job| Ok(job.tenant)))
///     .build()?;
/// assert_eq!(sharded.shards().count(), 28);
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// The idea and the arithmetic are Colm `MacCárthaigh`'s (*Workload isolation using
/// shuffle-sharding*, the Amazon Builders' Library).
#[derive(Debug)]
pub struct ShuffleSharding<K, L = Blind> {
    sharded: Arc<buttress_core::ShuffleSharding<K, L>>,
}

impl<K, L> ShuffleSharding<K, L> {
    /// How the keys are dealt out to compartments.
    pub fn shards(&self) -> &Shards {
        self.sharded.shards()
    }

    /// The compartments, by number: to look at them, or to change a limit.
    pub fn compartments(&self) -> &[Slots<L>] {
        self.sharded.compartments()
    }

    /// How many calls are under way, in all compartments.
    pub fn in_flight(&self) -> usize {
        self.sharded.taken()
    }

    /// How many calls wait, in all compartments.
    pub fn waiting(&self) -> usize {
        self.sharded.waiting()
    }
}

impl<K, L> Clone for ShuffleSharding<K, L> {
    fn clone(&self) -> Self {
        Self {
            sharded: Arc::clone(&self.sharded),
        }
    }
}

policy_layer!([K, L] ShuffleSharding<K, L>, sharded: Arc<buttress_core::ShuffleSharding<K, L>>);

/// The settings of a [`ShuffleSharding`].
#[derive(Debug)]
#[must_use = "call `build`"]
pub struct ShuffleShardingBuilder<K, L = Blind> {
    key: K,
    compartments: u32,
    per_key: u32,
    seed: u64,
    name: &'static str,
    template: Result<Slots<L>, SettingError>,
    missing_key: MissingKeyMeans,
    together: Option<Arc<buttress_core::ShuffleSharding<K, L>>>,
}

impl<K, L> ShuffleShardingBuilder<K, L> {
    pub(crate) fn new(
        key: K,
        compartments: u32,
        per_key: u32,
        name: &'static str,
        template: Result<Slots<L>, SettingError>,
    ) -> Self {
        Self {
            key,
            compartments,
            per_key,
            seed: 0,
            name,
            template,
            missing_key: MissingKeyMeans::Refused,
            together: None,
        }
    }

    /// Deals the keys out differently: 0 by default. Give all instances of a service the same one,
    /// and keep it to yourself if clients can choose their keys.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// What becomes of a call that has no key: by default it is refused.
    pub fn missing_key(mut self, missing: MissingKeyMeans) -> Self {
        self.missing_key = missing;
        self
    }

    /// Has the compartments of another one, as far as that has as many, so that the calls there are
    /// counted: for other settings while calls run. The limit, the waiting room and the name of those
    /// are the other one's until they are told to [follow](Slots::follow).
    pub fn compartments_of(mut self, other: &ShuffleSharding<K, L>) -> Self {
        self.together = Some(Arc::clone(&other.sharded));
        self
    }

    /// Checks the settings, those of the compartments included. There may be 2 to 4096
    /// compartments, of which each key gets 1 to 8, and fewer than there are. Choosing looks at each
    /// of them, which takes about a nanosecond.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<ShuffleSharding<K, L>, SettingError>
    where
        L: Clone,
    {
        let template = self.template?;
        let shards = Shards::new(self.compartments, self.per_key)?.seed(self.seed);
        let mut sharded = buttress_core::ShuffleSharding::new(self.key, shards, &template)
            .missing_key(self.missing_key)
            .named(self.name)?;
        if let Some(other) = &self.together {
            sharded = sharded.with_compartments_of(other);
        }
        Ok(ShuffleSharding {
            sharded: Arc::new(sharded),
        })
    }
}
