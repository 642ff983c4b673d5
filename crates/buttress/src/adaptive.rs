use crate::guard::policy_layer;
use crate::keyed::{Keyed, KeyedBuilder};
use buttress_core::limit::{AdaptiveSlots, LatencyQuantile, Limit};
use buttress_core::{Blind, Discipline, SettingError};
use std::fmt;
use std::time::Duration;

/// As many calls at once as the callee handles well, found out while running.
///
/// It is a [`Bulkhead`](crate::Bulkhead) that nobody has to size. Somebody has measured that the
/// service bears 64 calls at once; since then it was given a larger machine, its database a smaller
/// one, and each call does more. The right number changes by the hour, and it can be seen: up to it,
/// more calls at once are more calls served; beyond it they only wait longer. The field calls this
/// an *adaptive concurrency limit*.
///
/// The limit follows what a [`Limit`] makes of the latencies. [`LatencyQuantile`] is the default:
/// of those in [`limit`](crate::limit) it alone keeps both the callee busy and the queue short when
/// calls differ from each other, when a long overload must not become normal, and when the callee
/// has changed. `docs/architecture.md` has the measurements.
///
/// A call's time counts from its admission to its end: for HTTP and gRPC, to the last byte of the
/// response's body. Cancelled calls and refusals of ours teach nothing. An overload that the callee
/// reports (429, a 503 with `Retry-After`, `RESOURCE_EXHAUSTED`) lowers the limit. It is a handle:
/// clones share the limit, the calls and what was learnt.
///
/// # How it fails when misused
///
/// It looks at one kind of call. Where a route that takes a millisecond and one that takes a minute
/// share a limit, the mixture of the moment looks like a change of the callee: give each its own,
/// or [one for each key](AdaptiveLimitBuilder::by). Streaming responses that last for as long as the
/// client likes say nothing about the service; use a [`Bulkhead`](crate::Bulkhead) there.
///
/// Every 429 that comes through it is taken for an overload, though it may be one client's quota that
/// is used up: a few in each round trip hold the limit down for everybody. Put rate limits outside of
/// it, and where the service itself answers so, have `Http` [classify](crate::Http) it as a success. In
/// the same way a flood of quick answers (404s, say) passes for what the service normally takes, and
/// calls that do more for slow ones, for up to a minute.
///
/// Put the [`Timeout`](crate::Timeout) inside it, so that a callee that hangs is slow and not just
/// left by its callers.
///
/// ```
/// use buttress::{AdaptiveLimit, Plain};
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// let limit = AdaptiveLimit::new()?;
/// let service = ServiceBuilder::new()
///     .layer(limit.protocol(Plain::new()))
///     .service(service_fn(|query: String| async move { Ok::<_, BoxError>(query.len()) }));
/// assert_eq!(limit.limit(), 20);
/// # let _ = service;
/// # Ok::<(), buttress::SettingError>(())
/// ```
///
/// Another algorithm, or one of your own:
///
/// ```
/// use buttress::{AdaptiveLimit, limit::Vegas};
/// use std::time::Duration;
///
/// let limit = AdaptiveLimit::builder()
///     .algorithm(Vegas::new().start(50).max(500))
///     .waiting_room(16, Duration::from_millis(50))
///     .named("search")
///     .build()?;
/// # let _ = limit;
/// # Ok::<(), buttress::SettingError>(())
/// ```
pub struct AdaptiveLimit<L = LatencyQuantile, K = Blind> {
    slots: AdaptiveSlots<L, K>,
}

impl AdaptiveLimit {
    /// With the default algorithm: a limit from 1 to 1000, and 20 to begin with. What finds no slot
    /// is refused at once.
    ///
    /// # Errors
    ///
    /// None today; it has the shape of all the others.
    pub fn new() -> Result<Self, SettingError> {
        Self::builder().build()
    }

    /// The same with more settings.
    pub fn builder() -> AdaptiveLimitBuilder {
        AdaptiveLimitBuilder {
            algorithm: LatencyQuantile::new(),
            room: None,
            discipline: Discipline::Fifo,
            look: Blind,
            name: None,
        }
    }
}

impl<L, K> AdaptiveLimit<L, K> {
    /// How many calls may be under way at once, as of now.
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

impl<L: Limit + Clone, K: Clone> AdaptiveLimit<L, K> {
    /// Has the waiting room, the discipline there and the name of another one from now on, while calls
    /// run. The limit stays, and what was learnt; see [`Slots::follow`](crate::Slots::follow).
    pub fn follow<M, J>(&self, other: &AdaptiveLimit<M, J>)
    where
        M: Limit + Clone,
        J: Clone,
    {
        self.slots.follow(&other.slots);
    }

