//! The gateway over real sockets: what passes unchanged, what is refused, and the file that changes
//! while it runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod bodies;
#[path = "../common/mod.rs"]
mod common;
mod message;
mod target;
mod uploads;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get};
use buttress_config::{Document, Format, Rules};
use buttress_examples::gateway::{self, Upstream};
use http::StatusCode;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{Notify, Semaphore, oneshot};

const OPEN: &str = "
[server.defaults]
pressure = false

[upstream.origin]
retry = false
";

/// The same, for an upstream of HTTP/2.
const OPEN_HTTP2: &str = "
[server.defaults]
pressure = false

[upstream.origin]
x-http2 = true
retry = false
";

/// Two calls that fail cut the upstream off.
const FRAGILE: &str = "
[server.defaults]
pressure = false

[upstream.origin]
circuit_breaker = { consecutive_failures = 2 }
";

/// A file with these rules, in which `origin` is at `upstream`.
fn file_of(rules: &str, upstream: &str) -> String {
    let address = upstream.strip_prefix("http://").unwrap();
    let origin = format!("[upstream.origin]\nx-address = \"{address}\"");
    rules.replace("[upstream.origin]", &origin)
}

fn parsed(text: &str) -> Document {
    Document::parse("rules", text, Format::Toml).unwrap_or_else(|problems| panic!("{problems}"))
}

/// A gateway by this file. Returns its URL.
async fn gateway_by(file: Document) -> String {
    let upstreams = Upstream::all_of(&file).unwrap();
    let rules = Rules::new(file).unwrap();
    let (listener, url) = common::listen().await;
    tokio::spawn(gateway::serve(listener, &rules, upstreams, pending()).unwrap());
    url
}

async fn gateway_to(upstream: &str, rules: &str) -> String {
    gateway_by(parsed(&file_of(rules, upstream))).await
}

async fn open_gateway_to(app: Router) -> String {
    let upstream = common::serve(app).await;
    gateway_to(&upstream, OPEN).await
}

/// All that comes back on a connection of its own, for clients that are not as they should be.
async fn answer_to(url: &str, request: &str) -> String {
    let address = url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    answer
}

/// The values of a field that the upstream got.
fn got<'a>(answer: &'a str, name: &str) -> Vec<&'a str> {
    let prefix = format!("got-{name}: ");
    let lines = answer.lines();
    lines
        .filter_map(|line| line.strip_prefix(&*prefix))
        .collect()
}

/// An upstream that has one answer to whatever comes, and closes.
async fn upstream_that_answers(answer: &str) -> String {
    let (listener, url) = common::listen().await;
    let answer = answer.to_owned();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(connection.read_u8().await.unwrap());
            }
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    url
}

fn http1() -> reqwest::Client {
    reqwest::Client::builder().http1_only().build().unwrap()
}

fn http2() -> reqwest::Client {
    reqwest::Client::builder()
        .http2_prior_knowledge()
        .build()
        .unwrap()
}

