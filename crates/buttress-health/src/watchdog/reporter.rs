//! Reports from a thread of their own: a log that is itself stuck must not stop the watchdog.

use super::ladder::Step;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;
use std::{io, thread};

/// Something to be logged.
#[derive(Debug)]
pub(super) enum Report {
    Step {
        what: String,
        lasted: Duration,
        step: Step,
    },
    Recovered {
        what: String,
    },
    /// How much memory is used cannot be read.
    Unreadable,
    /// Answered when all before it is written.
    Flush(SyncSender<()>),
}

/// Takes reports, and never blocks.
#[derive(Debug)]
pub(super) struct Reporter {
    reports: SyncSender<Report>,
}

impl Reporter {
    pub(super) fn start() -> io::Result<Self> {
        let (reports, written) = sync_channel(MOST_REPORTS);
        thread::Builder::new()
            .name("watchdog-report".to_owned())
            .spawn(move || written.iter().for_each(write))?;
        Ok(Self { reports })
    }

    pub(super) fn report(&self, report: Report) {
        // If it is full, the log is stuck, and nobody would read the rest.
        let _ = self.reports.try_send(report);
    }

    /// Waits until all is written, but not for long.
    pub(super) fn flush(&self) {
        let (done, finished) = sync_channel(1);
        self.report(Report::Flush(done));
        let _ = finished.recv_timeout(LONGEST_FLUSH);
    }
}

fn write(report: Report) {
    match report {
        Report::Step { what, lasted, step } => {
            let then = match step {
                Step::Fine | Step::Reported => "watching on",
                Step::NotAlive => "not alive any more",
                Step::Refusing => "refusing new calls",
                Step::End => "ending the process",
            };
            tracing::error!(
                what,
                ?lasted,
                then,
                "the watchdog noticed that something is stuck"
            );
        }
        Report::Recovered { what } => {
            tracing::info!(what, "the watchdog noticed that it goes on");
        }
        Report::Unreadable => tracing::warn!(
            "the watchdog cannot read how much memory is used, and goes by what it read last"
        ),
        Report::Flush(done) => _ = done.try_send(()),
    }
}

const MOST_REPORTS: usize = 64;

const LONGEST_FLUSH: Duration = Duration::from_secs(1);
