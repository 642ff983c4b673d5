use crate::link::{Link, instance_number};
use crate::memory::Memory;
use crate::redis::{ConnectError, RedisBuilder};
use crate::share::Share;
use crate::store::Store;
use buttress_core::SettingError;
use buttress_core::setting::{check_duration, check_range};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// All the instances of a service, and what they count on together.
///
/// It is a handle: clones are the same fleet. Instances belong to one fleet if they have the same
/// store, the same [namespace](FleetBuilder::namespace) and the same
/// [secret](FleetBuilder::secret); their limits count together if they have the same name and the
/// same settings.
///
/// ```no_run
/// use buttress::RateLimit;
/// use buttress_redis::{BuildOn, Fleet};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fleet = Fleet::redis("redis://127.0.0.1/").namespace("shop").connect().await?;
///
/// let exact = RateLimit::per_minute(60).named("orders").build_on(&fleet)?;
/// let quick = RateLimit::per_second(10_000).named("search").build_on(fleet.leased())?;
/// # let _ = (exact, quick);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Fleet {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) link: Arc<Link>,
    pub(crate) namespace: Arc<str>,
    pub(crate) secret: Arc<[u8]>,
}

impl Fleet {
    /// On a Redis or Valkey server at this address:
    /// `redis://[user][:password@]host[:port][/database]`, or `rediss://` for TLS (with the
    /// feature `tls`), or `redis+unix:///path`.
    pub fn redis(address: impl Into<String>) -> RedisBuilder {
        RedisBuilder::new(address.into())
    }

    /// On a Redis Cluster, of which some nodes are at these addresses.
    ///
    /// While a master is gone and not replaced yet, calls for its keys find out again and again:
    /// each time one of them waits for the deadline at most, and then all limits are decided
    /// locally for a moment, of up to 400 ms.
    #[cfg(feature = "cluster")]
    pub fn redis_cluster<A: Into<String>>(addresses: impl IntoIterator<Item = A>) -> RedisBuilder {
        RedisBuilder::cluster(addresses.into_iter().map(Into::into).collect())
    }

    /// On an engine of your own.
    pub fn on<S: Store>(store: S) -> FleetBuilder<S> {
        FleetBuilder::new(store)
    }

    /// A fleet of one, counted in the process: for tests and examples, and until there is a
    /// Redis.
    ///
    /// # Errors
    ///
    /// It is made outside of a tokio runtime.
    pub fn in_memory() -> Result<Self, SettingError> {
        Self::on(Memory::new()).start()
    }

    /// **Exact**: each call asks the store, and waits for the answer.
    ///
    /// For low rates, for billing, for what must not be exceeded. No more is admitted than by a
    /// limit in one process: in any `t`, `burst + rate × t`. The price is a round trip for each
    /// call, and as much work for the store as there are calls. It is what a [`Fleet`] given as it
    /// is means.
    pub fn exact(&self) -> Share {
        Share::exact(self.clone())
    }

    /// **Leased**: an instance takes a batch ahead, and decides in memory while it lasts.
    ///
    /// For high rates. A batch is what the instance lately used in
    /// [20 ms](Share::lead), and at most a fair share of half the burst; it is fetched in the
    /// background before the last one is used up, and what is not used within a few of those
    /// times is given back. A call waits for the store only when a key is new to this instance or
    /// its calls suddenly grow; a limit that is used up is refused in memory.
    ///
    /// What the instances hold is taken already, but may be used later than it was taken. So in
    /// any `t`, with `n` instances, at most
    ///
    /// ```text
    /// burst + rate × t + held,   held ≤ min(n × rate × lead, burst ÷ 2) + n × (largest cost)
    /// ```
    ///
    /// are admitted. It does not grow with `t`; and while the limit is used up, batches are what
    /// each instance got lately, so that all hold `rate × lead` together: 2 % of a second's calls.
    /// An instance that dies loses its batch; for that long less is admitted.
    pub fn leased(&self) -> Share {
        Share::leased(self.clone())
    }

    /// **Synchronised**: each instance counts for itself, and they exchange sums every
    /// `period` in the background.
    ///
    /// For limits that protect rather than bill. Nothing ever waits, a new key included. The
    /// price is that an instance does not know what the others admit between two exchanges. So in
    /// any `t`, with `n` instances, at most
    ///
    /// ```text
    /// burst + rate × t + (n − 1) × (burst + rate × (period + deadline))
    /// ```
    ///
    /// are admitted: what is too much once is made up for, and does not grow with `t`. By a
    /// sliding window it is `n × limit` in any one window, as the window estimates it.
    ///
    /// `period` is from 1 ms to a minute; 100 ms is a good start.
    pub fn synchronised(&self, period: Duration) -> Share {
        Share::synchronised(self.clone(), period)
    }

    /// Whether the store cannot be reached, and limits are decided locally.
    pub fn is_degraded(&self) -> bool {
        !self.inner.link.is_up()
    }