/// Answers with what it got: the head in its header fields, and the body as it was.
async fn echo(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let mut response = Response::builder()
        .header("x-method", head.method.as_str())
        .header("x-uri", head.uri.to_string());
    for (name, value) in &head.headers {
        response = response.header(format!("got-{name}"), value);
    }
    response
        .header("connection", "x-secret")
        .header("x-secret", "for the proxy only")
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn the_longest_prefix_says_which_upstream_a_path_is_for() {
    let mut file = String::new();
    for (name, prefix) in [("a", "/"), ("b", "/shop/"), ("c", "/shop/cart")] {
        let app = Router::new().fallback(any(move || async move { name }));
        let origin = file_of("[upstream.origin]", &common::serve(app).await);
        file += &origin.replace("origin", name);
        file = format!("{file}\nx-prefix = \"{prefix}\"\n");
    }
    let text = async |url: &str, path: &str| {
        let answer = http1().get(format!("{url}{path}")).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    let url = gateway_by(parsed(&file)).await;
    for (path, name) in [
        ("/", "a"),
        ("/shopping", "a"),
        ("/shop", "b"),
        ("/shop/carts", "b"),
        ("/shop/cart", "c"),
        ("/shop/cart/1?a=b", "c"),
    ] {
        assert_eq!(text(&url, path).await, (200, name.to_owned()), "{path}");
    }
    let url = gateway_by(parsed(&file.replace("\"/\"", "\"/home\""))).await;
    assert_eq!(text(&url, "/home/1").await, (200, "a".to_owned()));
    assert_eq!(text(&url, "/homes").await.0, 404);
}

#[test]
fn an_upstream_that_is_nowhere_is_refused_by_name() {
    for (fields, wrong) in [
        ("", "upstream.payments.x-address"),
        ("x-address = 5", "upstream.payments.x-address"),
        ("x-address = \"a\"", "upstream.payments.x-address"),
        ("x-address = \"http://a:1\"", "upstream.payments.x-address"),
        ("x-address = \"user@a:1\"", "upstream.payments.x-address"),
        (
            "x-address = \"a:1\"\nx-prefix = 5",
            "upstream.payments.x-prefix",
        ),
        (
            "x-address = \"a:1\"\nx-prefix = \"a\"",
            "upstream.payments.x-prefix",
        ),
        (
            "x-address = \"a:1\"\nx-http2 = \"yes\"",
            "upstream.payments.x-http2",
        ),
    ] {
        let file = parsed(&format!("[upstream.payments]\n{fields}"));
        let error = Upstream::all_of(&file).unwrap_err();
        let start = format!("rules: {wrong} must ");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[tokio::test]
async fn what_is_refused_and_what_cannot_be_reached_is_answered() {
    let rules = "
        [[server.route]]
        match = { path = \"/limited\" }
        rate_limit = \"1 per hour\"
        [[server.route]]
        match = { path = \"/slow\" }
        timeout = \"100ms\"
        [upstream.origin]
        retry = false
        circuit_breaker = { consecutive_failures = 2 }
    ";
    let upstream = common::serve(
        Router::new()
            .route("/limited", get(|| async {}))
            .route("/slow", get(|| async { pending::<()>().await })),
    )
    .await;
    let url = gateway_to(&upstream, rules).await;
    let client = http1();
    let status = |path: &'static str| {
        let request = client.get(format!("{url}{path}"));
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(
        (status("/limited").await, status("/limited").await),
        (200, 429)
    );
    assert_eq!(status("/slow").await, 504);

    // Nobody listens there; after two calls nobody is asked any more.
    let (gone, address) = common::listen().await;
    drop(gone);
    let url = gateway_to(&address, rules).await;
    let status = || common::status(&url);
    assert_eq!(
        [status().await, status().await, status().await].map(|status| status.as_u16()),
        [502, 502, 503]
    );
}

#[tokio::test]
async fn a_file_that_is_edited_while_it_runs_applies() {
    let upstream = common::serve(Router::new().fallback(any(|| async {}))).await;
    let path = std::env::temp_dir().join(format!("buttress-gateway-{}.toml", std::process::id()));
    let write = |limit: &str| {
        let rules = format!("[server.defaults]\nrate_limit = \"{limit}\"\n[upstream.origin]\n");
        let new = path.with_extension("new");
        std::fs::write(&new, file_of(&rules, &upstream)).unwrap();
        std::fs::rename(&new, &path).unwrap();
    };
    write("1 per hour");
    let rules = Rules::watch(&path).unwrap();
    let (listener, url) = common::listen().await;
    let upstreams = Upstream::all_of(&Document::load(&path).unwrap()).unwrap();
    tokio::spawn(gateway::serve(listener, &rules, upstreams, pending()).unwrap());
    // On the connection that is there before the change.
    let client = http2();
    let status = async || client.get(&url).send().await.unwrap().status().as_u16();
    assert_eq!((status().await, status().await), (200, 429));
    write("1000000/s");
    let applied = async {
        while status().await != 200 {
            tokio::task::yield_now().await;
        }
    };
    // Only a hang takes so long.
    let patience = Duration::from_secs(60);
    tokio::time::timeout(patience, applied).await.unwrap();
    assert_eq!((status().await, status().await), (200, 200));
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn the_file_beside_the_example_is_well() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let rules = Rules::load(path).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(rules.warnings().is_empty(), "{}", rules.warnings());
    assert!(rules.upstream("demo").is_ok());
}

#[tokio::test]
async fn a_client_that_never_gets_to_the_end_of_a_head_is_left() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let address = url.strip_prefix("http://").unwrap();
    for (sent, answered) in [
        ("GET / HTTP/1.1\r\nhost: a.test\r\nx-own: ", false),
        ("GET / HTTP/1.1\r\nhost: a.test\r\n\r\nGET / HTTP", true),
        ("GET / HTTP/1.1\r\nhost: a.test\r\n\r\n", true),
    ] {
        let mut connection = TcpStream::connect(address).await.unwrap();
        connection.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while answered && !answer.ends_with(b"\r\n\r\n") {
            answer.push(connection.read_u8().await.unwrap());
        }
        assert_eq!(answer.starts_with(b"HTTP/1.1 200 "), answered);
        // All that there is to wait for is how long it takes.
        tokio::time::pause();
        assert_eq!(connection.read_to_end(&mut answer).await.unwrap(), 0);
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_client_of_http_2_that_answers_no_pings_is_left() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let address = url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let start = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &settings];
    connection.write_all(&start.concat()).await.unwrap();
    // It is one of HTTP/2: it sends its own settings.
    assert_eq!(connection.read_u8().await.unwrap(), 0);
    // All that there is to wait for is how long it takes.
    tokio::time::pause();
    let mut rest = Vec::new();
    let patience = Duration::from_secs(3600);
    let end = tokio::time::timeout(patience, connection.read_to_end(&mut rest));
    end.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_gateway_that_is_told_to_stop_serves_the_calls_under_way_and_no_other() {
    let (arrived, may_answer) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
    let handler = {
        let (arrived, may_answer) = (Arc::clone(&arrived), Arc::clone(&may_answer));
        async move || {
            arrived.notify_one();
            let _ = may_answer.acquire().await;
        }
    };
    let upstream = common::serve(Router::new().fallback(any(handler))).await;
    let file = parsed(&file_of(OPEN, &upstream));
    let upstreams = Upstream::all_of(&file).unwrap();
    let rules = Rules::new(file).unwrap();
    let (listener, url) = common::listen().await;
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async { _ = stopped.await };
    let server = tokio::spawn(gateway::serve(listener, &rules, upstreams, stopped).unwrap());
    let mut calls = Vec::new();
    for client in [http1(), http2()] {
        calls.push(tokio::spawn(client.get(&url).send()));
        arrived.notified().await;
    }
    drop(stop);
    let address = url.strip_prefix("http://").unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    may_answer.add_permits(calls.len());
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), StatusCode::OK);
    }
    server.await.unwrap();
}
