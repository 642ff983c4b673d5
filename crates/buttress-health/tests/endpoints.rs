//! The endpoints as a service, as a router, and on a port of their own.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_health::{Check, Drain, Endpoint, Endpoints, Health, Status};
use common::{probe, text};
use http::{Method, Request, Response};
use http_body_util::Full;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::mpsc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt;

type Answer = Response<Full<bytes::Bytes>>;

async fn ask(endpoints: &Endpoints, request: Request<()>) -> Answer {
    endpoints.clone().oneshot(request).await.unwrap()
}

fn request(method: Method, path: &str, accept: Option<&str>) -> Request<()> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(accept) = accept {
        request = request.header("accept", accept);
    }
    request.body(()).unwrap()
}

fn field<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

/// One soft and one hard check, both bad.
async fn unwell() -> Health {
    let health = Health::builder()
        .check(Check::readiness("cache", || async {
            Err::<(), _>("10.0.0.7 is slow")
        }))
        .check(Check::readiness("database", || async { Err::<(), _>("no route") }).hard())
        .build()
        .unwrap();
    while !probe(&health.endpoints().with_reasons(), "/readyz")
        .await
        .1
        .contains("no route")
    {
        tokio::task::yield_now().await;
    }
    health
}

#[tokio::test]
async fn each_endpoint_answers_for_its_own_kind() {
    let endpoints = unwell().await.endpoints();
    assert_eq!(probe(&endpoints, "/livez").await, (200, "ok".to_owned()));
    assert_eq!(probe(&endpoints, "/startupz").await, (200, "ok".to_owned()));
    let expected = "[+]ping ok\n[+]cache degraded: reason withheld\n\
                    [-]database failed: reason withheld\n[+]startup ok\n[+]shutdown ok\n\
                    readyz check failed\n";
    assert_eq!(
        probe(&endpoints, "/readyz").await,
        (503, expected.to_owned())
    );
    let excluded = "[+]ping ok\n[+]cache degraded: reason withheld\n[+]database excluded: ok\n\
                    [+]startup ok\n[+]shutdown ok\nwarn: some health checks cannot be excluded: \
                    no matches for \"no such\"\nreadyz check passed\n";
    let path = "/readyz?verbose&exclude=database&exclude=no%20such";
    assert_eq!(probe(&endpoints, path).await, (200, excluded.to_owned()));
}

#[tokio::test]
async fn reasons_are_told_only_where_they_are_allowed() {
    let health = unwell().await;
    for accept in [None, Some("application/health+json")] {
        let path = "/readyz?verbose&exclude=none";
        let get = || request(Method::GET, path, accept);
        let (_, withheld) = text(ask(&health.endpoints(), get()).await).await;
        assert!(
            !withheld.contains("10.0.0.7") && !withheld.contains("route"),
            "{withheld}"
        );
        let (_, shown) = text(ask(&health.endpoints().with_reasons(), get()).await).await;
        assert!(
            shown.contains("10.0.0.7") && shown.contains("no route"),
            "{shown}"
        );
    }
}

