use crate::ask::{Action, Answer, Ask};
use crate::breaker::{FIRST_PAUSE, breaker};
use crate::digest::Digest;
use crate::rule::Rule;
use crate::store::{Store, StoreError};
use crate::words::Words;
use buttress_core::breaker::{Breaker, BreakerPermit, CircuitState};
use buttress_core::{Admission, Now, Outcome, Permit, Policy, SettingError};
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::{EnterGuard, Handle};
use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, timeout};

/// A fleet's line to its store: the deadline, the breaker, and who else is there.
pub(crate) struct Link {
    store: Arc<dyn Store>,
    deadline: Duration,
    breaker: Breaker,
    /// A place for each ask that may be under way.
    places: Semaphore,
    most_asks: u32,
    instances: AtomicU32,
    fewest_instances: u32,
    runtime: Handle,
    words: Words,
    /// Tells the heartbeat that the store was lost.
    alarm: Arc<Notify>,
    namespace: Arc<str>,
}

/// What a link must know.
pub(crate) struct Terms {
    pub(crate) deadline: Duration,
    pub(crate) instances: u32,
    pub(crate) most_asks: u32,
    pub(crate) namespace: Arc<str>,
    pub(crate) runtime: Handle,
}

/// The store has no answer, and whoever asked is on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable;

/// For whom the store is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum For {
    /// A call: if too many wait already, it is not one more.
    Call,
    /// What goes on in the background, of which there is no more than keys: it may stand in line.
    Keeper,
}

impl Link {
    pub(crate) fn new(store: Arc<dyn Store>, terms: Terms) -> Result<Arc<Self>, SettingError> {
        Ok(Arc::new(Self {
            store,
            deadline: terms.deadline,
            breaker: breaker()?,
            // 32 bits fit everywhere.
            places: Semaphore::new(terms.most_asks as usize),
            most_asks: terms.most_asks,
            instances: AtomicU32::new(terms.instances),
            fewest_instances: terms.instances,
            runtime: terms.runtime,
            words: Words::default(),
            alarm: Arc::new(Notify::new()),
            namespace: terms.namespace,
        }))
    }

    #[inline]
    pub(crate) fn is_up(&self, now: &Now) -> bool {
        self.breaker.state(now) == CircuitState::Closed
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn instances(&self) -> u32 {
        self.instances.load(Ordering::Relaxed)
    }

    /// Asks the store, within the deadline. It is not asked while the breaker is open.
    pub(crate) async fn ask(&self, whom: For, ask: Ask) -> Result<Answer, Unreachable> {
        let now = clock();
        if !self.is_up(&now) {
            return Err(Unreachable);
        }
        let _place = self.place(whom).await?;
        self.ask_now(ask).await
    }

    async fn place(&self, whom: For) -> Result<SemaphorePermit<'_>, Unreachable> {
        match self.places.try_acquire() {
            Ok(place) => return Ok(place),
            Err(_) if whom == For::Keeper => {}
            Err(_) => {
                self.words.full(&self.namespace, self.most_asks);
                return Err(Unreachable);
            }
        }
        match timeout(self.deadline, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            // In line behind others who got their answers: it is not the store that has failed.
            Ok(Err(_)) | Err(_) => Err(Unreachable),
        }
    }

    async fn ask_now(&self, ask: Ask) -> Result<Answer, Unreachable> {
        let Admission::Admitted(permit) = self.breaker.admit(&(), &clock()) else {
            return Err(Unreachable);
        };
        let answer = timeout(self.deadline, self.store.ask(ask)).await;
        self.settle(permit, answer)
    }

    /// Tells the breaker how it went, and the log if that was news.
    fn settle<T>(
        &self,
        permit: BreakerPermit,
        answer: Result<Result<T, StoreError>, Elapsed>,
    ) -> Result<T, Unreachable> {
        let now = clock();
        match answer {
            Ok(Ok(answer)) => {
                permit.complete(Outcome::Success, &now);
                // An answer from before an outage closes nothing.
                if self.is_up(&now) {
                    self.words.found(&self.namespace);
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.lose(permit, &error, &now)),
            Err(_) => Err(self.lose(permit, &Overdue(self.deadline), &now)),
        }
    }

    fn lose(&self, permit: BreakerPermit, why: &dyn fmt::Display, now: &Now) -> Unreachable {
        permit.complete(Outcome::Failure, now);
        // A failure from before an outage that is over opens nothing.
        if !self.is_up(now) && self.words.lost(&self.namespace, why) {
            self.alarm.notify_one();
        }
        Unreachable
    }

    /// Runs in the background, on the runtime that asks or else on the fleet's own.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        // The handle of a task that nobody waits for.
        drop(match Handle::try_current() {
            Ok(runtime) => runtime.spawn(task),
            Err(_) => self.runtime.spawn(task),
        });
    }

