//! `grpc.health.v1` over real sockets, with tonic's client and with Python's.
#![cfg(feature = "grpc")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_health::{Check, Drain, Fault, Health};
use common::PATIENCE;
use http_body_util::BodyExt;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::Code;
use tonic::transport::{Channel, Server};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus::{self, NotServing, Serving};
use tonic_health::pb::health_client::HealthClient;
use tower::ServiceExt;

/// A server whose one hard check does what the test says.
struct Fixture {
    address: SocketAddr,
    is_down: Arc<AtomicBool>,
    health: Health,
    drain: Drain,
    server:
        tokio::task::JoinHandle<buttress_health::DrainReport<Result<(), tonic::transport::Error>>>,
}

async fn serve() -> Fixture {
    let is_down = Arc::new(AtomicBool::new(false));
    let state = Arc::clone(&is_down);
    let check = Check::readiness("database", move || {
        let down = state.load(Ordering::Relaxed);
        async move {
            if down {
                Err(Fault::new("down"))
            } else {
                Ok(())
            }
        }
    });
    let check = check.hard().every(Duration::from_millis(20));
    let health = Health::builder().check(check).build().unwrap();
    let drain = Drain::builder(&health)
        .notice(Duration::from_millis(50))
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder()
        .layer(drain.clone())
        .add_service(health.grpc().service("pay.v1.Pay"))
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), drain.closing());
    let running = drain.clone();
    let server = tokio::spawn(async move { running.run(server).await });
    let ready = buttress_health::Status::Pass;
    health.until(buttress_health::Endpoint::Ready, ready).await;
    Fixture {
        address,
        is_down,
        health,
        drain,
        server,
    }
}

impl Fixture {
    async fn client(&self) -> HealthClient<Channel> {
        HealthClient::new(
            Channel::from_shared(format!("http://{}", self.address))
                .unwrap()
                .connect()
                .await
                .unwrap(),
        )
    }

    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }
}

fn of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: service.to_owned(),
    }
}

