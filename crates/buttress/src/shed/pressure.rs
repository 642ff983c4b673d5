use super::cgroup::ProcessUse;
use crate::clock;
use crate::{DefaultProtocol, Guard, GuardLayer, guard};
use buttress_core::setting::check_range;
use buttress_core::shed::{self, Ramp, Reading};
use buttress_core::{Admission, Blind, Look, Never, Now, Policy, Rejection, SettingError};
use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tower_layer::Layer;

/// Refuses a share of the calls while processors or memory are nearly used up.
///
/// A process that needs more memory than it may have is killed, with every call in it; one that
/// needs more processors than it has answers everybody late. A service that refuses the tenth call
/// in time has neither happen to it.
///
/// The share rises smoothly: nobody is refused below 85 % of the processors' time or of memory; at
/// 100 % of the time or 95 % of memory most are, 95 of 100. What is compared is the use of the
/// process's cgroup with what the cgroup may use, version 2 or 1, and where it has no limit, the
/// process with the machine ([`ProcessUse`]). It is read four times a second, by one task that
/// belongs to the policy and its clones and ends with the last of them. To admit a call costs one
/// look at one number. It is a handle: clones share it.
///
/// If it [sees](PressureBuilder::looking) how critical calls are, the share is made up of the least
/// critical ones: as long as a part of `SHEDDABLE` suffices, nothing else is refused. It needs no
/// [`Prioritized`](crate::Prioritized) in front.
///
/// # How it fails when misused
///
/// A process that uses all processors because it may, for work in the background, looks like one
/// that is overloaded: set [`cpu`](PressureBuilder::cpu) higher or leave it
/// [out](PressureBuilder::without_cpu). A heap that a garbage collector or a cache fills on purpose
/// looks like one that leaks.
///
/// ```
/// use buttress::Pressure;
///
/// let pressure = Pressure::builder().memory(0.80, 0.95).build()?;
/// assert_eq!(pressure.refused_share(), 0.0);
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Debug)]
pub struct Pressure<L = Blind> {
    watched: Arc<Watched<L>>,
}

impl Pressure {
    /// With the defaults.
    ///
    /// # Errors
    ///
    /// None today; it has the shape of all the others.
    pub fn new() -> Result<Self, SettingError> {
        Self::builder().build()
    }

    /// The same with more settings.
    pub fn builder() -> PressureBuilder {
        PressureBuilder {
            cpu: Some((0.85, 1.0)),
            memory: Some((0.85, 0.95)),
            most_refused: 0.95,
            every: Duration::from_millis(250),
            source: None,
            seed: None,
            name: "pressure",
            look: Blind,
        }
    }
}

impl<L> Pressure<L> {
    /// The share of the calls that is refused now, from 0 to 1.
    pub fn refused_share(&self) -> f64 {
        self.watched.policy.refused_share()
    }

    /// What is used, averaged over about a second.
    pub fn reading(&self) -> Reading {
        self.watched.policy.reading()
    }
}

impl<L> Clone for Pressure<L> {
    fn clone(&self) -> Self {
        Self {
            watched: Arc::clone(&self.watched),
        }
    }
}

impl<C: ?Sized, L: Look<C> + Send + Sync + 'static> Policy<C> for Pressure<L> {
    type Permit = ();
    type Waiting = Never;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<(), Never> {
        if !self.watched.being_read.load(Ordering::Relaxed) {
            self.watch();
        }
        self.watched.policy.admit(call, now)
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        match *waiting {}
    }
}

impl<S, L> Layer<S> for Pressure<L> {
    type Service = Guard<S, Self, DefaultProtocol>;

    fn layer(&self, inner: S) -> Self::Service {
        guard(self.clone()).layer(inner)
    }
}

impl<L> Pressure<L> {
    /// A layer that speaks another protocol: [`Plain`](crate::Plain) for services that are neither
    /// HTTP nor gRPC, or an `Http` with other settings.
    pub fn protocol<Pr>(&self, protocol: Pr) -> GuardLayer<Self, Pr> {
        guard(self.clone()).protocol(protocol)
    }

    /// Starts to read, in the runtime that the call runs on. Outside of one nothing is read.
    #[cold]
    fn watch(&self)
    where
        L: Send + Sync + 'static,
    {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.watched.being_read.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(source) = self.watched.source.lock().take() else {
            return;
        };
        let watching = Watching {
            watched: Arc::downgrade(&self.watched),
            source: Some(source),
        };
        // The task ends by itself, so nobody needs its handle.
        drop(runtime.spawn(watching.run()));
    }
}

/// Says how much is used. Functions of the time are that.
pub trait Source: Send + 'static {
    /// What is used at `now`. It is asked a few times a second, on a thread of the runtime, and must
    /// not block it.
    fn read(&mut self, now: Instant) -> Reading;
}

impl<F: FnMut(Instant) -> Reading + Send + 'static> Source for F {
    fn read(&mut self, now: Instant) -> Reading {
        self(now)
    }
}