    /// How many instances there are, as far as is known. One that is gone counts for ten seconds
    /// more.
    pub fn instances(&self) -> u32 {
        self.inner.link.instances()
    }
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet")
            .field("namespace", &self.inner.namespace)
            .field("degraded", &self.is_degraded())
            .field("instances", &self.instances())
            .finish_non_exhaustive()
    }
}

/// The settings of a [`Fleet`].
#[derive(Clone)]
#[must_use = "call `start`"]
pub struct FleetBuilder<S> {
    store: S,
    namespace: String,
    secret: Vec<u8>,
    deadline: Duration,
    instances: u32,
}

impl<S> FleetBuilder<S> {
    pub(crate) fn new(store: S) -> Self {
        Self {
            store,
            namespace: "buttress".to_owned(),
            secret: Vec::new(),
            deadline: Duration::from_millis(20),
            instances: 1,
        }
    }

    /// What all keys begin with, so that several fleets can share a store: 1 to 64 letters,
    /// digits, `-`, `_` and `.`; `"buttress"` by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// A secret of the fleet, the same in each instance; none by default.
    ///
    /// What calls are told apart by never reaches the store: it is half of a SHA-256 that does,
    /// so keys that collide cannot be found, with a secret or without. But who can read the store
    /// and guess a client's address can find out whether that client called. With a secret, not
    /// even that. When it changes, all limits start afresh.
    pub fn secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.secret = secret.as_ref().to_vec();
        self
    }

    /// How long an ask may take, from a millisecond to a minute; 20 ms by default. An ask that
    /// takes longer counts as a failure of the store.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How many instances there are at least, from 1 to 100 000; 1 by default.
    ///
    /// They are counted while the store can be reached. This is what is assumed of those who have
    /// not been heard of yet, such as when a service starts without its Redis.
    pub fn instances(mut self, instances: u32) -> Self {
        self.instances = instances;
        self
    }

    /// Counts on this engine.
    pub(crate) fn on<T>(self, store: T) -> FleetBuilder<T> {
        FleetBuilder {
            store,
            namespace: self.namespace,
            secret: self.secret,
            deadline: self.deadline,
            instances: self.instances,
        }
    }

    /// The runtime that the background work runs on.
    pub(crate) fn runtime() -> Result<Handle, SettingError> {
        Handle::try_current()
            .map_err(|_| SettingError::new("runtime", "none", "tokio's: a fleet works in it"))
    }
}

impl<S: Store> FleetBuilder<S> {
    /// Checks the settings. The engine is not asked yet: if it does not answer, limits are
    /// decided locally until it does.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed; or it is made
    /// outside of a tokio runtime.
    pub fn start(self) -> Result<Fleet, SettingError> {
        let (fleet, instance) = self.make()?;
        fleet.inner.link.keep(instance);
        Ok(fleet)
    }

    pub(crate) fn start_lost(self, why: &str) -> Result<Fleet, SettingError> {
        let (fleet, instance) = self.make()?;
        fleet.inner.link.start_lost(&why);
        fleet.inner.link.keep(instance);
        Ok(fleet)
    }

    pub(crate) async fn start_answered(self, wait: Duration) -> Result<Fleet, ConnectError> {
        let (fleet, instance) = self.make()?;
        let link = &fleet.inner.link;
        let answer = link.first_word(instance, wait).await;
        answer.map_err(ConnectError::Unreachable)?;
        link.keep(instance);
        Ok(fleet)
    }

    fn make(self) -> Result<(Fleet, u64), SettingError> {
        let runtime = Self::runtime()?;
        let namespace: Arc<str> = check_namespace(self.namespace)?.into();
        let deadline = check_duration("deadline", self.deadline)?;
        if !(SHORTEST_DEADLINE..=LONGEST_DEADLINE).contains(&deadline) {
            let allowed = "from 1 ms to 60 s";
            let value = format_args!("{deadline:?}");
            return Err(SettingError::new("deadline", value, allowed));
        }
        let instances = check_range("instances", self.instances, 1..=100_000)?;
        let store: Arc<dyn Store> = Arc::new(self.store);
        let link = Link::new(store, deadline, instances, Arc::clone(&namespace), runtime);
        let inner = Inner {
            link,
            namespace,
            secret: self.secret.into(),
        };
        let fleet = Fleet {
            inner: Arc::new(inner),
        };
        Ok((fleet, instance_number()))
    }
}

fn check_namespace(namespace: String) -> Result<String, SettingError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if (1..=64).contains(&namespace.len()) && namespace.bytes().all(plain) {
        return Ok(namespace);
    }
    let allowed = "1 to 64 letters, digits, `-`, `_` and `.`";
    let value = format_args!("{namespace:?}");
    Err(SettingError::new("namespace", value, allowed))
}

/// Says all but the secret.
impl<S> fmt::Debug for FleetBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetBuilder")
            .field("namespace", &self.namespace)
            .field("deadline", &self.deadline)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}

const SHORTEST_DEADLINE: Duration = Duration::from_millis(1);
const LONGEST_DEADLINE: Duration = Duration::from_secs(60);