#[tokio::test]
async fn check_answers_for_known_services() {
    let fixture = serve().await;
    let mut client = fixture.client().await;
    for service in ["", "pay.v1.Pay", "livez", "readyz", "startupz"] {
        let answer = client.check(of(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), Serving, "{service}");
    }
    let unknown = client.check(of("no.such.Service")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let long = client.check(of(&"x".repeat(100_000))).await.unwrap_err();
    assert_eq!(long.code(), Code::OutOfRange);

    fixture.set_down(true);
    let unready = buttress_health::Status::Fail;
    fixture
        .health
        .until(buttress_health::Endpoint::Ready, unready)
        .await;
    for (service, status) in [
        ("", NotServing),
        ("pay.v1.Pay", NotServing),
        ("livez", Serving),
    ] {
        let answer = client.check(of(service)).await.unwrap().into_inner();
        assert_eq!(answer.status(), status, "{service}");
    }
}

#[tokio::test]
async fn watch_tells_each_change_and_ends_when_listeners_close() {
    let fixture = serve().await;
    let mut client = fixture.client().await;
    let mut watch = client.watch(of("pay.v1.Pay")).await.unwrap().into_inner();
    let mut unknown = client
        .watch(of("no.such.Service"))
        .await
        .unwrap()
        .into_inner();
    let first = unknown.message().await.unwrap().unwrap();
    assert_eq!(first.status(), ServingStatus::ServiceUnknown);
    let mut next = async || watch.message().await.unwrap().map(|answer| answer.status());
    assert_eq!(next().await, Some(Serving));
    fixture.set_down(true);
    assert_eq!(next().await, Some(NotServing));
    fixture.set_down(false);
    assert_eq!(next().await, Some(Serving));
    fixture.drain.begin();
    assert_eq!(next().await, Some(NotServing));
    // Otherwise they would hold the server up until its grace is over.
    assert_eq!(next().await, None);
    assert!(unknown.message().await.unwrap().is_none());
    let report = timeout(PATIENCE, fixture.server).await.unwrap().unwrap();
    assert!(report.is_clean());
}

/// As the protocol's text format has it, since tonic-health has no List to compare with.
#[tokio::test]
async fn list_tells_all_services_at_once() {
    let fixture = serve().await;
    let service = fixture.health.grpc().service("pay.v1.Pay");
    let (status, names) = list(service).await;
    assert_eq!(status.as_deref(), Some("0"));
    assert_eq!(names, ["", "livez", "pay.v1.Pay", "readyz", "startupz"]);
}

#[tokio::test]
async fn more_than_a_hundred_services_are_not_listed() {
    let mut service = Health::builder().build().unwrap().grpc();
    for number in 0..96 {
        service = service.service(format!("service-{number:03}"));
    }
    assert_eq!(list(service.clone()).await.1.len(), 100);
    let (status, names) = list(service.service("one more")).await;
    // RESOURCE_EXHAUSTED
    assert_eq!((status.as_deref(), names.len()), (Some("8"), 0));
}

/// The status of a List, and the names of the services that are serving.
async fn list(service: buttress_health::GrpcHealth) -> (Option<String>, Vec<String>) {
    let empty = http_body_util::Full::new(bytes::Bytes::from_static(&[0; 5]));
    let request = http::Request::post("http://a/grpc.health.v1.Health/List")
        .header("content-type", "application/grpc")
        .body(empty)
        .unwrap();
    let response = service.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or(head.headers);
    let status = trailers
        .get("grpc-status")
        .map(|status| status.to_str().unwrap().to_owned());
    let body = body.to_bytes();
    let mut rest = body.get(5..).unwrap_or_default();
    let mut names = Vec::new();
    // Entries of a map: field 1, its length, then the name as field 1 and the status as field 2.
    while let [0x0a, length, entry @ ..] = rest {
        let (entry, after) = entry.split_at(*length as usize);
        rest = after;
        let (name, status) = match entry {
            [0x0a, length, name @ ..] => name.split_at(*length as usize),
            status => (&[][..], status),
        };
        assert_eq!(status, [0x12, 2, 0x08, 1]);
        names.push(String::from_utf8(name.to_vec()).unwrap());
    }
    assert!(rest.is_empty());
    (status, names)
}

const PYTHON: &str = r#"
import sys, grpc
from grpc_health.v1 import health_pb2 as pb, health_pb2_grpc as stubs
channel = grpc.insecure_channel(sys.argv[1])
stub = stubs.HealthStub(channel)
def ask(name):
    try:
        answer = stub.Check(pb.HealthCheckRequest(service=name), timeout=60)
        return pb.HealthCheckResponse.ServingStatus.Name(answer.status)
    except grpc.RpcError as error:
        return error.code().name
print("check", ask(""), ask("pay.v1.Pay"), ask("no.such.Service"), flush=True)
if hasattr(stub, "List"):
    statuses = stub.List(pb.HealthListRequest(), timeout=60).statuses
    print("list", *sorted(statuses), flush=True)
else:
    print("list is not known to this version", flush=True)
unknown = stub.Watch(pb.HealthCheckRequest(service="no.such.Service"), timeout=60)
print("watch", pb.HealthCheckResponse.ServingStatus.Name(next(unknown).status), flush=True)
unknown.cancel()
for answer in stub.Watch(pb.HealthCheckRequest(service=""), timeout=60):
    print("watch", pb.HealthCheckResponse.ServingStatus.Name(answer.status), flush=True)
print("end", flush=True)
"#;

#[tokio::test]
async fn the_client_of_another_language_reads_the_same() {
    use tokio::io::AsyncBufReadExt;
    let has_client = tokio::process::Command::new("python3")
        .args(["-c", "import grpc_health.v1.health_pb2_grpc"])
        .stderr(Stdio::null())
        .status();
    if !has_client.await.is_ok_and(|status| status.success()) {
        println!("SKIPPED: there is no python3 with grpcio-health-checking");
        return;
    }
    let fixture = serve().await;
    let mut python = tokio::process::Command::new("python3")
        .args(["-c", PYTHON, &fixture.address.to_string()])
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = tokio::io::BufReader::new(python.stdout.take().unwrap()).lines();
    let mut next = async || timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap();
    assert_eq!(next().await.unwrap(), "check SERVING SERVING NOT_FOUND");
    let list = next().await.unwrap();
    let known = list == "list  livez pay.v1.Pay readyz startupz";
    assert!(
        known || list == "list is not known to this version",
        "{list}"
    );
    assert_eq!(next().await.unwrap(), "watch SERVICE_UNKNOWN");
    assert_eq!(next().await.unwrap(), "watch SERVING");
    fixture.set_down(true);
    assert_eq!(next().await.unwrap(), "watch NOT_SERVING");
    fixture.set_down(false);
    assert_eq!(next().await.unwrap(), "watch SERVING");
    fixture.drain.begin();
    assert_eq!(next().await.unwrap(), "watch NOT_SERVING");
    assert_eq!(next().await.unwrap(), "end");
    assert!(python.wait().await.unwrap().success());
}
