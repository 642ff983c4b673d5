//! The built examples as processes.
#![cfg(unix)]

use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

/// An example that runs until the test ends, however it ends.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) lines: Lines<BufReader<ChildStdout>>,
    pub(crate) url: String,
    /// What it printed about itself.
    pub(crate) hints: Vec<String>,
}

impl Process {
    /// Starts the example on any free port, and reads all that it prints about itself.
    pub(crate) async fn start(example: &str) -> Self {
        Self::start_with(example, &[]).await
    }

    /// The same, with more environment.
    pub(crate) async fn start_with(example: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_by(built(example).envs(environment.iter().copied())).await
    }

    /// The same, by a command of one's own.
    pub(crate) async fn start_by(command: &mut Command) -> Self {
        command.env("PORT", "0");
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut hints = Vec::new();
        loop {
            let line = lines.next_line().await.unwrap().unwrap();
            if line.starts_with("Ctrl-C") {
                break;
            }
            hints.push(line);
        }
        let url = hints[0].strip_prefix("listening on ").unwrap().to_owned();
        Self {
            child,
            lines,
            url,
            hints,
        }
    }

    pub(crate) async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let kill = Command::new("kill").args([signal, &id]).status().await;
        assert!(kill.unwrap().success());
    }

    /// Waits for the end, which must come, and must be announced.
    pub(crate) async fn end(mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert_eq!(self.lines.next_line().await.unwrap().unwrap(), "stopped");
        status
    }
}

/// Examples are built next to the tests.
pub(crate) fn built(example: &str) -> Command {
    let test = std::env::current_exe().unwrap();
    let path = test
        .ancestors()
        .nth(2)
        .unwrap()
        .join("examples")
        .join(example);
    assert!(
        path.exists(),
        "first: cargo build -p buttress-examples --examples"
    );
    let mut command = Command::new(path);
    command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

/// Only a hang takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