    /// Goes by another algorithm from now on, while calls run. They stay counted. It begins with the
    /// limit that there is, or the nearest that it allows, and has everything else to learn.
    pub fn go_by(&self, algorithm: L) {
        self.slots.go_by(algorithm);
    }

    /// The algorithm as it is now, with what it has learnt.
    pub fn algorithm(&self) -> L {
        self.slots.algorithm()
    }
}

impl<By, L, K> Keyed<By, AdaptiveSlots<L, K>>
where
    L: Limit + Clone + Send + 'static,
    K: Clone + Send + Sync + 'static,
{
    /// Has another one's waiting room and name for each key from now on, while calls run, also for keys
    /// that are new; the algorithm, too, if it is `another_algorithm`, for which see
    /// [`go_by`](AdaptiveLimit::go_by). How many keys are remembered and what becomes of calls without
    /// one stays.
    pub fn follow<J>(&self, other: &Keyed<J, AdaptiveSlots<L, K>>, another_algorithm: bool) {
        let slots = other.for_a_new_key();
        let template = slots.clone();
        self.change(
            move || template.fresh(),
            |each| {
                each.follow(&slots);
                if another_algorithm {
                    each.go_by(slots.algorithm());
                }
            },
        );
    }
}

impl<L, K: Clone> Clone for AdaptiveLimit<L, K> {
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
        }
    }
}

impl<L, K> fmt::Debug for AdaptiveLimit<L, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.slots.fmt(f)
    }
}

policy_layer!([L, K] AdaptiveLimit<L, K>, slots: AdaptiveSlots<L, K>, where K: Clone);

/// The settings of an [`AdaptiveLimit`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct AdaptiveLimitBuilder<L = LatencyQuantile, K = Blind> {
    algorithm: L,
    room: Option<(u32, Duration)>,
    discipline: Discipline,
    look: K,
    name: Option<&'static str>,
}

impl<L, K> AdaptiveLimitBuilder<L, K> {
    /// How the limit is found: one of [`limit`](crate::limit) with settings of your own, or a
    /// [`Limit`] of your own.
    pub fn algorithm<M: Limit>(self, algorithm: M) -> AdaptiveLimitBuilder<M, K> {
        AdaptiveLimitBuilder {
            algorithm,
            room: self.room,
            discipline: self.discipline,
            look: self.look,
            name: self.name,
        }
    }

    /// Lets at most `places` calls (1 to 1 000 000) wait for a slot, each for `longest_wait` at most
    /// (up to a year). By default nobody waits. The time that a call waits is not the callee's, and
    /// the limit learns nothing from it.
    pub fn waiting_room(mut self, places: u32, longest_wait: Duration) -> Self {
        self.room = Some((places, longest_wait));
        self
    }

    /// Who of those that wait is served next: who came first, by default.
    pub fn discipline(mut self, discipline: Discipline) -> Self {
        self.discipline = discipline;
        self
    }

    /// What is seen in a call that has to wait: its criticality, for [`Discipline::Priority`], and
    /// its caller's deadline, after which it is not run. By default, nothing; see
    /// [`BulkheadBuilder::looking`](crate::BulkheadBuilder::looking).
    pub fn looking<M>(self, look: M) -> AdaptiveLimitBuilder<L, M> {
        AdaptiveLimitBuilder {
            algorithm: self.algorithm,
            room: self.room,
            discipline: self.discipline,
            look,
            name: self.name,
        }
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"adaptive-limit"` by
    /// default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }
}

impl<L: Limit + Clone, K: Clone> AdaptiveLimitBuilder<L, K> {
    /// One limit with these settings for each key. The next call must be of the keyed builder's.
    ///
    /// Each takes about 2 kB, so bound the number of keys by what memory there is: the default of
    /// 100 000 would take 200 MB.
    pub fn by<Key>(self, key: Key) -> KeyedBuilder<Key, AdaptiveSlots<L, K>>
    where
        L: Send + 'static,
        K: Send + Sync + 'static,
    {
        let name = self.name.unwrap_or("adaptive-limit");
        KeyedBuilder::from_template(key, name, self.slots(), AdaptiveSlots::fresh)
    }

    /// Checks the settings, the algorithm's included.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<AdaptiveLimit<L, K>, SettingError> {
        let slots = self.slots()?;
        Ok(AdaptiveLimit { slots })
    }

    fn slots(self) -> Result<AdaptiveSlots<L, K>, SettingError> {
        let mut slots = AdaptiveSlots::new(self.algorithm)?;
        if let Some(name) = self.name {
            slots = slots.named(name)?;
        }
        if let Some((places, longest_wait)) = self.room {
            slots = slots.waiting_room(places, longest_wait)?;
        }
        if self.discipline != Discipline::Fifo {
            slots = slots.discipline(self.discipline)?;
        }
        Ok(slots.looking(self.look))
    }
}
