use super::heartbeat::Heartbeats;
use super::ladder::{Silence, Step, Steps};
use super::memory::MemoryLimit;
use super::reporter::{Report, Reporter};
use crate::check::Fault;
use crate::model::Verdict;
use crate::shared::Shared;
use buttress::SettingError;
use parking_lot::{Condvar, Mutex};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Tells the thread to end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
    /// How often the thread has looked.
    looks: AtomicU64,
}

impl Stop {
    pub(super) fn stop(&self) {
        *self.stopped.lock() = true;
        self.changed.notify_all();
    }

    #[cfg(test)]
    pub(super) fn looks(&self) -> u64 {
        self.looks.load(Ordering::Relaxed)
    }

    /// Waits for so long, and says whether to go on.
    fn wait(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.changed.wait_for(&mut stopped, time);
        }
        self.looks.fetch_add(1, Ordering::Relaxed);
        !*stopped
    }
}

/// What the thread needs.
pub(super) struct Guarding {
    pub(super) shared: Arc<Shared>,
    pub(super) heartbeats: Arc<Heartbeats>,
    pub(super) stop: Arc<Stop>,
    pub(super) memory: Vec<MemoryLimit>,
    pub(super) stuck_after: Duration,
    pub(super) steps: Steps,
    pub(super) exit_code: i32,
}

impl Guarding {
    /// Starts the thread, and the task in the runtime that answers it.
    pub(super) fn start(self, runtime: &Handle) -> Result<(), SettingError> {
        let no_thread =
            |error| SettingError::new("build", error, "called where threads can be started");
        if !self.shared.claim_watchdog() {
            return Err(SettingError::new(
                "build",
                "called twice for one health",
                "called when no other watchdog is there",
            ));
        }
        let shared = Arc::clone(&self.shared);
        let started = Reporter::start().and_then(|reporter| {
            let pulse = Arc::new(Pulse::default());
            let answering = Gone(Arc::clone(&pulse));
            let task = runtime.spawn(answer(answering));
            let task = Answering(task.abort_handle());
            let name = thread::Builder::new().name("watchdog".to_owned());
            let watch = Watch {
                pulse,
                reporter,
                standing: BTreeMap::new(),
                guarding: self,
                _task: task,
            };
            name.spawn(move || watch.run())
        });
        started.map(drop).map_err(|error| {
            shared.without_watchdog();
            no_thread(error)
        })
    }
}

/// How the thread feels the runtime's pulse: it asks, and a task answers. A task that only counts
/// by a timer would not tell a stuck runtime from a paused clock.
#[derive(Debug, Default)]
struct Pulse {
    asked: Notify,
    answers: AtomicU64,
    /// The runtime was shut down, which is nothing to complain of.
    gone: AtomicBool,
}

async fn answer(pulse: Gone) {
    let Gone(pulse) = &pulse;
    loop {
        pulse.asked.notified().await;
        pulse.answers.fetch_add(1, Ordering::Relaxed);
    }
}

/// The task that answers, which ends with the thread.
struct Answering(AbortHandle);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Handed to the task, not made by it: a runtime can be shut down before it has run the task once.
struct Gone(Arc<Pulse>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::Relaxed);
    }
}

struct Watch {
    guarding: Guarding,
    pulse: Arc<Pulse>,
    reporter: Reporter,
    /// The step at which each thing is that is not fine.
    standing: BTreeMap<String, Step>,
    _task: Answering,
}

/// Something that is wrong: what, for how long in all, and at which step that is.
struct Trouble {
    what: String,
    lasted: Duration,
    step: Step,
}

impl Watch {
    fn run(mut self) {
        let mut runtime = Silence::new(self.guarding.stuck_after, 0);
        let mut last = now();
        self.pulse.asked.notify_one();
        loop {
            let pause = self.pause();
            if !self.guarding.stop.wait(pause) {
                break;
            }
            let this = now();
            // Time in which this thread did not run either is not counted: the process was
            // suspended, or the machine had no time for anything.
            let passed = this.saturating_duration_since(last).min(pause * 2);
            last = this;
            let troubles = self.look(&mut runtime, passed);
            self.pulse.asked.notify_one();
            self.act(troubles);
        }
        self.guarding.shared.refuse(false);
        self.guarding.shared.without_watchdog();
    }

    /// So long that each limit is looked at several times before it is over.
    fn pause(&self) -> Duration {
        let runtime = self.guarding.stuck_after;
        let shortest = self.guarding.heartbeats.shortest();
        let shortest = shortest.map_or(runtime, |heartbeat| heartbeat.min(runtime));
        (shortest / 8).clamp(Duration::from_millis(1), Duration::from_secs(1))
    }

    fn look(&mut self, runtime: &mut Silence, passed: Duration) -> Vec<Trouble> {
        let Guarding {
            heartbeats,
            memory,
            steps,
            ..
        } = &mut self.guarding;
        let mut troubles = Vec::new();
        let mut note = |what: &dyn Fn() -> String, lasted, since_report| {
            let step = steps.at(since_report);
            if step > Step::Fine {
                let what = what();
                troubles.push(Trouble { what, lasted, step });
            }
        };
        if !self.pulse.gone.load(Ordering::Relaxed) {
            runtime.observe(passed, self.pulse.answers.load(Ordering::Relaxed));
            let what = || "the runtime makes no progress".to_owned();
            note(&what, runtime.lasted(), runtime.too_long_for());
        }
        heartbeats.look(passed, |name, silence| {
            let what = || format!("the heartbeat `{name}` stopped");
            note(&what, silence.lasted(), silence.too_long_for());
        });
        for limit in memory {
            if limit.observe(passed) {
                self.reporter.report(Report::Unreadable);
            }
            let broken_for = limit.broken_for();
            let what = || limit.what().to_owned();
            note(&what, broken_for.unwrap_or_default(), broken_for);
        }
        troubles
    }

    fn act(&mut self, troubles: Vec<Trouble>) {
        let worst = troubles.iter().max_by_key(|trouble| trouble.step);
        let step = worst.map_or(Step::Fine, |trouble| trouble.step);
        let shared = &self.guarding.shared;
        shared.refuse(step >= Step::Refusing);
        shared.judge(Verdict {
            fault: worst.map(|trouble| Fault::new(&trouble.what)),
            dead: step >= Step::NotAlive,
        });
        let mut before = std::mem::take(&mut self.standing);
        for Trouble { what, lasted, step } in troubles {
            let earlier = before.remove(&what).unwrap_or(Step::Fine);
            self.standing.insert(what.clone(), step);
            if step > earlier {
                self.reporter.report(Report::Step { what, lasted, step });
            }
        }
        for what in before.into_keys() {
            self.reporter.report(Report::Recovered { what });
        }
        if step == Step::End {
            self.reporter.flush();
            end(self.guarding.exit_code);
        }
    }
}

/// The one clock that does not depend on the runtime.
#[expect(
    clippy::disallowed_methods,
    reason = "the runtime, whose clock tokio's is, is what may be stuck"
)]
pub(super) fn now() -> Instant {
    Instant::now()
}

/// Ends the process without running what is registered to be run at its end, which may be stuck.
#[cfg(unix)]
fn end(code: i32) -> ! {
    signal_hook::low_level::exit(code)
}

#[cfg(not(unix))]
fn end(code: i32) -> ! {
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_that_ends_before_its_first_answer_is_gone() {
        let pulse = Arc::new(Pulse::default());
        drop(answer(Gone(Arc::clone(&pulse))));
        assert!(pulse.gone.load(Ordering::Relaxed));
    }
}