/// The settings of a [`Pressure`].
#[must_use = "call `build`"]
pub struct PressureBuilder<L = Blind> {
    cpu: Option<(f64, f64)>,
    memory: Option<(f64, f64)>,
    most_refused: f64,
    every: Duration,
    source: Option<Box<dyn Source>>,
    seed: Option<u64>,
    name: &'static str,
    look: L,
}

impl<L> PressureBuilder<L> {
    /// Refuses from a use of the processors of `from` on, and the most at `to`, where
    /// 0 < from < to ≤ 1; 0.85 and 1 by default.
    pub fn cpu(mut self, from: f64, to: f64) -> Self {
        self.cpu = Some((from, to));
        self
    }

    /// The same for memory; 0.85 and 0.95 by default.
    pub fn memory(mut self, from: f64, to: f64) -> Self {
        self.memory = Some((from, to));
        self
    }

    /// Does not look at the processors.
    pub fn without_cpu(mut self) -> Self {
        self.cpu = None;
        self
    }

    /// Does not look at memory.
    pub fn without_memory(mut self) -> Self {
        self.memory = None;
        self
    }

    /// The largest share that is refused, from 0.01 to 1; 0.95 by default, so that it is seen when
    /// things are better.
    pub fn most_refused(mut self, share: f64) -> Self {
        self.most_refused = share;
        self
    }

    /// How often it is read, from every 50 ms to every minute; every 250 ms by default.
    pub fn every(mut self, interval: Duration) -> Self {
        self.every = interval;
        self
    }

    /// What says how much is used, instead of [`ProcessUse`].
    pub fn source(mut self, source: impl Source) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// What is seen in a call: how critical it is. `Carried` sees what a request carries in its
    /// extensions; a closure from the call to a [`Criticality`](crate::Criticality) sees that. By
    /// default, nothing.
    pub fn looking<M>(self, look: M) -> PressureBuilder<M> {
        PressureBuilder {
            cpu: self.cpu,
            memory: self.memory,
            most_refused: self.most_refused,
            every: self.every,
            source: self.source,
            seed: self.seed,
            name: self.name,
            look,
        }
    }

    /// The seed of the draws, so that an experiment can be repeated.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// The name that refusals carry: 1 to 64 printable ASCII characters, `"pressure"` by default.
    pub fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    /// Checks the settings. The task that reads begins with the first call.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Pressure<L>, SettingError> {
        let ramp = |field, ramp: Option<(f64, f64)>| {
            ramp.map(|(from, to)| Ramp::new(field, from, to))
                .transpose()
        };
        let (cpu, memory) = (ramp("cpu", self.cpu)?, ramp("memory", self.memory)?);
        let millis = u64::try_from(self.every.as_millis()).unwrap_or(u64::MAX);
        let every = Duration::from_millis(check_range("every", millis, 50..=60_000)?);
        let policy = shed::Pressure::new().most_refused(self.most_refused)?;
        let mut policy = policy.named(self.name)?;
        if let Some(cpu) = cpu {
            policy = policy.cpu(cpu);
        }
        if let Some(memory) = memory {
            policy = policy.memory(memory);
        }
        if let Some(seed) = self.seed {
            policy = policy.seed(seed);
        }
        let source = self.source.unwrap_or_else(|| Box::new(ProcessUse::new()));
        let watched = Watched {
            policy: policy.looking(self.look),
            looks_at: (cpu.is_some(), memory.is_some()),
            every,
            being_read: AtomicBool::new(false),
            source: Mutex::new(Some(source)),
        };
        Ok(Pressure {
            watched: Arc::new(watched),
        })
    }
}

impl<L> fmt::Debug for PressureBuilder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PressureBuilder")
            .field("cpu", &self.cpu)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

/// The policy, and who reads for it.
struct Watched<L> {
    policy: shed::Pressure<L>,
    /// At the processors, at memory.
    looks_at: (bool, bool),
    every: Duration,
    being_read: AtomicBool,
    /// There while no task has it.
    source: Mutex<Option<Box<dyn Source>>>,
}

impl<L> fmt::Debug for Watched<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.policy.fmt(f)
    }
}

/// The task that reads. If its runtime ends before the policy does, the next call starts another.
struct Watching<L> {
    watched: Weak<Watched<L>>,
    /// There until it is dropped.
    source: Option<Box<dyn Source>>,
}

impl<L> Watching<L> {
    async fn run(mut self) {
        while let Some(every) = self.read() {
            tokio::time::sleep(every).await;
        }
    }

    /// Reads once, and says when to read again: never, if nobody has the policy any more.
    fn read(&mut self) -> Option<Duration> {
        let watched = self.watched.upgrade()?;
        let reading = self.source.as_mut()?.read(clock::now());
        let (cpu, memory) = watched.looks_at;
        watched.policy.report(Reading {
            cpu: reading.cpu.filter(|_| cpu),
            memory: reading.memory.filter(|_| memory),
        });
        Some(watched.every)
    }
}

impl<L> Drop for Watching<L> {
    fn drop(&mut self) {
        if let Some(watched) = self.watched.upgrade() {
            *watched.source.lock() = self.source.take();
            watched.being_read.store(false, Ordering::Release);
        }
    }
}
