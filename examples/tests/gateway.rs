//! The gateway over real sockets: what passes unchanged, what is refused, and the file that changes
//! while it runs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod common;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get};
use axum::serve::ListenerExt as _;
use buttress_config::{Document, Format, Rules};
use buttress_examples::gateway::{self, Upstream};
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, oneshot};
use tonic::Code;
use tonic::transport::Endpoint;

const OPEN: &str = "
[server.defaults]
pressure = false

[upstream.origin]
retry = false
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
async fn requests_pass_over_http_1_and_http_2() {
    let upstream = common::serve(Router::new().fallback(any(echo))).await;
    let url = gateway_to(&upstream, OPEN).await;
    let via_of = |version| match version {
        Version::HTTP_2 => "2.0 gateway",
        _ => "1.1 gateway",
    };
    for (client, version) in [(http1(), Version::HTTP_11), (http2(), Version::HTTP_2)] {
        let response = client
            .put(format!("{url}/a/b%20c?d=e"))
            .header("x-own", "value")
            .header("x-forwarded-for", "192.0.2.1")
            .header("x-forwarded-proto", "https")
            .header("forwarded", "for=192.0.2.1")
            .header("via", "1.1 before")
            .body("a body")
            .send()
            .await
            .unwrap();
        assert_eq!(
            (response.status(), response.version()),
            (StatusCode::OK, version)
        );
        let headers = response.headers().clone();
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("x-method"), Some("PUT"));
        assert_eq!(header("x-uri"), Some("/a/b%20c?d=e"));
        assert_eq!(header("got-x-own"), Some("value"));
        assert_eq!(header("got-content-length"), Some("6"));
        assert_eq!(header("got-host"), upstream.strip_prefix("http://"));
        assert_eq!(header("got-x-forwarded-host"), url.strip_prefix("http://"));
        assert_eq!(header("got-x-forwarded-proto"), Some("http"));
        assert_eq!(header("got-forwarded"), None);
        let via: Vec<_> = headers.get_all("got-via").iter().collect();
        assert_eq!(via, ["1.1 before", via_of(version)]);
        let forwarded: Vec<_> = headers.get_all("got-x-forwarded-for").iter().collect();
        assert_eq!(forwarded, ["192.0.2.1", "127.0.0.1"]);
        assert_eq!(header("x-secret"), None, "hop by hop");
        assert_eq!(response.text().await.unwrap(), "a body");
    }
}

#[tokio::test]
async fn what_is_between_neighbours_only_does_not_pass() {
    let upstream = common::serve(Router::new().fallback(any(echo))).await;
    let url = gateway_to(&upstream, OPEN).await;
    // By hand, since clients keep one from sending such things.
    let request = "GET / HTTP/1.1\r\n\
        host: shop.example\r\n\
        connection: close, Host, x-named\r\n\
        connection: upgrade, te, x-forwarded-host\r\n\
        x-named: a\r\n\
        upgrade: h2c, HTTP/2.0\r\n\
        te: gzip\r\n\
        keep-alive: timeout=5\r\n\
        proxy-connection: close\r\n\
        proxy-authorization: Basic eDp5\r\n\
        x-forwarded-host: evil.example\r\n\
        x-own: b\r\n\r\n";
    let answer = answer_to(&url, request).await;
    let got = |name: &str| got(&answer, name);
    assert_eq!(got("x-own"), ["b"], "{answer}");
    assert_eq!(got("host"), [upstream.strip_prefix("http://").unwrap()]);
    assert_eq!(got("x-forwarded-host"), ["shop.example"], "{answer}");
    for name in [
        "connection",
        "x-named",
        "upgrade",
        "te",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
    ] {
        assert_eq!(got(name), [""; 0], "{name} in {answer}");
    }
}

#[tokio::test]
async fn that_trailers_are_wanted_passes_whatever_else_is() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let request = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: TE, close\r\n\
        te: deflate;q=0.5\r\nte: gzip, Trailers\r\n\r\n";
    let answer = answer_to(&url, request).await;
    assert_eq!(got(&answer, "te"), ["trailers"], "{answer}");
    // RFC 9110, section 10.1.4: it is between neighbours, and must say so.
    assert_eq!(got(&answer, "connection"), ["te"], "{answer}");
}

#[tokio::test]
async fn cookies_that_http_2_sent_one_by_one_are_one_field() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let request = http::Request::get(&url)
        .header("cookie", "a=1")
        .header("cookie", "b=2; c=3")
        .header("cookie", "d=4");
    let request = request.body(http_body_util::Full::default()).unwrap();
    let response = common::http2().request(request).await.unwrap();
    let cookies = response.headers().get_all("got-cookie").iter();
    assert_eq!(cookies.collect::<Vec<_>>(), ["a=1; b=2; c=3; d=4"]);
}

