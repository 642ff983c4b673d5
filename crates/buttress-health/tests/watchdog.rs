//! Processes that are truly stuck, until their watchdog ends them.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_health::{Check, Health, Watchdog, WatchdogBuilder, exit_code};
use common::{PATIENCE, is_a_process_of_its_own, this_test};
use std::process::Output;
use std::time::Duration;
use tokio::time::timeout;

async fn end_of(test: &str) -> Output {
    timeout(PATIENCE, this_test(test).output())
        .await
        .unwrap()
        .unwrap()
}

#[tokio::test]
async fn a_process_that_is_stuck_is_ended_if_so_asked() {
    let output = end_of("a_process_whose_only_thread_is_blocked").await;
    assert_eq!(output.status.code(), Some(exit_code::STUCK), "{output:?}");
    let log = String::from_utf8(output.stdout).unwrap();
    for then in [
        "watching on",
        "not alive any more",
        "refusing new calls",
        "ending the process",
    ] {
        let line = log
            .lines()
            .find(|line| line.contains(then))
            .unwrap_or_else(|| panic!("{log}"));
        assert!(
            line.contains("what=\"the runtime makes no progress\""),
            "{line}"
        );
        assert!(line.contains("lasted="), "{line}");
    }
}

#[tokio::test]
async fn a_deadlock_of_all_workers_is_noticed() {
    let output = end_of("a_process_whose_workers_wait_for_each_other").await;
    assert_eq!(output.status.code(), Some(99), "{output:?}");
}

/// Whatever holds the log must not hold the watchdog.
#[tokio::test]
async fn a_log_that_is_stuck_saves_nobody() {
    for test in [
        "a_process_whose_log_is_stuck",
        "a_process_whose_log_is_stuck_when_a_check_turns",
    ] {
        let output = end_of(test).await;
        assert_eq!(output.status.code(), Some(exit_code::STUCK), "{output:?}");
    }
}

fn without_checks() -> Health {
    Health::builder().build().unwrap()
}

fn quick(health: &Health) -> WatchdogBuilder {
    let step = Duration::from_millis(100);
    Watchdog::builder(health)
        .stuck_after(2 * step)
        .not_alive_after(step)
        .refuse_after(2 * step)
        .end_process_after(3 * step)
}

fn block_for_ever() {
    let (_send, never) = std::sync::mpsc::channel::<()>();
    let _ = never.recv();
}

#[tokio::test]
#[ignore = "run by another test, as a process of its own"]
async fn a_process_whose_only_thread_is_blocked() {
    if !is_a_process_of_its_own() {
        return;
    }
    tracing::subscriber::set_global_default(log::Lines).unwrap();
    let _watchdog = quick(&without_checks()).build().unwrap();
    block_for_ever();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "run by another test, as a process of its own"]
async fn a_process_whose_workers_wait_for_each_other() {
    if !is_a_process_of_its_own() {
        return;
    }
    let _watchdog = quick(&without_checks()).exit_code(99).build().unwrap();
    let (left, right) = (parking_lot::Mutex::new(()), parking_lot::Mutex::new(()));
    let locks = std::sync::Arc::new((left, right));
    let both = std::sync::Arc::new(std::sync::Barrier::new(2));
    for is_first in [true, false] {
        let (locks, both) = (std::sync::Arc::clone(&locks), std::sync::Arc::clone(&both));
        tokio::spawn(async move {
            let (mine, other) = if is_first {
                (&locks.0, &locks.1)
            } else {
                (&locks.1, &locks.0)
            };
            let _mine = mine.lock();
            both.wait();
            let _other = other.lock();
        });
    }
    std::future::pending::<()>().await;
}

#[tokio::test]
#[ignore = "run by another test, as a process of its own"]
async fn a_process_whose_log_is_stuck() {
    if !is_a_process_of_its_own() {
        return;
    }
    tracing::subscriber::set_global_default(log::Stuck).unwrap();
    let _watchdog = quick(&without_checks()).build().unwrap();
    block_for_ever();
}

/// It is the log that blocks the runtime's only thread here, while it is told of the check.
#[tokio::test]
#[ignore = "run by another test, as a process of its own"]
async fn a_process_whose_log_is_stuck_when_a_check_turns() {
    if !is_a_process_of_its_own() {
        return;
    }
    tracing::subscriber::set_global_default(log::Stuck).unwrap();
    let turns_bad = Check::readiness("database", || async { Err::<(), _>("down") });
    let health = Health::builder().check(turns_bad).build().unwrap();
    let _watchdog = quick(&health).build().unwrap();
    std::future::pending::<()>().await;
}

/// Subscribers that need no crate.
mod log {
    use std::fmt::Write;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    macro_rules! without_spans {
        () => {
            fn enabled(&self, _: &Metadata<'_>) -> bool {
                true
            }

            fn new_span(&self, _: &Attributes<'_>) -> Id {
                Id::from_u64(1)
            }

            fn record(&self, _: &Id, _: &Record<'_>) {}

            fn record_follows_from(&self, _: &Id, _: &Id) {}

            fn enter(&self, _: &Id) {}

            fn exit(&self, _: &Id) {}
        };
    }

    /// A line for each event, on the standard output.
    pub(super) struct Lines;

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, " {field}={value:?}");
        }
    }

    impl Subscriber for Lines {
        without_spans!();

        fn event(&self, event: &Event<'_>) {
            let mut line = Line(event.metadata().level().to_string());
            event.record(&mut line);
            println!("{}", line.0);
        }
    }

    /// Never returns from an event.
    pub(super) struct Stuck;

    impl Subscriber for Stuck {
        without_spans!();

        fn event(&self, _: &Event<'_>) {
            super::block_for_ever();
        }
    }
}
