//! Noticing that the process is stuck.
//!
//! A runtime whose every thread is blocked answers no probe, runs no check and handles no signal.
//! So whoever watches it must not run on it.

mod heartbeat;
mod ladder;
mod memory;
mod reporter;
mod thread;

pub use heartbeat::Heartbeat;

use crate::exit_code;
use crate::health::{Health, within_a_runtime};
use buttress::SettingError;
use buttress_core::setting::LONGEST;
use heartbeat::Heartbeats;
use ladder::Steps;
use memory::MemoryLimit;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use thread::{Guarding, Stop};

/// A thread that watches the process, and acts when it is stuck.
///
/// It watches the runtime in which it is built: that it still runs a task that is ready. It
/// watches each [`heartbeat`](Self::heartbeat) of your own, and on Linux, if asked to, how much
/// memory the process has, or its cgroup uses. When one of them is wrong, it goes on in steps:
///
/// 1. It reports, with a `tracing` event that says which and for how long; the endpoints show a
///    warning.
/// 2. After 5 s more, `/livez` and `/readyz` turn bad.
/// 3. After 10 s, the calls that come to the [`Drain`](crate::Drain) layer are refused.
/// 4. Only if [asked to](WatchdogBuilder::end_process_after), it ends the process with an exit
///    code of its own, so that a supervisor restarts it.
///
/// When it is right again, the steps are taken back. Dropping the handle ends the thread.
///
/// ```
/// use buttress_health::{Health, Watchdog};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), buttress::SettingError> {
/// let health = Health::builder().build()?;
/// let watchdog = Watchdog::builder(&health)
///     .end_process_after(Duration::from_secs(60))
///     .build()?;
///
/// let consumer = watchdog.heartbeat("consumer", Duration::from_secs(30))?;
/// consumer.beat();
/// # Ok(())
/// # }
/// ```
///
/// # How it fails when misused
///
/// A runtime under heavy load is slow to get to a new task, but it does; a limit near what your
/// load causes takes slowness for standstill, and ending a slow process makes the others slower. A
/// runtime with several threads counts as stuck when all of them are.
///
/// It counts the time in which it ran itself. A process that was suspended, or a machine that is
/// too busy to run anything, is not taken for a stuck one.
pub struct Watchdog {
    heartbeats: Arc<Heartbeats>,
    stop: Arc<Stop>,
}

impl Watchdog {
    /// Watches the process whose health this is. There is one watchdog for a
    /// [`Health`] at a time.
    pub fn builder(health: &Health) -> WatchdogBuilder {
        WatchdogBuilder {
            health: health.clone(),
            stuck_after: Duration::from_secs(5),
            memory_limit: None,
            memory_share: None,
            not_alive_after: Duration::from_secs(5),
            refuse_after: Duration::from_secs(10),
            end_process_after: None,
            exit_code: exit_code::STUCK,
        }
    }

    /// Watches something of your own, which must [`beat`](Heartbeat::beat) at least once every
    /// `longest_silence`: 10 ms to a year.
    ///
    /// A heartbeat of the same name that was dropped is replaced: a task that is started anew takes
    /// its old place. One that is still held is not, since it would be watched no more and nobody
    /// would know.
    ///
    /// # Errors
    ///
    /// The name is not 1 to 64 printable ASCII characters, or is that of a heartbeat that is still
    /// held; or the silence is out of range.
    pub fn heartbeat(
        &self,
        name: &'static str,
        longest_silence: Duration,
    ) -> Result<Heartbeat, SettingError> {
        self.heartbeats.add(name, longest_silence)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.stop.stop();
    }
}

impl fmt::Debug for Watchdog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watchdog").finish_non_exhaustive()
    }
}

/// The settings of a [`Watchdog`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct WatchdogBuilder {
    health: Health,
    stuck_after: Duration,
    memory_limit: Option<u64>,
    memory_share: Option<f64>,
    not_alive_after: Duration,
    refuse_after: Duration,
    end_process_after: Option<Duration>,
    exit_code: i32,
}

impl WatchdogBuilder {
    /// How long the runtime may make no progress: 10 ms to a year, 5 s by default.
    pub fn stuck_after(mut self, standstill: Duration) -> Self {
        self.stuck_after = standstill;
        self
    }