    /// For what must be polled within a runtime, if this is none.
    pub(crate) fn enter(&self) -> Option<EnterGuard<'_>> {
        let outside = Handle::try_current().is_err();
        outside.then(|| self.runtime.enter())
    }

    /// Asks in the background, for whoever has no use for the answer.
    pub(crate) fn tell(self: &Arc<Self>, ask: Ask) {
        // If it is lost, less is admitted than could have been: the safe side.
        if !self.is_up(&clock()) || self.places.available_permits() == 0 {
            return;
        }
        let link = Arc::clone(self);
        self.spawn(async move {
            let _ = link.ask(For::Call, ask).await;
        });
    }

    /// Whether the store answers at all, and who is there.
    pub(crate) async fn first_word(&self, instance: u64, wait: Duration) -> Result<(), StoreError> {
        match timeout(wait, self.store.present(&self.namespace, instance)).await {
            Ok(answer) => {
                self.count(&mut VecDeque::new(), answer?);
                Ok(())
            }
            Err(_) => Err(StoreError::new(Overdue(wait).to_string())),
        }
    }

    /// Says now and then that this instance is alive, and finds out whether the store is back.
    /// It ends with the last handle of the fleet.
    pub(crate) fn keep(self: &Arc<Self>, instance: u64) {
        let link = Arc::downgrade(self);
        drop(self.runtime.spawn(heartbeat(link, instance)));
    }

    /// It is lost before it was ever asked.
    pub(crate) fn start_lost(&self, why: &dyn fmt::Display) {
        let now = clock();
        if let Admission::Admitted(permit) = self.breaker.admit(&(), &now) {
            self.lose(permit, why, &now);
        }
    }

    /// How long until this instance should say that it is alive.
    fn pause(&self) -> Pause {
        let snapshot = self.breaker.snapshot(&clock());
        match snapshot.state {
            CircuitState::Closed => Pause::Heartbeat,
            // Nobody knows how long if a probe is under way, which is no longer than a deadline.
            _ if snapshot.probes > 0 => Pause::For(FIRST_PAUSE),
            _ => Pause::For(snapshot.retry_after.unwrap_or_default()),
        }
    }

    async fn beat(&self, heard: &mut VecDeque<u32>, instance: u64) {
        let Admission::Admitted(permit) = self.breaker.admit(&(), &clock()) else {
            return;
        };
        let present = self.store.present(&self.namespace, instance);
        if let Ok(present) = self.settle(permit, timeout(self.deadline, present).await) {
            self.count(heard, present);
        }
    }

    /// An instance that is gone is missed for as long as it takes others to be sure of it: a
    /// store that comes back empty has heard of nobody yet.
    fn count(&self, heard: &mut VecDeque<u32>, present: u32) {
        if heard.len() == MEMORY {
            heard.pop_front();
        }
        heard.push_back(present);
        let most = heard.iter().copied().max().unwrap_or(1);
        self.instances
            .store(most.max(self.fewest_instances), Ordering::Relaxed);
    }
}

enum Pause {
    /// All is well.
    Heartbeat,
    /// The breaker is open.
    For(Duration),
}

async fn heartbeat(link: Weak<Link>, instance: u64) {
    let mut heard = VecDeque::with_capacity(MEMORY);
    loop {
        let Some(this) = link.upgrade() else { return };
        let (pause, alarm) = (this.pause(), Arc::clone(&this.alarm));
        drop(this);
        match pause {
            Pause::Heartbeat => {
                if timeout(HEARTBEAT, alarm.notified()).await.is_ok() {
                    // Lost just now: the next round waits before it probes.
                    continue;
                }
            }
            Pause::For(pause) => sleep(pause).await,
        }
        let Some(this) = link.upgrade() else { return };
        this.beat(&mut heard, instance).await;
    }
}

/// The time, if somebody asks.
pub(crate) fn clock() -> Now {
    Now::lazy(|| Instant::now().into_std())
}

/// A number that no other instance has.
pub(crate) fn instance_number() -> u64 {
    RandomState::new().hash_one(std::process::id())
}

struct Overdue(Duration);

impl fmt::Display for Overdue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no answer within {:?}", self.0)
    }
}

/// What is counted, and by which rule: the store's side of one key of one limit.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    pub(crate) link: Arc<Link>,
    pub(crate) rule: Rule,
    pub(crate) name: &'static str,
}

impl Subject {
    /// The braces are Redis Cluster's: what is between them decides on the node. It is the
    /// digest, so that keys spread. The name is for people who look.
    pub(crate) fn ask(&self, digest: Digest, action: Action) -> Ask {
        let (namespace, name) = (&self.link.namespace, self.name);
        let key = format!("{namespace}:{{{:032x}}}:{name}", digest.0);
        Ask::new(key, self.rule, action)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("up", &self.is_up(&clock()))
            .field("instances", &self.instances())
            .finish_non_exhaustive()
    }
}

const HEARTBEAT: Duration = Duration::from_secs(1);

/// How many heartbeats a count of instances is believed for.
const MEMORY: usize = 10;
