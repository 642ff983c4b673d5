//! The built examples, driven from outside: what they print, and how they end.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use common::status;
use reqwest::StatusCode;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

/// An example that runs until the test ends, however it ends.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    url: String,
}

impl Process {
    /// Starts the example on any free port, and reads all that it prints about itself.
    async fn start(example: &str) -> Self {
        let mut child = built(example).env("PORT", "0").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next_line().await.unwrap().unwrap();
        let url = first.strip_prefix("listening on ").unwrap().to_owned();
        while !lines
            .next_line()
            .await
            .unwrap()
            .unwrap()
            .starts_with("Ctrl-C")
        {}
        Self { child, lines, url }
    }

    async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let kill = Command::new("kill").args([signal, &id]).status().await;
        assert!(kill.unwrap().success());
    }

    /// Waits for the end, which must come, and must be announced.
    async fn end(mut self) -> ExitStatus {
        let status = timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap();
        assert_eq!(self.lines.next_line().await.unwrap().unwrap(), "stopped");
        status
    }
}

/// Examples are built next to the tests.
fn built(example: &str) -> Command {
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
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn each_example_stops_when_it_is_asked_to() {
    for example in ["quickstart", "grpc"] {
        for signal in ["-INT", "-TERM"] {
            let process = Process::start(example).await;
            assert!(
                process.url.starts_with("http://127.0.0.1:"),
                "{}",
                process.url
            );
            process.signal(signal).await;
            assert!(process.end().await.success(), "{example} {signal}");
        }
    }
}

/// Two of three calls at once hold the slots and the third is refused at once, so that it is the
/// first to be answered. When the process is asked to stop, the two are served to the end.
#[tokio::test]
async fn calls_under_way_are_served_to_the_end() {
    let process = Process::start("quickstart").await;
    let held = loop {
        let mut calls = JoinSet::new();
        for _ in 0..3 {
            let url = format!("{}/busy", process.url);
            calls.spawn(async move { status(&url).await });
        }
        // On a machine that is too busy to make three calls within half a second, again.
        if calls.join_next().await.unwrap().unwrap() == StatusCode::SERVICE_UNAVAILABLE {
            break calls;
        }
        calls.join_all().await;
    };
    process.signal("-TERM").await;
    assert_eq!(held.join_all().await, [StatusCode::OK; 2]);
    assert!(process.end().await.success());
}

/// A client that stops in the middle of its request.
#[tokio::test]
async fn half_a_request_keeps_nobody_alive() {
    let process = Process::start("quickstart").await;
    let address = process.url.strip_prefix("http://").unwrap();
    let mut client = TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET /hello HTTP/1.1\r\nhost: ")
        .await
        .unwrap();
    process.signal("-INT").await;
    assert!(process.end().await.success());
}

/// A client that reads a stream which has no end.
#[tokio::test]
async fn a_stream_keeps_nobody_alive() {
    let process = Process::start("grpc").await;
    let mut client = GreeterClient::connect(process.url.clone()).await.unwrap();
    // The example's own client has gone, and its slots are free as soon as the server knows.
    let mut stream = loop {
        if let Ok(stream) = client.keep_saying_hello(HelloRequest::default()).await {
            break stream.into_inner();
        }
    };
    assert!(stream.message().await.unwrap().is_some());
    process.signal("-INT").await;
    assert!(process.end().await.success());
}

#[tokio::test]
async fn the_grpc_example_shows_each_limit() {
    let mut child = built("grpc").env("PORT", "0").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut shown = Vec::new();
    loop {
        let line = lines.next_line().await.unwrap().unwrap();
        if line.starts_with("Ctrl-C") {
            break;
        }
        shown.push(line);
    }
    for (limit, times) in [
        ("    DeadlineExceeded: the call took too long", 1),
        (
            "    ResourceExhausted: the quota is used up (try again in ",
            1,
        ),
        ("    Unavailable: too many calls are under way", 1),
    ] {
        let lines = shown.iter().filter(|line| line.starts_with(limit));
        assert_eq!(lines.count(), times, "{limit}: {shown:#?}");
    }
}

async fn failed(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().await.unwrap();
    assert!(!status.success());
    String::from_utf8(stderr).unwrap()
}

#[tokio::test]
async fn a_port_that_is_none_or_is_taken_is_refused_by_name() {
    for example in ["quickstart", "grpc"] {
        let message = failed(built(example).env("PORT", "eighty")).await;
        assert!(
            message.contains("PORT is") && message.contains("eighty"),
            "{message}"
        );
        let (listener, _) = common::listen().await;
        let taken = listener.local_addr().unwrap().port().to_string();
        let message = failed(built(example).env("PORT", &taken)).await;
        assert!(
            message.contains(&taken) && message.contains("PORT=0"),
            "{message}"
        );
    }
}