    /// How many bytes of memory the process may have resident: 1 or more. No limit by default. It
    /// counts as kept again below 95 % of the limit. Linux only.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Bounds the share of the memory that the process's cgroup may use: above 0, and 1 at most. No
    /// limit by default. A cgroup that reaches 1 has a process killed by the kernel, with every call
    /// in it; 0.9 leaves time to say why.
    ///
    /// It is what [`ProcessUse`](buttress::shed::ProcessUse) reads, of cgroups of version 2 or 1,
    /// without what can be given back at once. Where no cgroup has a limit, it is what the process
    /// has resident, of the machine's memory. It counts as kept again below 95 % of the limit. Linux
    /// only.
    pub fn memory_share(mut self, share: f64) -> Self {
        self.memory_share = Some(share);
        self
    }

    /// How long after the report `/livez` turns bad: 0 s to a year, 5 s by default.
    pub fn not_alive_after(mut self, time: Duration) -> Self {
        self.not_alive_after = time;
        self
    }

    /// How long after the report new calls are refused: at least as long as
    /// [`not_alive_after`](Self::not_alive_after), at most a year, 10 s by default.
    pub fn refuse_after(mut self, time: Duration) -> Self {
        self.refuse_after = time;
        self
    }

    /// Ends the process so long after the report: at least as long as
    /// [`refuse_after`](Self::refuse_after), at most a year. By default it goes on.
    pub fn end_process_after(mut self, time: Duration) -> Self {
        self.end_process_after = Some(time);
        self
    }

    /// The code with which the process is ended: 1 to 255,
    /// [`exit_code::STUCK`] by default.
    pub fn exit_code(mut self, code: i32) -> Self {
        self.exit_code = code;
        self
    }

    /// Checks the settings, and starts the thread. It watches the runtime in which this is called.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed. It is also an
    /// error if this is not called within a tokio runtime, if the health has a watchdog already,
    /// if there is a memory limit and the system is not Linux, or if no thread can be started.
    pub fn build(self) -> Result<Watchdog, SettingError> {
        let stuck_after = check_standstill("stuck_after", self.stuck_after)?;
        let steps = self.steps()?;
        let exit_code = buttress_core::setting::check_range("exit_code", self.exit_code, 1..=255)?;
        let resident = self.memory_limit.map(MemoryLimit::of_resident);
        let share = self.memory_share.map(MemoryLimit::of_share);
        let memory = resident.into_iter().chain(share);
        let memory = memory.collect::<Result<_, _>>()?;
        let runtime = within_a_runtime()?;
        let heartbeats = Arc::new(Heartbeats::default());
        let stop = Arc::new(Stop::default());
        let guarding = Guarding {
            shared: Arc::clone(self.health.shared()),
            heartbeats: Arc::clone(&heartbeats),
            stop: Arc::clone(&stop),
            memory,
            stuck_after,
            steps,
            exit_code,
        };
        guarding.start(&runtime)?;
        Ok(Watchdog { heartbeats, stop })
    }

    fn steps(&self) -> Result<Steps, SettingError> {
        let order = [
            ("not_alive_after", Some(self.not_alive_after)),
            ("refuse_after", Some(self.refuse_after)),
            ("end_process_after", self.end_process_after),
        ];
        let mut earlier = Duration::ZERO;
        for (field, time) in order {
            let Some(time) = time else { continue };
            if time < earlier || time > LONGEST {
                return Err(SettingError::new(
                    field,
                    format_args!("{time:?}"),
                    format!("from {earlier:?}, the time of the step before, to 365 days"),
                ));
            }
            earlier = time;
        }
        Ok(Steps {
            not_alive: self.not_alive_after,
            refuse: self.refuse_after,
            end: self.end_process_after,
        })
    }
}

/// Checks how long something may stand still.
fn check_standstill(field: &'static str, time: Duration) -> Result<Duration, SettingError> {
    if (SHORTEST..=LONGEST).contains(&time) {
        return Ok(time);
    }
    Err(SettingError::new(
        field,
        format_args!("{time:?}"),
        "from 10 ms to 365 days",
    ))
}

/// The thread must look several times within it.
const SHORTEST: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests;