/// The authority and `Host` must not contradict each other, and what clients say must not decide how
/// many connections there are.
#[tokio::test]
async fn an_upstream_of_grpc_is_called_by_its_own_address() {
    let connections = Arc::new(AtomicUsize::new(0));
    let (listener, upstream) = common::listen().await;
    let counter = Arc::clone(&connections);
    let listener = listener.tap_io(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let app = Router::new().fallback(any(echo));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let url = gateway_to(&upstream, OPEN).await;
    for name in ["one.example", "two.example", "three.example"] {
        let request = http::Request::post(format!("{url}/greeter.v1.Greeter/SayHello"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("host", name)
            .body(http_body_util::Full::default())
            .unwrap();
        let response = common::http1().request(request).await.unwrap();
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().unwrap().to_owned())
        };
        let called = format!("{upstream}/greeter.v1.Greeter/SayHello");
        assert_eq!(header("x-uri"), Some(called));
        assert_eq!(header("got-host"), None);
        assert_eq!(header("got-te").as_deref(), Some("trailers"));
        assert_eq!(header("got-x-forwarded-host").as_deref(), Some(name));
    }
    assert_eq!(connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn the_target_says_for_whom_a_request_is_before_the_host_field_does() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let request = "GET http://shop.example:81/a?b HTTP/1.1\r\nhost: other.example\r\n\
        connection: close\r\n\r\n";
    let answer = answer_to(&url, request).await;
    assert_eq!(got(&answer, "x-forwarded-host"), ["shop.example:81"]);
    assert!(answer.contains("x-uri: /a?b\r\n"), "{answer}");

    let request = "OPTIONS * HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    let answer = answer_to(&url, request).await;
    assert!(answer.contains("x-uri: *\r\n"), "{answer}");
}

#[tokio::test]
async fn a_request_for_no_host_has_not_the_one_that_the_client_forwards() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let request = "GET / HTTP/1.0\r\nx-forwarded-host: evil.example\r\n\r\n";
    let answer = answer_to(&url, request).await;
    assert!(answer.contains("got-host: 127.0.0.1"), "{answer}");
    assert_eq!(got(&answer, "via"), ["1.0 gateway"], "{answer}");
    assert!(!answer.contains("evil.example"), "{answer}");
}

#[tokio::test]
async fn a_request_that_is_not_for_one_host_is_refused() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    for head in [
        "GET http://user:secret@shop.example/ HTTP/1.1\r\nhost: shop.example\r\n",
        "GET / HTTP/1.1\r\nhost: user@shop.example\r\n",
        "GET / HTTP/1.1\r\nhost: shop.example\r\nhost: other.example\r\n",
        "GET / HTTP/1.1\r\nhost: shop.example/a\r\n",
        "GET / HTTP/1.0\r\nhost: shop.example\r\nhost: other.example\r\n",
        "GET / HTTP/1.1\r\nhost:\r\n",
        "GET / HTTP/1.1\r\n",
        "GET http://shop.example/ HTTP/1.1\r\n",
        "GET http://shop.example/ HTTP/1.1\r\nhost: shop.example\r\nhost: shop.example\r\n",
        "GET http://shop.example/ HTTP/1.1\r\nhost: user@shop.example\r\n",
        "GET https://shop.example/ HTTP/1.1\r\nhost: shop.example\r\n",
        "GET ftp://shop.example/ HTTP/1.1\r\nhost: shop.example\r\n",
    ] {
        let answer = answer_to(&url, &format!("{head}connection: close\r\n\r\n")).await;
        let (version, status) = answer.split_once(' ').unwrap();
        assert!(version.starts_with("HTTP/1."), "{head}: {answer}");
        assert!(status.starts_with("400 "), "{head}: {answer}");
    }
}