#[tokio::test]
async fn answers_are_not_to_be_cached_and_not_to_be_guessed_at() {
    let endpoints = unwell().await.endpoints();
    for (method, path) in [
        (Method::GET, "/livez"),
        (Method::HEAD, "/readyz"),
        (Method::POST, "/livez"),
        (Method::GET, "/elsewhere"),
    ] {
        let answer = ask(&endpoints, request(method, path, None)).await;
        assert_eq!(field(&answer, "cache-control"), Some("no-store"));
        assert_eq!(field(&answer, "x-content-type-options"), Some("nosniff"));
        assert_eq!(
            field(&answer, "content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
}

#[tokio::test]
async fn head_is_answered_like_get_without_a_body() {
    let endpoints = unwell().await.endpoints();
    for (path, accept) in [
        ("/livez", None),
        ("/readyz?verbose", None),
        ("/readyz", Some("application/health+json")),
    ] {
        let head = ask(&endpoints, request(Method::HEAD, path, accept)).await;
        let get = ask(&endpoints, request(Method::GET, path, accept)).await;
        assert_eq!(head.status(), get.status());
        assert_eq!(field(&head, "content-type"), field(&get, "content-type"));
        let length = field(&head, "content-length").unwrap().to_owned();
        assert_eq!(text(head).await.1, "");
        assert_eq!(text(get).await.1.len().to_string(), length);
    }
}

#[tokio::test]
async fn json_is_answered_to_those_who_accept_it() {
    let endpoints = unwell().await.endpoints();
    for accept in ["application/health+json", "application/json"] {
        let get = request(Method::GET, "/readyz?exclude=database", Some(accept));
        let answer = ask(&endpoints, get).await;
        assert_eq!(field(&answer, "content-type"), Some(accept));
        assert_eq!(field(&answer, "vary"), Some("accept"));
        let (status, body) = text(answer).await;
        let json: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, json["status"].as_str()), (200, Some("warn")));
        assert_eq!(json["checks"]["cache"][0]["status"], "warn");
    }
    // What passes or warns is 2xx, and what fails is not, as the draft says.
    let get = request(Method::GET, "/readyz", Some("application/health+json"));
    let (status, body) = text(ask(&endpoints, get).await).await;
    assert_eq!(status, 503);
    assert!(body.starts_with(r#"{"status":"fail","#), "{body}");
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let endpoints = Health::builder().build().unwrap().endpoints();
    for path in ["/", "/healthz", "/livez/", "/livez/ping", "/LIVEZ"] {
        assert_eq!(probe(&endpoints, path).await.0, 404, "{path}");
    }
    let head = ask(&endpoints, request(Method::HEAD, "/elsewhere", None)).await;
    assert_eq!(field(&head, "content-length"), Some("9"));
    assert_eq!(text(head).await, (404, String::new()));
    let answer = ask(&endpoints, request(Method::DELETE, "/livez", None)).await;
    assert_eq!(answer.status(), 405);
    assert_eq!(field(&answer, "allow"), Some("GET, HEAD"));
}

#[cfg(feature = "axum")]
#[tokio::test]
async fn a_router_answers_the_same() {
    use http_body_util::BodyExt;
    let health = unwell().await;
    let app: axum::Router = axum::Router::new()
        .route("/", axum::routing::get(|| async { "hello" }))
        .merge(health.router());
    for path in ["/livez", "/readyz?verbose", "/startupz?exclude=a"] {
        let get = Request::get(path).body(axum::body::Body::empty()).unwrap();
        let answer = app.clone().oneshot(get).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!((status, body), probe(&health.endpoints(), path).await);
    }
}

/// A probe over a connection of its own.
async fn over_tcp(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_port_of_its_own_answers_to_the_end_of_a_drain() {
    let health = Health::builder().build().unwrap();
    let drain = Drain::builder(&health)
        .notice(std::time::Duration::ZERO)
        .build()
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(health.endpoints().serve(listener));
    assert!(
        over_tcp(address, "/readyz")
            .await
            .starts_with("HTTP/1.1 200 OK\r\n")
    );
    drain.begin();
    let report = drain.run(drain.closing()).await;
    assert!(report.is_clean());
    let answer = over_tcp(address, "/readyz").await;
    assert!(
        answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{answer}"
    );
    assert!(
        answer.contains("[-]shutdown failed: reason withheld\n"),
        "{answer}"
    );
    server.abort();
    assert!(server.await.unwrap_err().is_cancelled());
    while TcpStream::connect(address).await.is_ok() {}
}

/// One that sends nothing, and one that stops in the middle of a head. Time is virtual.
#[tokio::test(start_paused = true)]
async fn connections_that_say_nothing_end() {
    let health = Health::builder().build().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(health.endpoints().serve(listener));
    for said in ["", "GET /livez HTTP/1.1\r\nhost:"] {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        assert_eq!(String::from_utf8(rest).unwrap(), "");
    }
}

/// The runtime of the process is blocked, by this very test.
#[test]
fn a_thread_of_its_own_answers_while_the_runtime_is_stuck() {
    let (send, receive) = mpsc::channel();
    let (unblock, blocked) = mpsc::channel::<()>();
    let process = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let health = Health::builder().build().unwrap();
            let watchdog = buttress_health::Watchdog::builder(&health)
                .stuck_after(std::time::Duration::from_millis(200))
                .not_alive_after(std::time::Duration::ZERO)
                .build()
                .unwrap();
            let endpoints = health.endpoints().with_reasons();
            let server = endpoints.serve_on_a_thread("127.0.0.1:0").unwrap();
            send.send(server.local_addr()).unwrap();
            let _ = blocked.recv();
            health.until(Endpoint::Live, Status::Pass).await;
            drop(watchdog);
        });
    });
    let address = receive.recv().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let stuck = "[-]watchdog failed: the runtime makes no progress\n";
        while !over_tcp(address, "/livez").await.contains(stuck) {}
    });
    drop(unblock);
    process.join().unwrap();
}

#[tokio::test]
async fn curl_reads_what_it_is_told() {
    let health = unwell().await;
    let server = health.endpoints().serve_on_a_thread("127.0.0.1:0").unwrap();
    let url = format!("http://{}", server.local_addr());
    let curl = async |arguments: &[&str], path: &str| {
        let mut command = tokio::process::Command::new("curl");
        command.args(["-sS", "--max-time", "60"]).args(arguments);
        let output = command
            .arg(format!("{url}{path}"))
            .stdin(Stdio::null())
            .output()
            .await;
        match output {
            Ok(output) => Some((
                output.status.code(),
                String::from_utf8(output.stdout).unwrap(),
            )),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => panic!("{error}"),
        }
    };
    let Some(live) = curl(&["-f"], "/livez").await else {
        println!("SKIPPED: there is no curl");
        return;
    };
    assert_eq!(live, (Some(0), "ok".to_owned()));
    // 22 is how curl says 4xx and 5xx.
    assert_eq!(curl(&["-f"], "/readyz").await.unwrap().0, Some(22));
    let (code, head) = curl(&["-I"], "/readyz").await.unwrap();
    assert_eq!(code, Some(0));
    assert!(
        head.starts_with("HTTP/1.1 503 Service Unavailable\r\n"),
        "{head}"
    );
    let accept = ["-H", "accept: application/health+json"];
    let (code, json) = curl(&accept, "/livez").await.unwrap();
    assert_eq!(code, Some(0));
    assert_eq!(
        json,
        r#"{"status":"pass","checks":{"ping":[{"status":"pass"}]}}"#
    );
}
