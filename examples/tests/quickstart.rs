//! The quickstart over real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress_examples::quickstart::app;
use reqwest::{Client, Response, StatusCode};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tokio::net::TcpListener;

async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = app().unwrap();
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    format!("http://{address}")
}

/// Each call on a connection of its own: no limit may depend on it.
async fn get(url: &str) -> Response {
    let client = Client::builder().pool_max_idle_per_host(0).build().unwrap();
    client.get(url).send().await.unwrap()
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[tokio::test]
async fn hello_tells_how_much_is_left() {
    let url = serve().await;
    let response = get(&format!("{url}/hello")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        field(&response, "ratelimit-policy"),
        Some("\"per-client\";q=100;w=1")
    );
    let left = field(&response, "ratelimit").unwrap();
    assert!(left.starts_with("\"per-client\";r=99;t="), "{left}");
}

#[tokio::test]
async fn limited_lets_five_pass_and_refuses_the_sixth() {
    let url = format!("{}/limited", serve().await);
    for _ in 0..5 {
        assert_eq!(get(&url).await.status(), StatusCode::OK);
    }
    let refused = get(&url).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u32 = field(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(
        field(&refused, "content-type"),
        Some("application/problem+json")
    );
    let body = refused.text().await.unwrap();
    assert!(body.contains("\"status\":429"), "{body}");
    assert!(
        body.contains("\"violated-policies\":[\"scarce\"]"),
        "{body}"
    );
}

#[tokio::test]
async fn slow_is_answered_with_504() {
    let response = get(&format!("{}/slow", serve().await)).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
}

#[tokio::test]
async fn busy_serves_two_at_once_and_refuses_the_third() {
    let url = format!("{}/busy", serve().await);
    let calls = (0..3).map(|_| {
        let url = url.clone();
        tokio::spawn(async move { get(&url).await.status() })
    });
    let mut statuses = Vec::new();
    for call in calls.collect::<Vec<_>>() {
        statuses.push(call.await.unwrap());
    }
    statuses.sort();
    // On a machine so slow that the third comes after the first has gone it would be served, too.
    assert_eq!(statuses[..2], [StatusCode::OK; 2]);
    assert!([StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE].contains(&statuses[2]));
    // The slots are free again.
    assert_eq!(get(&url).await.status(), StatusCode::OK);
}

/// Examples are built next to the tests.
fn built(example: &str) -> Command {
    let mut path: PathBuf = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let mut command = Command::new(path.join("examples").join(example));
    command.stdout(Stdio::piped());
    command
}

#[cfg(unix)]
#[test]
fn each_example_prints_its_address_and_stops_at_ctrl_c() {
    for example in ["quickstart", "grpc"] {
        let mut child = built(example).env("PORT", "0").spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert!(
            first.starts_with("listening on http://127.0.0.1:"),
            "{first}"
        );
        assert!(lines.any(|line| line.unwrap().starts_with("Ctrl-C")));
        let interrupt = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(interrupt.unwrap().success());
        assert_eq!(lines.last().unwrap().unwrap(), "stopped");
        assert!(child.wait().unwrap().success(), "{example}");
    }
}

#[test]
fn a_port_that_is_none_is_refused_by_name() {
    let output = built("quickstart")
        .env("PORT", "eighty")
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("PORT") && message.contains("eighty"),
        "{message}"
    );
}