#[tokio::test]
async fn tunnels_and_traces_are_refused() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    for head in [
        "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close, Upgrade\r\n\
         upgrade: WebSocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
        "CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\n\
         connection: close\r\n",
        "TRACE / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n",
    ] {
        let answer = answer_to(&url, &format!("{head}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 501 "), "{head}: {answer}");
    }
    // An upstream that changes the protocol although nobody asked it to.
    let upstream = upstream_that_answers(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    );
    let url = gateway_to(&upstream.await, OPEN).await;
    assert_eq!(common::status(&url).await, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_client_that_waits_before_it_sends_its_body_is_told_to_go_on() {
    let rules = "
        [server.defaults]
        pressure = false
        rate_limit = \"1 per hour\"
        [upstream.origin]
    ";
    let upstream = common::serve(Router::new().fallback(any(echo))).await;
    let url = gateway_to(&upstream, rules).await;
    let head = "POST / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\
        content-length: 6\r\nexpect: 100-continue\r\n\r\n";
    let address = url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection.write_all(b"a body").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\na body"), "{answer}");
    assert_eq!(got(&answer, "expect"), [""; 0], "{answer}");

    // Who is refused need not send it.
    let answer = answer_to(&url, head).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
}

#[tokio::test]
async fn answers_without_a_body_have_the_length_that_the_upstream_said_or_none() {
    for (answer, length) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n",
            Some("1234"),
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            None,
        ),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", None),
        ("HTTP/1.1 204 No Content\r\n\r\n", None),
    ] {
        let url = gateway_to(&upstream_that_answers(answer).await, OPEN).await;
        // The one after it shows where the first one ends.
        let request = "HEAD / HTTP/1.1\r\nhost: shop.example\r\n\r\n\
            HEAD / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
        let passed = answer_to(&url, request).await;
        let heads: Vec<_> = passed.split_terminator("\r\n\r\n").collect();
        assert_eq!(heads.len(), 2, "{passed}");
        for head in heads {
            assert_eq!(head.lines().next(), answer.lines().next());
            let lengths = head.lines();
            let lengths = lengths.filter_map(|line| line.strip_prefix("content-length: "));
            assert_eq!(
                lengths.collect::<Vec<_>>(),
                Vec::from_iter(length),
                "{head}"
            );
        }
    }
}

#[tokio::test]
async fn an_answer_comes_after_those_that_are_not_the_last() {
    let upstream = upstream_that_answers(
        "HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n\
         HTTP/1.1 100 Continue\r\n\r\n\
         HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nlast",
    );
    let url = gateway_to(&upstream.await, OPEN).await;
    let request = "GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n";
    let answer = answer_to(&url, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nlast"), "{answer}");
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
    ] {
        let file = parsed(&format!("[upstream.payments]\n{fields}"));
        let error = Upstream::all_of(&file).unwrap_err();
        let start = format!("rules: {wrong} must ");
        assert!(error.starts_with(&start), "{error}");
    }
}

#[tokio::test]
async fn bodies_are_streams_in_both_directions() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    for client in [http1(), http2()] {
        // Each part is sent when the one before has come back.
        let (sender, parts) = tokio::sync::mpsc::channel::<Result<String, Infallible>>(1);
        let body = tokio_stream::wrappers::ReceiverStream::new(parts);
        let body = reqwest::Body::wrap_stream(body);
        sender.send(Ok("0".to_owned())).await.unwrap();
        let request = client.post(&url).body(body).send();
        let mut answer = request.await.unwrap().bytes_stream();
        for number in 0..10 {
            let part = answer.next().await.unwrap().unwrap();
            assert_eq!(part, number.to_string());
            sender.send(Ok((number + 1).to_string())).await.unwrap();
        }
        drop(sender);
        assert_eq!(answer.next().await.unwrap().unwrap(), "10");
        // HTTP/2 may end with a part that is empty.
        let rest: Vec<_> = answer.collect().await;
        assert!(rest.iter().all(|part| part.as_ref().unwrap().is_empty()));
    }
}

#[tokio::test]
async fn trailers_of_http_pass() {
    let with_trailers = || async {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "42".parse().unwrap());
        let frames = [
            Ok::<_, Infallible>(Frame::data("data".into())),
            Ok(Frame::trailers(trailers)),
        ];
        let body: StreamBody<_> =
            StreamBody::new(stream::iter::<[Result<Frame<bytes::Bytes>, _>; 2]>(frames));
        Response::builder()
            .header("trailer", "x-sum")
            .body(Body::new(body))
            .unwrap()
    };
    let url = open_gateway_to(Router::new().route("/", get(with_trailers))).await;
    let client = common::http2();
    let request = http::Request::get(&url).header("te", "trailers");
    let request = request.body(http_body_util::Full::default()).unwrap();
    let response = client.request(request).await.unwrap();
    let collected = response.into_body().collect().await.unwrap();
    assert_eq!(collected.trailers().unwrap()["x-sum"], "42");
}

