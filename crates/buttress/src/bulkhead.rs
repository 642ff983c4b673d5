use crate::guard::policy_layer;
use crate::keyed::{Keyed, KeyedBuilder};
use crate::shuffle::ShuffleShardingBuilder;
use buttress_core::{Blind, Discipline, SettingError, Slots};
use std::time::Duration;

/// At most so many calls at once.
///
/// A service that slows down collects calls: each holds memory, a connection, perhaps a lock, and
/// when enough have piled up they take everything else down with them. A bulkhead bounds how many
/// are under way, so that one slow dependency or one expensive route cannot use up what the
/// others need.
///
/// A call takes its slot when it is admitted and gives it back when it is over: for HTTP and gRPC
/// at the last byte of the response's body, also when the call is cancelled or panics. It is a
/// handle: clones share the slots, so one bulkhead on ten routes is one limit.
///
/// # How it fails when misused
///
/// A limit that is far too high never refuses anything; measure how many calls your service
/// handles well. A long waiting room turns overload into latency: callers give up, and the
/// service works for nobody. Keep the room small and the wait shorter than your callers'
/// patience, or have none, which is the default.
///
/// ```
/// use buttress::{Bulkhead, Plain};
/// use std::time::Duration;
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// // 64 calls at once; up to 16 more wait for 50 ms at most.
/// let slots = Bulkhead::builder(64)
///     .waiting_room(16, Duration::from_millis(50))
///     .named("search")
///     .build()?;
///
/// let service = ServiceBuilder::new()
///     .layer(slots.protocol(Plain::new()))
///     .service(service_fn(|query: String| async move { Ok::<_, BoxError>(query.len()) }));
/// # let _ = service;
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// Which of those that wait is served next is a [`Discipline`]. What it needs to know of a call, and
/// until when the call's caller waits, is [seen](BulkheadBuilder::looking) by `L`.
///
/// The idea is from Michael Nygard's *Release It!* (2007).
#[derive(Clone, Debug)]
pub struct Bulkhead<L = Blind> {
    slots: Slots<L>,
}

impl Bulkhead {
    /// At most `limit` calls at once, from 1 to 2³² − 1. What finds no slot is refused at once.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn new(limit: u32) -> Result<Self, SettingError> {
        Self::builder(limit).build()
    }

    /// The same with more settings.
    pub fn builder(limit: u32) -> BulkheadBuilder {
        BulkheadBuilder {
            limit,
            room: None,
            discipline: Discipline::Fifo,
            name: "bulkhead",
            look: Blind,
        }
    }
}

impl<L> Bulkhead<L> {
    /// Changes the limit while calls run. A higher one lets waiting calls in at once; a lower one
    /// interrupts nobody, and admits nobody until enough calls have ended.
    ///
    /// # Errors
    ///
    /// `limit` is 0.
    pub fn set_limit(&self, limit: u32) -> Result<(), SettingError> {
        self.slots.set_limit(limit)
    }

    /// Goes by the settings of another one from now on, while calls run: its limit, its waiting room
    /// and the discipline there, and its name. Calls under way stay counted, and those that wait stay
    /// in line; see [`Slots::follow`].
    pub fn follow<M>(&self, other: &Bulkhead<M>) {
        self.slots.follow(&other.slots);
    }

    /// How many calls may be under way at once.
    pub fn limit(&self) -> u32 {
        self.slots.limit()
    }

    /// How many calls are under way.
    pub fn in_flight(&self) -> usize {
        self.slots.taken()
    }

    /// How many calls wait for a slot.
    pub fn waiting(&self) -> usize {
        self.slots.waiting()
    }
}

impl<K, L: Clone + Send + Sync + 'static> Keyed<K, Slots<L>> {
    /// Goes by another one's settings of the bulkhead for each key from now on, while calls run, also
    /// for keys that are new; see [`Slots::follow`]. How many keys are remembered and what becomes of
    /// calls without one stays.
    pub fn follow<J>(&self, other: &Keyed<J, Slots<L>>) {
        let slots = other.for_a_new_key();
        let template = slots.clone();
        self.change(move || template.fresh(), |each| each.follow(&slots));
    }
}

