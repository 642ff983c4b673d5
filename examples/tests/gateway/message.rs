//! What HTTP demands of any proxy.

use super::{FRAGILE, OPEN, OPEN_HTTP2, answer_to, common, echo, gateway_to, got, http1, http2};
use super::{open_gateway_to, upstream_that_answers};
use axum::Router;
use axum::routing::any;
use axum::serve::ListenerExt as _;
use http::{StatusCode, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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
    let url = gateway_to(&upstream, OPEN_HTTP2).await;
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
    for wrong in ["-1", "+3", "", "3\r\nmax-forwards: 3"] {
        let wrong = answer("OPTIONS", wrong).await;
        assert!(wrong.starts_with("HTTP/1.1 400 "), "{wrong}");
    }
    // Of any other method it means nothing.
    let passed = answer("GET", "0").await;
    assert_eq!(got(&passed, "max-forwards"), ["0"], "{passed}");
}

/// If the request decided that, any client could make an upstream fail.
#[tokio::test]
async fn the_file_says_over_which_version_an_upstream_is_called() {
    let upstream = common::serve(Router::new().fallback(any(echo))).await;
    for (rules, target) in [(OPEN, String::new()), (OPEN_HTTP2, upstream.clone())] {
        let url = gateway_to(&upstream, rules).await;
        for client in [http1(), http2()] {
            for content_type in ["text/plain", "application/grpc-web+proto"] {
                let request = client.get(format!("{url}/a"));
                let request = request.header("content-type", content_type);
                let answer = request.send().await.unwrap();
                assert_eq!(answer.headers()["x-uri"], format!("{target}/a"));
            }
        }
    }
}

#[tokio::test]
async fn calls_of_grpc_to_an_upstream_without_it_are_refused_and_open_no_breaker() {
    let upstream = common::serve(Router::new().fallback(any(echo))).await;
    let url = gateway_to(&upstream, FRAGILE).await;
    for client in [http1(), http2()] {
        for content_type in ["application/grpc", "application/grpc+proto"] {
            let request = client.post(&url).header("content-type", content_type);
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()["content-type"], "application/grpc");
            assert_eq!(answer.headers()["grpc-status"], "12");
            assert!(!answer.headers().contains_key("x-method"));
        }
    }
    assert_eq!(common::status(&url).await, StatusCode::OK);
}

/// RFC 9110, section 2.5: the version says what the sender of a message can do.
#[tokio::test]
async fn an_answer_is_in_the_version_of_the_gateway() {
    let answer = "HTTP/1.0 200 OK\r\ncontent-length: 4\r\n\r\nbody";
    let url = gateway_to(&upstream_that_answers(answer).await, OPEN).await;
    let request = "GET / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";
    let passed = answer_to(&url, request).await;
    assert!(passed.starts_with("HTTP/1.1 200 "), "{passed}");
    assert!(passed.ends_with("\r\n\r\nbody"), "{passed}");
}

#[tokio::test]
async fn a_member_that_is_no_text_hides_no_other() {
    let url = open_gateway_to(Router::new().fallback(any(echo))).await;
    let head = "GET / HTTP/1.1\r\nhost: a.test\r\nx-named: a\r\n";
    let request = format!("{head}connection: \u{e9}, x-named\r\nconnection: close\r\n\r\n");
    let answer = answer_to(&url, &request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert_eq!(got(&answer, "x-named"), [""; 0], "{answer}");
    let request = format!("{head}connection: close\r\nupgrade: \u{e9}, websocket\r\n\r\n");
    let answer = answer_to(&url, &request).await;
    assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
}

#[tokio::test]
async fn an_answer_whose_length_is_not_one_number_does_not_pass() {
    for length in ["4, 4", "abc", "+4", "", "4\r\ncontent-length: 5"] {
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        let url = gateway_to(&upstream_that_answers(&answer).await, OPEN).await;
        let request = "HEAD / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n";
        let passed = answer_to(&url, request).await;
        assert!(passed.starts_with("HTTP/1.1 502 "), "{length}: {passed}");
    }
}
