//! The example `health` from outside: probes, a drain, a rolling restart, and a process that is
//! stuck.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_health::exit_code;
use common::process::{PATIENCE, Process};
use common::{get, status};
use reqwest::{Client, StatusCode};
use std::process::Stdio;
use tokio::process::Command;
use tokio::time::timeout;

impl Process {
    /// The address that it prints after `what`.
    fn prints(&self, what: &str) -> &str {
        let mut found = self.hints.iter().filter_map(|line| line.strip_prefix(what));
        found.next().unwrap()
    }

    fn probes(&self) -> String {
        self.prints("probes on ").to_owned()
    }

    /// Waits until it has started.
    async fn ready(self) -> Self {
        while status(&format!("{}/readyz", self.probes())).await != StatusCode::OK {}
        self
    }

    async fn code(mut self) -> Option<i32> {
        timeout(PATIENCE, self.child.wait())
            .await
            .unwrap()
            .unwrap()
            .code()
    }
}

async fn start(notice: &str) -> Process {
    Process::start_with("health", &[("NOTICE", notice)])
        .await
        .ready()
        .await
}

/// Each line that it prints and that neither stops it nor blocks it.
#[tokio::test]
async fn the_curl_lines_work() {
    let process = start("1").await;
    let lines = process.hints.iter().map(|line| line.trim());
    let lines: Vec<_> = lines
        .filter(|line| line.starts_with("curl") && !line.contains("/s"))
        .collect();
    assert_eq!(lines.len(), 4, "{lines:?}");
    if Command::new("curl")
        .arg("--version")
        .output()
        .await
        .is_err()
    {
        println!("SKIPPED: there is no curl");
        return;
    }
    for line in lines {
        let output = Command::new("sh")
            .args(["-c", line])
            .output()
            .await
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n"),
            "{line}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_database_that_is_down_is_told_and_takes_nobody_out() {
    let process = start("1").await;
    let url = format!("{}/readyz?verbose", process.probes());
    let mut text = String::new();
    while !text.contains("[+]database degraded: ") {
        let response = get(&url).await;
        assert_eq!(response.status(), StatusCode::OK);
        text = response.text().await.unwrap();
    }
    let hello = get(&format!("{}/hello", process.url)).await;
    assert_eq!(hello.text().await.unwrap(), "hello\n");
}

#[tokio::test]
async fn a_call_in_flight_is_served_to_its_end_and_its_connection_closed() {
    let process = start("1").await;
    let url = format!("{}/slow", process.url);
    let slow = tokio::spawn(async move { get(&url).await });
    let probes = format!("{}/readyz", process.probes());
    // The slow call was made by now, or its connection comes in the second of notice.
    assert_eq!(status(&probes).await, StatusCode::OK);
    process.signal("-TERM").await;
    while status(&probes).await == StatusCode::OK {}
    let slow = slow.await.unwrap();
    assert_eq!(slow.status(), StatusCode::OK);
    assert_eq!(slow.headers()["connection"], "close");
    assert_eq!(slow.text().await.unwrap(), "at last\n");
    assert!(process.end().await.success());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let process = start("600").await;
    process.signal("-TERM").await;
    let probes = format!("{}/readyz", process.probes());
    while status(&probes).await == StatusCode::OK {}
    process.signal("-TERM").await;
    assert_eq!(process.code().await, Some(exit_code::HURRIED));
}

#[tokio::test]
async fn a_process_that_is_stuck_says_so_and_is_ended() {
    let process = start("1").await;
    let url = format!("{}/stuck", process.url);
    let stuck = tokio::spawn(async move { reqwest::get(url).await.is_err() });
    let probes = format!("{}/livez", process.probes());
    let mut text = String::new();
    while !text.contains("[-]watchdog failed: the runtime makes no progress\n") {
        text = get(&probes).await.text().await.unwrap();
    }
    assert_eq!(process.code().await, Some(exit_code::STUCK));
    assert!(stuck.await.unwrap());
}

/// Processes, one replaced after the other by SIGTERM, under a loop of calls that goes on as long
/// as that takes.
#[tokio::test]
async fn no_call_fails_in_a_rolling_restart() {
    let client = Client::new();
    let mut processes = vec![start("2").await, start("2").await];
    let mut calls = 0;
    let round = async |processes: &[&Process]| {
        let mut ready = Vec::new();
        for process in processes {
            let probe = client
                .get(format!("{}/readyz", process.probes()))
                .send()
                .await;
            if probe.is_ok_and(|probe| probe.status() == StatusCode::OK) {
                ready.push(process);
            }
        }
        assert!(!ready.is_empty(), "nobody is ready");
        for process in ready.iter().cycle().take(4) {
            let hello = client
                .get(format!("{}/hello", process.url))
                .send()
                .await
                .unwrap();
            assert_eq!(hello.status(), StatusCode::OK);
            assert_eq!(hello.text().await.unwrap(), "hello\n");
        }
        4
    };
    for _ in 0..2 {
        processes.push(start("2").await);
        processes[0].signal("-TERM").await;
        loop {
            calls += round(&processes.iter().collect::<Vec<_>>()).await;
            if processes[0].child.try_wait().unwrap().is_some() {
                break;
            }
        }
        assert!(processes.remove(0).end().await.success());
    }
    // However fast that was, there was a load worth the name.
    while calls < 100 {
        calls += round(&processes.iter().collect::<Vec<_>>()).await;
    }
}

const PYTHON: &str = r#"
import sys, grpc
from grpc_health.v1 import health_pb2 as pb, health_pb2_grpc as stubs
stub = stubs.HealthStub(grpc.insecure_channel(sys.argv[1]))
answer = stub.Check(pb.HealthCheckRequest(service=""), timeout=60)
print(pb.HealthCheckResponse.ServingStatus.Name(answer.status))
"#;

#[tokio::test]
async fn python_asks_the_same_over_grpc() {
    let import = Command::new("python3")
        .args(["-c", "import grpc_health.v1.health_pb2_grpc"])
        .stderr(Stdio::null())
        .status();
    if !import.await.is_ok_and(|status| status.success()) {
        println!("SKIPPED: there is no python3 with grpcio-health-checking");
        return;
    }
    let process = start("1").await;
    let output = Command::new("python3")
        .args(["-c", PYTHON, process.prints("grpc on ")])
        .env_remove("http_proxy")
        .output();
    let output = timeout(PATIENCE, output).await.unwrap().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "SERVING\n");
}