policy_layer!([L] Bulkhead<L>, slots: Slots<L>, where L: Clone);

/// The settings of a [`Bulkhead`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct BulkheadBuilder<L = Blind> {
    limit: u32,
    room: Option<(u32, Duration)>,
    discipline: Discipline,
    name: &'static str,
    look: L,
}

impl<L> BulkheadBuilder<L> {
    /// Lets at most `places` calls (1 to 1 000 000) wait for a slot, each for `longest_wait` at most
    /// (up to a year). By default nobody waits.
    pub fn waiting_room(mut self, places: u32, longest_wait: Duration) -> Self {
        self.room = Some((places, longest_wait));
        self
    }

    /// Who of those that wait is served next: who came first, by default.
    ///
    /// ```
    /// use buttress::{Bulkhead, Discipline};
    /// use std::time::Duration;
    ///
    /// // A burst may wait for a second, but under overload nobody does for longer than 10 ms.
    /// let slots = Bulkhead::builder(64)
    ///     .waiting_room(1_000, Duration::from_secs(1))
    ///     .discipline(Discipline::codel())
    ///     .build()?;
    /// # let _ = slots;
    /// # Ok::<(), buttress::SettingError>(())
    /// ```
    pub fn discipline(mut self, discipline: Discipline) -> Self {
        self.discipline = discipline;
        self
    }

    /// What is seen in a call that has to wait: its criticality, for [`Discipline::Priority`], and
    /// its caller's deadline. Once that has passed, the call is refused, and it is not run even if
    /// its turn has just come. By default, nothing.
    ///
    /// `Carried` sees what a request carries in its extensions; a closure from the call to a
    /// [`Criticality`](crate::Criticality) sees that.
    #[cfg_attr(
        feature = "http",
        doc = r"
```
use buttress::{Bulkhead, Carried, Discipline};
use std::time::Duration;

let slots = Bulkhead::builder(64)
    .waiting_room(256, Duration::from_secs(1))
    .discipline(Discipline::Priority)
    .looking(Carried)
    .build()?;
# let _ = slots;
# Ok::<(), buttress::SettingError>(())
```"
    )]
    pub fn looking<M>(self, look: M) -> BulkheadBuilder<M> {
        BulkheadBuilder {
            limit: self.limit,
            room: self.room,
            discipline: self.discipline,
            name: self.name,
            look,
        }
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"bulkhead"` by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// One bulkhead with these settings for each key. The next call must be of the keyed
    /// builder's.
    pub fn by<K>(self, key: K) -> KeyedBuilder<K, Slots<L>>
    where
        L: Clone + Send + Sync + 'static,
    {
        let name = self.name;
        let template = self.slots();
        KeyedBuilder::from_template(key, name, template, Slots::fresh)
    }

    /// Several bulkheads with these settings, of which each key gets a few of its own choice: `limit`
    /// is then that of each compartment. The next call must be of the sharded builder's.
    pub fn shuffle_sharded<K>(
        self,
        compartments: u32,
        per_key: u32,
        key: K,
    ) -> ShuffleShardingBuilder<K, L> {
        let name = self.name;
        ShuffleShardingBuilder::new(key, compartments, per_key, name, self.slots())
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Bulkhead<L>, SettingError> {
        let slots = self.slots()?;
        Ok(Bulkhead { slots })
    }

    fn slots(self) -> Result<Slots<L>, SettingError> {
        let mut slots = Slots::new(self.limit)?.named(self.name)?;
        if let Some((places, longest_wait)) = self.room {
            slots = slots.waiting_room(places, longest_wait)?;
        }
        if self.discipline != Discipline::Fifo {
            slots = slots.discipline(self.discipline)?;
        }
        Ok(slots.looking(self.look))
    }
}