#[tokio::test]
async fn grpc_passes_with_its_trailers_deadlines_and_streams() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(buttress_examples::grpc::serve(listener, pending()));
    let rules = "
        [server.defaults]
        pressure = false
        [[server.route]]
        match = { grpc = \"greeter.v1.Greeter/SayHello\" }
        rate_limit = { rate = \"2 per hour\" }
        [upstream.origin]
    ";
    let url = gateway_to(&upstream, rules).await;
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let mut client = GreeterClient::new(channel);
    let hello = |delay_ms| HelloRequest {
        name: "you".to_owned(),
        delay_ms,
    };
    let answer = client.say_hello(hello(0)).await.unwrap().into_inner();
    assert!(answer.message.contains("you"), "{answer:?}");

    let mut stream = client
        .keep_saying_hello(hello(0))
        .await
        .unwrap()
        .into_inner();
    for _ in 0..3 {
        assert!(stream.message().await.unwrap().is_some());
    }
    drop(stream);

    // The deadline is kept further in, and the status is in the trailers or instead of an answer.
    let mut late = tonic::Request::new(hello(60_000));
    late.set_timeout(Duration::from_millis(50));
    let status = client.say_hello_slowly(late).await.unwrap_err();
    assert!(
        matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{status}"
    );

    // What the gateway itself refuses is a status as well.
    assert!(client.say_hello(hello(0)).await.is_ok());
    let status = client.say_hello(hello(0)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
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

/// Of a request whose method has no body as a rule, too.
#[tokio::test]
async fn a_body_of_unknown_length_passes_with_any_method() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let request = "GET /search HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\
                   transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let answer = answer_to(&url, request).await;
    assert!(answer.contains("hello"), "{answer}");
    // reqwest leaves it out itself over HTTP/1.
    let parts = stream::iter(["hel", "lo"].map(Ok::<_, Infallible>));
    let body = reqwest::Body::wrap_stream(parts);
    let request = http2().get(format!("{url}/search")).body(body);
    let answer = request.send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");
}

#[tokio::test]
async fn a_body_in_a_coding_that_would_be_lost_is_refused() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    for codings in [
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: gz\u{ef}p\r\ntransfer-encoding: chunked\r\n",
    ] {
        let request = format!(
            "POST / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n{codings}\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        );
        let answer = answer_to(&url, &request).await;
        assert!(answer.starts_with("HTTP/1.1 501"), "{codings}: {answer}");

        let answer = format!("HTTP/1.1 200 OK\r\n{codings}\r\n5\r\nhello\r\n0\r\n\r\n");
        let url = gateway_to(&upstream_that_answers(&answer).await, OPEN).await;
        assert_eq!(common::status(&url).await, StatusCode::BAD_GATEWAY);
    }
}

/// Who counts by the length would take the end of this answer for the next one, or never get there.
#[tokio::test]
async fn a_length_beside_a_coding_does_not_pass() {
    for length in [3, 7] {
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\ntransfer-encoding: chunked\r\n\r\n\
             5\r\nhello\r\n0\r\n\r\n"
        );
        let url = gateway_to(&upstream_that_answers(&answer).await, OPEN).await;
        for client in [http1(), http2()] {
            let passed = client.get(&url).send().await.unwrap();
            assert_eq!(passed.text().await.unwrap(), "hello");
        }
    }
}

#[tokio::test]
async fn a_request_for_options_passes_as_many_proxies_as_it_may() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let answer = async |method: &str, most: &str| {
        let request = format!(
            "{method} / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\
             max-forwards: {most}\r\n\r\n"
        );
        answer_to(&url, &request).await
    };
    let passed = answer("OPTIONS", "3").await;
    assert_eq!(got(&passed, "max-forwards"), ["2"], "{passed}");
    let ended = answer("OPTIONS", "0").await;
    assert!(ended.starts_with("HTTP/1.1 200 "), "{ended}");
    assert!(!ended.contains("x-method"), "{ended}");
    let wrong = answer("OPTIONS", "-1").await;
    assert!(wrong.starts_with("HTTP/1.1 400 "), "{wrong}");
    // Of any other method it means nothing.
    let passed = answer("GET", "0").await;
    assert_eq!(got(&passed, "max-forwards"), ["0"], "{passed}");
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

/// Or a few clients that go away could cut the upstream off from everybody.
#[tokio::test]
async fn uploads_that_break_off_open_no_breaker() {
    let upstream = common::serve(Router::new().fallback(any(echo))).await;
    let rules = OPEN.replace("retry = false", "retry = false\ncircuit_breaker = true");
    let url = gateway_to(&upstream, &rules).await;
    for _ in 0..30 {
        let broken = "POST / HTTP/1.1\r\nhost: a.test\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n";
        let answer = answer_to(&url, broken).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    let answer = http1().get(&url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}
