use crate::ask::{Action, Answer, Ask};
use crate::digest::Digest;
use crate::fuse::Fuse;
use crate::rule::Rule;
use crate::store::{Store, StoreError};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::{EnterGuard, Handle};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};

/// A fleet's line to its store: the deadline, the breaker, and who else is there.
pub(crate) struct Link {
    store: Arc<dyn Store>,
    deadline: Duration,
    fuse: Fuse,
    instances: AtomicU32,
    fewest_instances: u32,
    runtime: Handle,
    words: Mutex<Words>,
    /// Tells the heartbeat that the store was lost.
    alarm: Arc<Notify>,
    namespace: Arc<str>,
}

/// The store has no answer, and whoever asked is on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreachable;

impl Link {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        deadline: Duration,
        instances: u32,
        namespace: Arc<str>,
        runtime: Handle,
    ) -> Arc<Self> {
        Arc::new(Self {
            store,
            deadline,
            fuse: Fuse::default(),
            instances: AtomicU32::new(instances),
            fewest_instances: instances,
            runtime,
            words: Mutex::default(),
            alarm: Arc::new(Notify::new()),
            namespace,
        })
    }

    #[inline]
    pub(crate) fn is_up(&self) -> bool {
        !self.fuse.is_blown()
    }

    pub(crate) fn deadline(&self) -> Duration {
        self.deadline
    }

    pub(crate) fn instances(&self) -> u32 {
        self.instances.load(Ordering::Relaxed)
    }

    /// Asks the store, within the deadline. It is not asked while the breaker is open.
    pub(crate) async fn ask(&self, ask: Ask) -> Result<Answer, Unreachable> {
        if !self.is_up() {
            return Err(Unreachable);
        }
        match timeout(self.deadline, self.store.ask(ask)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(self.lost(&error)),
            Err(_) => Err(self.lost(&Overdue(self.deadline))),
        }
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
        let link = Arc::clone(self);
        self.spawn(async move {
            // If it is lost, less is admitted than could have been: the safe side.
            let _ = link.ask(ask).await;
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
    pub(crate) fn start_lost(&self, error: &dyn fmt::Display) {
        self.lost(error);
    }

    fn lost(&self, error: &dyn fmt::Display) -> Unreachable {
        if self.fuse.blow() {
            self.alarm.notify_one();
            if self.words.lock().may_tell_loss(Instant::now()) {
                tracing::warn!(
                    fleet = &*self.namespace,
                    "the store of rate limits is lost, and they are decided here: {error}"
                );
            }
        }
        Unreachable
    }

    fn found(&self) {
        if self.fuse.mend() && self.words.lock().may_tell_return() {
            tracing::info!(
                fleet = &*self.namespace,
                "the store of rate limits answers again"
            );
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

/// What was said of outages: each once, and of a store that comes and goes only now and then.
#[derive(Default)]
struct Words {
    last: Option<Instant>,
    told: bool,
}

impl Words {
    fn may_tell_loss(&mut self, now: Instant) -> bool {
        let may = self.last.is_none_or(|last| now - last >= QUIET);
        if may {
            self.last = Some(now);
            self.told = true;
        }
        may
    }

    /// Only if its loss was told.
    fn may_tell_return(&mut self) -> bool {
        std::mem::take(&mut self.told)
    }
}

async fn heartbeat(link: Weak<Link>, instance: u64) {
    let mut heard = VecDeque::with_capacity(MEMORY);
    loop {
        let Some(this) = link.upgrade() else { return };
        let (up, hold) = (this.is_up(), this.fuse.hold());
        let alarm = Arc::clone(&this.alarm);
        drop(this);
        if up && timeout(HEARTBEAT, alarm.notified()).await.is_ok() {
            // Lost just now: the next round waits before it probes.
            continue;
        }
        if !up {
            sleep(hold).await;
        }
        let Some(this) = link.upgrade() else { return };
        let was_up = this.is_up();
        match timeout(this.deadline, this.store.present(&this.namespace, instance)).await {
            Ok(Ok(present)) => {
                this.count(&mut heard, present);
                if was_up {
                    this.fuse.forgive();
                } else {
                    this.found();
                }
            }
            Ok(Err(error)) => {
                this.lost(&error);
            }
            Err(_) => {
                this.lost(&Overdue(this.deadline));
            }
        }
    }
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
            .field("up", &self.is_up())
            .field("instances", &self.instances())
            .finish_non_exhaustive()
    }
}

const HEARTBEAT: Duration = Duration::from_secs(1);
const QUIET: Duration = Duration::from_secs(10);

/// How many heartbeats a count of instances is believed for.
const MEMORY: usize = 10;
