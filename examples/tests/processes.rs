//! The built examples, driven from outside: what they print, and how they end.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use axum::Router;
use axum::routing::any;
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use common::process::{PATIENCE, Process, built};
use common::status;
use reqwest::StatusCode;
use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::sync::Arc;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::timeout;

#[tokio::test]
async fn each_example_stops_when_it_is_asked_to() {
    for example in ["quickstart", "grpc", "health"] {
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

/// A file for the gateway, for as long as it is needed.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("buttress-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Each call tells that it has arrived, and is answered when it may be.
#[tokio::test]
async fn the_gateway_serves_the_file_that_it_is_given_and_calls_under_way_to_the_end() {
    let (arrived, may_answer) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (arrived, may_answer) = (Arc::clone(&arrived), Arc::clone(&may_answer));
        async move || {
            arrived.notify_one();
            may_answer.notified().await;
            "theirs"
        }
    };
    let upstream = common::serve(Router::new().fallback(any(handler))).await;
    let address = upstream.strip_prefix("http://").unwrap();
    let file = File::new(
        "given",
        &format!("[upstream.origin]\nx-address = \"{address}\"\n"),
    );
    let mut command = built("gateway");
    let process = Process::start_by(command.arg(&file.0)).await;
    let (url, _) = process.url.split_once(',').unwrap();
    let url = url.to_owned();
    let address = url.strip_prefix("http://").unwrap().to_owned();
    let call = tokio::spawn(async move { common::get(&url).await.text().await.unwrap() });
    arrived.notified().await;
    process.signal("-TERM").await;
    while TcpStream::connect(&address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    may_answer.notify_one();
    assert_eq!(call.await.unwrap(), "theirs");
    assert!(process.end().await.success());
}

#[tokio::test]
async fn a_gateway_that_its_file_leaves_without_an_address_does_not_start() {
    let file = File::new("without", "[upstream.payments]\n");
    let message = failed(built("gateway").arg(&file.0).env("PORT", "0")).await;
    let start = format!("{}: upstream.payments.x-address must", file.0.display());
    assert!(message.starts_with(&start), "{message}");
}

#[tokio::test]
async fn a_gateway_says_what_is_wrong_with_its_file_as_people_read_it() {
    let file = File::new("wrong", "[server.defaults]\ntimeuot = \"1s\"\n");
    let message = failed(built("gateway").arg(&file.0).env("PORT", "0")).await;
    assert!(message.contains("server.defaults.timeuot"), "{message}");
    assert!(!message.contains("Problem"), "{message}");
}

#[tokio::test]
async fn a_gateway_that_may_open_no_more_connections_says_so() {
    let file = File::new(
        "many",
        "[upstream.origin]\nx-address = \"127.0.0.1:9\"\nretry = false\ncircuit_breaker = false\n",
    );
    let gateway = built("gateway").as_std().get_program().to_owned();
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -n 64 && exec \"$0\" \"$1\""])
        .arg(gateway)
        .arg(&file.0)
        .stdout(Stdio::piped())
        .kill_on_drop(true);
    let mut process = Process::start_by(&mut command).await;
    let (url, _) = process.url.split_once(',').unwrap();
    let address = url.strip_prefix("http://").unwrap();
    // All its threads are at work then, for which there must be room.
    for _ in 0..100 {
        assert_eq!(status(url).await, StatusCode::BAD_GATEWAY);
    }
    let mut connections = Vec::new();
    for _ in 0..100 {
        connections.push(TcpStream::connect(address).await.unwrap());
    }
    let said = async {
        while let Some(line) = process.lines.next_line().await.unwrap() {
            if line.contains("accept error") {
                return true;
            }
        }
        false
    };
    assert!(timeout(PATIENCE, said).await.unwrap());
}
