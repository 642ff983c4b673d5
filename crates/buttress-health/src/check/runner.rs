use super::{Schedule, Standing};
use crate::check::Fault;
use crate::shared::Shared;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{AbortHandle, JoinError, JoinHandle};
use tokio::time::{MissedTickBehavior, interval, timeout};

/// A check's background task, which ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Supervisor(AbortHandle);

impl Supervisor {
    /// Starts a check. Must be called within a runtime.
    pub(crate) fn start(schedule: Schedule, index: usize, shared: Arc<Shared>) -> Self {
        Self(tokio::spawn(supervise(schedule, index, shared)).abort_handle())
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn supervise(schedule: Schedule, index: usize, shared: Arc<Shared>) {
    let mut ticks = interval(schedule.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut running = None;
    loop {
        ticks.tick().await;
        let answer = ask(&schedule, &mut running).await;
        let standing = shared.observe(index, answer);
        if schedule.once && standing == Standing::Good {
            return;
        }
    }
}

/// `running` holds what was started and has not ended.
async fn ask(schedule: &Schedule, running: &mut Option<Run>) -> Result<(), Fault> {
    let mut has_asked = false;
    let answer = async {
        if let Some(Run(overdue)) = running {
            // It was stopped, and ends at once unless it blocks its thread; then another one would
            // block another.
            let _ = overdue.await;
        }
        has_asked = true;
        let inspect = Arc::clone(&schedule.inspect);
        // A closure may panic or block before it has made its future.
        let run = tokio::spawn(async move { inspect().await });
        let Run(run) = running.insert(Run(run));
        run.await
    };
    if let Ok(answer) = timeout(schedule.timeout, answer).await {
        *running = None;
        return answer.unwrap_or_else(|error| Err(of_a_crash(&error)));
    }
    if let Some(Run(overdue)) = running {
        overdue.abort();
    }
    Err(if has_asked {
        of_a_hang(schedule.timeout)
    } else {
        Fault::new("still hangs")
    })
}

/// One run of a check. It is a task of its own, so that neither a panic in it nor a block of its
/// thread stops the one that watches it.
struct Run(JoinHandle<Result<(), Fault>>);

impl Drop for Run {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn of_a_crash(error: &JoinError) -> Fault {
    Fault::new(if error.is_panic() {
        "panicked"
    } else {
        "was stopped"
    })
}

fn of_a_hang(longest: Duration) -> Fault {
    Fault::new(format_args!("took longer than {longest:?}"))
}
