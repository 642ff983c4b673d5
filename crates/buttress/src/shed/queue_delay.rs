use crate::guard::policy_layer;
use buttress_core::SettingError;
use buttress_core::shed::{self, CoDel};
use std::sync::Arc;
use std::time::Duration;

/// Refuses calls that have waited for too long, while the queue stands.
///
/// Every server has queues that nobody declared: the runtime's, a waiting room's, a connection's.
/// They are for bursts. When more comes than can be served, they fill, and from then on every call
/// waits for as long as the queue is, also the ones that will be answered. It is not the length that
/// tells a burst from an overload, but whether the queue ever becomes short: *CoDel* (Nichols and
/// Jacobson, 2012) looks at the call that waited least in each 100 ms. If even that one waited for
/// more than 5 ms, the queue stands, and calls that waited for more than 10 ms are refused, until
/// there is again one that waited for less than 5 ms. That is folly's form of it, and its numbers.
///
/// What is measured is the time from a call's arrival to this layer. For HTTP, put
/// [`MarkArrival`](super::MarkArrival) outermost, and this one inside of everything in which calls
/// wait. It is a handle: clones share what was seen.
///
/// # How it fails when misused
///
/// Where nothing can wait between the mark and this layer, it does nothing. A target below what a
/// busy but healthy service makes calls wait sheds all the time.
///
/// ```
/// use buttress::{Plain, QueueDelay};
/// use std::time::{Duration, Instant};
///
/// struct Job { queued_at: Instant }
///
/// let shedder = QueueDelay::builder()
///     .target(Duration::from_millis(20))
///     .since(|job: &Job| Some(job.queued_at))
///     .build()?;
/// let layer = shedder.protocol(Plain::new());
/// # let _ = layer;
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Debug)]
pub struct QueueDelay<A = DefaultArrival> {
    policy: Arc<shed::QueueDelay<A>>,
}

#[cfg(feature = "http")]
type DefaultArrival = super::FromArrival;
#[cfg(not(feature = "http"))]
type DefaultArrival = ();

#[cfg(feature = "http")]
impl QueueDelay {
    /// Target 5 ms, interval 100 ms, for requests that [`MarkArrival`](super::MarkArrival) marked.
    ///
    /// # Errors
    ///
    /// None today; it has the shape of all the others.
    pub fn new() -> Result<Self, SettingError> {
        Self::builder().build()
    }
}

impl QueueDelay {
    /// The same with more settings.
    pub fn builder() -> QueueDelayBuilder {
        QueueDelayBuilder {
            target: None,
            interval: None,
            arrival: DefaultArrival::default(),
            name: "queue-delay",
        }
    }
}

impl<A> QueueDelay<A> {
    /// Whether the queue stands: even the call that waited least waited for too long.
    pub fn is_overloaded(&self) -> bool {
        self.policy.is_overloaded()
    }
}

impl<A> Clone for QueueDelay<A> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
        }
    }
}

policy_layer!([A] QueueDelay<A>, policy: Arc<shed::QueueDelay<A>>);

/// The settings of a [`QueueDelay`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct QueueDelayBuilder<A = DefaultArrival> {
    target: Option<Duration>,
    interval: Option<Duration>,
    arrival: A,
    name: &'static str,
}

impl<A> QueueDelayBuilder<A> {
    /// The wait that is no reason to worry, up to a year; 5 ms by default. Calls that waited for
    /// more than twice as long are refused while the queue stands.
    pub fn target(mut self, target: Duration) -> Self {
        self.target = Some(target);
        self
    }

    /// How long a queue must stand before it is too long, up to a year; 100 ms by default.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = Some(interval);
        self
    }

    /// When a call arrived. A call for which it is not known is admitted, and the log says so once.
    pub fn since<B>(self, arrival: B) -> QueueDelayBuilder<B> {
        QueueDelayBuilder {
            target: self.target,
            interval: self.interval,
            arrival,
            name: self.name,
        }
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"queue-delay"` by
    /// default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<QueueDelay<A>, SettingError> {
        let mut codel = CoDel::new();
        if let Some(target) = self.target {
            codel = codel.target(target)?;
        }
        if let Some(interval) = self.interval {
            codel = codel.interval(interval)?;
        }
        let policy = shed::QueueDelay::new(codel, self.arrival).named(self.name)?;
        Ok(QueueDelay {
            policy: Arc::new(policy),
        })
    }
}
