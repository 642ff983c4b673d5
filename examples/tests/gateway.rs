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
use buttress_config::{Reload, Rules};
use buttress_examples::gateway;
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode, Version};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use std::convert::Infallible;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonic::Code;
use tonic::transport::Endpoint;

const OPEN: &str = "
[server.defaults]
pressure = false

[upstream.origin]
retry = false
";

/// A gateway to `upstream`, by these rules. Returns its URL.
async fn gateway_to(upstream: &str, rules: &Rules) -> String {
    let address = upstream.strip_prefix("http://").unwrap().parse().unwrap();
    let app = gateway::app(rules, &[("origin".to_owned(), address)]).unwrap();
    let (listener, url) = common::listen().await;
    tokio::spawn(gateway::serve(listener, app));
    url
}

async fn open_gateway_to(app: Router) -> String {
    let upstream = common::serve(app).await;
    gateway_to(&upstream, &Rules::from_toml(OPEN).unwrap()).await
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
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    for (client, version) in [(http1(), Version::HTTP_11), (http2(), Version::HTTP_2)] {
        let response = client
            .put(format!("{url}/a/b%20c?d=e"))
            .header("x-own", "value")
            .header("x-forwarded-for", "192.0.2.1")
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
        assert_eq!(header("got-host"), url.strip_prefix("http://"));
        assert_eq!(header("got-x-forwarded-host"), url.strip_prefix("http://"));
        let forwarded: Vec<_> = headers.get_all("got-x-forwarded-for").iter().collect();
        assert_eq!(forwarded, ["192.0.2.1", "127.0.0.1"]);
        assert_eq!(header("x-secret"), None, "hop by hop");
        assert_eq!(response.text().await.unwrap(), "a body");
    }
}

#[tokio::test]
async fn what_is_between_neighbours_only_does_not_pass() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let address = url.strip_prefix("http://").unwrap();
    // By hand, since clients keep one from sending such things.
    let request = "GET / HTTP/1.1\r\n\
        host: shop.example\r\n\
        connection: close, Host, x-named\r\n\
        connection: upgrade, te, x-forwarded-host\r\n\
        x-named: a\r\n\
        upgrade: websocket\r\n\
        te: gzip\r\n\
        keep-alive: timeout=5\r\n\
        proxy-connection: close\r\n\
        proxy-authorization: Basic eDp5\r\n\
        x-forwarded-host: evil.example\r\n\
        x-own: b\r\n\r\n";
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let got = |name: &str| -> Vec<&str> {
        let prefix = format!("got-{name}: ");
        let lines = answer.lines();
        lines
            .filter_map(|line| line.strip_prefix(&*prefix))
            .collect()
    };
    assert_eq!(got("x-own"), ["b"], "{answer}");
    assert_eq!(got("host"), ["shop.example"], "{answer}");
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
async fn a_request_for_no_host_has_not_the_one_that_the_client_forwards() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let address = url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = "GET / HTTP/1.0\r\nx-forwarded-host: evil.example\r\n\r\n";
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains("got-host: 127.0.0.1"), "{answer}");
    assert!(!answer.contains("evil.example"), "{answer}");
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
    tokio::spawn(buttress_examples::grpc::serve(
        listener,
        std::future::pending(),
    ));
    let rules = "
        [server.defaults]
        pressure = false
        [[server.route]]
        match = { grpc = \"greeter.v1.Greeter/SayHello\" }
        rate_limit = { rate = \"2 per hour\" }
        [upstream.origin]
    ";
    let url = gateway_to(&upstream, &Rules::from_toml(rules).unwrap()).await;
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
    let rules = Rules::from_toml(
        "
        [[server.route]]
        match = { path = \"/limited\" }
        rate_limit = \"1 per hour\"
        [[server.route]]
        match = { path = \"/slow\" }
        timeout = \"100ms\"
        [upstream.origin]
        retry = false
        circuit_breaker = { consecutive_failures = 2 }
        ",
    )
    .unwrap();
    let upstream = common::serve(Router::new().route("/limited", get(|| async {})).route(
        "/slow",
        get(|| async { std::future::pending::<()>().await }),
    ))
    .await;
    let url = gateway_to(&upstream, &rules).await;
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
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = gone.local_addr().unwrap();
    drop(gone);
    let url = gateway_to(&format!("http://{address}"), &rules_of_a_breaker()).await;
    let status = || {
        let request = client.get(&url);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(
        [status().await, status().await, status().await],
        [502, 502, 503]
    );
}

fn rules_of_a_breaker() -> Rules {
    let text = "[upstream.origin]\nretry = false\ncircuit_breaker = { consecutive_failures = 2 }";
    Rules::from_toml(text).unwrap()
}

#[tokio::test]
async fn a_file_that_is_edited_applies_to_the_next_request() {
    let path = std::env::temp_dir().join(format!("buttress-gateway-{}.toml", std::process::id()));
    let file = |limit: &str| {
        let text = format!("[server.defaults]\nrate_limit = \"{limit}\"\n[upstream.origin]\n");
        std::fs::write(&path, text).unwrap();
    };
    file("1 per hour");
    let rules = Rules::load(&path).unwrap();
    let upstream = common::serve(Router::new().fallback(any(|| async {}))).await;
    let url = gateway_to(&upstream, &rules).await;
    let client = http2();
    let status = || {
        let request = client.get(&url);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!((status().await, status().await), (200, 429));
    file("1000/s");
    assert_eq!(rules.reload(), Ok(Reload::Changed));
    assert_eq!(status().await, 200);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn the_file_beside_the_example_is_well() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let rules = Rules::load(path).unwrap_or_else(|problems| panic!("{problems}"));
    assert!(rules.warnings().is_empty(), "{}", rules.warnings());
    assert!(rules.upstream("demo").is_ok());
}