#[tokio::test]
async fn settings_that_are_none_are_refused_by_name() {
    for name in ["NOTICE", "PROBES", "GRPC"] {
        let mut command = common::process::built("health");
        let output = command
            .env("PORT", "0")
            .env(name, "soon")
            .output()
            .await
            .unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(&format!("{name} is")), "{message}");
    }
}

/// What stands beside it is about this very service.
#[test]
fn supervisors_wait_longer_than_a_drain_takes() {
    let seconds = |text: &str, field: &str| -> u64 {
        let mut lines = text
            .lines()
            .filter_map(|line| line.trim().strip_prefix(field));
        lines.next().unwrap().trim().parse().unwrap()
    };
    let drain = 5 + 30 + 10;
    let manifest = include_str!("../health/kubernetes.yaml");
    assert!(seconds(manifest, "terminationGracePeriodSeconds:") > drain);
    for endpoint in buttress_health::Endpoint::ALL {
        assert!(manifest.contains(&format!("path: /{}\n", endpoint.name())));
    }
    let unit = include_str!("../health/buttress.service");
    assert!(seconds(unit, "TimeoutStopSec=") > drain);
}

/// A port that is any free one is no use where nobody reads what is printed.
#[test]
fn supervisors_say_where_it_listens() {
    let manifest = include_str!("../health/kubernetes.yaml");
    let manifest: Vec<_> = manifest.lines().map(str::trim).collect();
    let of_the_pod = |name: &str| {
        let named = format!("- name: {name}");
        let pairs = manifest.windows(2);
        let mut found = pairs.filter(|pair| pair[0] == named);
        let value = found.next().unwrap()[1].strip_prefix("value: ").unwrap();
        value.trim_matches('"').to_owned()
    };
    let unit = include_str!("../health/buttress.service");
    let of_the_unit = |name: &str| {
        let start = format!("Environment={name}=");
        let mut found = unit.lines().filter_map(|line| line.strip_prefix(&*start));
        found.next().unwrap().to_owned()
    };
    for name in ["PROBES", "GRPC"] {
        let address: std::net::SocketAddr = of_the_pod(name).parse().unwrap();
        let port = format!("containerPort: {}", address.port());
        assert!(manifest.contains(&&*port), "{name}");
        assert!(address.ip().is_unspecified() && address.port() != 0);
        let address: std::net::SocketAddr = of_the_unit(name).parse().unwrap();
        assert_ne!(address.port(), 0, "{name}");
    }
    assert!(of_the_unit("PORT").parse::<u16>().unwrap() > 0);
}
