//! What a request is for, and how long its head may be.

use super::{
    FRAGILE, OPEN_HTTP2, answer_to, common, echo, gateway_to, got, http1, open_gateway_to,
};
use axum::Router;
use axum::body::Body;
use axum::routing::any;
use http::StatusCode;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

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
        "GET / HTTP/1.1\r\nhost: shop.example,other.example\r\n",
        "GET / HTTP/1.1\r\nhost: :80\r\n",
        "GET / HTTP/1.1\r\nhost: shop.example:http\r\n",
        "GET / HTTP/1.1\r\nhost: shop.example:+80\r\n",
        "GET / HTTP/1.1\r\nhost: shop.example:99999\r\n",
        "GET / HTTP/1.1\r\n",
        "GET http://shop.example/ HTTP/1.1\r\n",
        "GET http://shop.example/ HTTP/1.1\r\nhost: shop.example\r\nhost: shop.example\r\n",
        "GET http://shop.example/ HTTP/1.1\r\nhost: user@shop.example\r\n",
        "GET ftp://shop.example/ HTTP/1.1\r\nhost: shop.example\r\n",
    ] {
        let answer = answer_to(&url, &format!("{head}connection: close\r\n\r\n")).await;
        let (version, status) = answer.split_once(' ').unwrap();
        assert!(version.starts_with("HTTP/1."), "{head}: {answer}");
        assert!(status.starts_with("400 "), "{head}: {answer}");
    }
}

/// Whoever makes up such requests must not cut the upstream off from everybody.
#[tokio::test]
async fn a_target_that_cannot_be_passed_on_is_refused_and_opens_no_breaker() {
    let upstream = common::serve(Router::new().fallback(any(echo))).await;
    let url = gateway_to(&upstream, FRAGILE).await;
    for target in ["GET foo", "GET foo:80", "GET *", "POST *", "OPTIONS foo"] {
        let request = format!("{target} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n");
        let answer = answer_to(&url, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{target}: {answer}");
    }
    assert_eq!(common::status(&url).await, StatusCode::OK);
}

/// An upstream of HTTP/2 ends the connection over it, which everybody's calls share.
#[tokio::test]
async fn a_head_that_is_too_long_for_the_upstream_ends_nobody_elses_stream() {
    let (sender, parts) = mpsc::channel::<Result<&str, Infallible>>(1);
    let parts = Arc::new(parking_lot::Mutex::new(Some(parts)));
    let stream = async move || {
        let parts = parts.lock().take();
        Body::from_stream(ReceiverStream::new(parts.unwrap()))
    };
    let app = Router::new().route("/stream", any(stream));
    let upstream = common::serve(app.fallback(any(|| async {}))).await;
    let url = gateway_to(&upstream, OPEN_HTTP2).await;
    sender.send(Ok("first ")).await.unwrap();
    let theirs = http1().get(format!("{url}/stream")).send().await.unwrap();

    let answer = async |path: &str, own: usize| {
        let request = format!(
            "GET /{path} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\nx-own: {}\r\n\r\n",
            "a".repeat(own)
        );
        answer_to(&url, &request).await
    };
    for (own, status) in [(14_000, "200 "), (16_000, "431 "), (300_000, "431 ")] {
        let answer = answer("", own).await;
        assert!(answer[9..].starts_with(status), "{own}: {answer}");
    }
    for (length, status) in [(8_000, "200 "), (9_000, "414 ")] {
        let answer = answer(&"a".repeat(length), 1).await;
        assert!(answer[9..].starts_with(status), "{length}: {answer}");
    }

    sender.send(Ok("last")).await.unwrap();
    drop(sender);
    assert_eq!(theirs.text().await.unwrap(), "first last");
}

/// HTTP/2 has room for them, the line of HTTP/1 has not.
#[tokio::test]
async fn a_target_that_is_not_ascii_is_refused() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    for path in ["/caf\u{e9}", "/a?caf\u{e9}"] {
        let request = format!("GET {path} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n");
        let answer = answer_to(&url, &request).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{path}: {answer}");
        // By hand, since clients write it in ASCII.
        let request = http::Request::get(format!("{url}{path}"));
        let request = request.body(http_body_util::Full::default()).unwrap();
        let answer = common::http2().request(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn the_upstream_is_told_the_scheme_of_the_target() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    for (target, scheme) in [
        ("/", "http"),
        ("http://a.test/", "http"),
        ("https://a.test/", "https"),
    ] {
        let request = format!(
            "GET {target} HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\
             x-forwarded-proto: gopher\r\n\r\n"
        );
        let answer = answer_to(&url, &request).await;
        assert_eq!(got(&answer, "x-forwarded-proto"), [scheme], "{answer}");
    }
    // Somebody in front of it who ends TLS, and speaks HTTP/2 without it further in.
    let address = url.strip_prefix("http://").unwrap();
    let connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let connection = hyper_util::rt::TokioIo::new(connection);
    let handshake = hyper::client::conn::http2::handshake(executor, connection);
    let (mut front, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let request = http::Request::get("https://shop.example/");
    let request = request.body(http_body_util::Empty::<bytes::Bytes>::new());
    let answer = front.send_request(request.unwrap()).await.unwrap();
    assert_eq!(answer.headers()["got-x-forwarded-proto"], "https");
}
