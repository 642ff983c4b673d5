//! Bodies of requests and of answers, and trailers after them.

use super::{OPEN, answer_to, common, echo, gateway_to, got, http1, http2};
use super::{open_gateway_to, upstream_that_answers};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use axum::routing::{any, get};
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc::greeter::greeter_client::GreeterClient;
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use parking_lot::Mutex;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tonic::Code;
use tonic::transport::Endpoint;

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
async fn interim_answers_do_not_pass_and_the_last_one_does() {
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
        x-http2 = true
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

/// The times that a file gives to a body cannot end it: nobody asks for more.
#[tokio::test]
async fn a_client_that_reads_nothing_is_left() {
    /// An endless body that tells when nobody wants it any more.
    struct Endless(Option<oneshot::Sender<()>>);

    impl Drop for Endless {
        fn drop(&mut self) {
            let _ = self.0.take().unwrap().send(());
        }
    }

    for head in [
        "HTTP/1.1\r\nhost: a.test\r\n\r\n",
        "HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\r\n",
    ] {
        let (tell, left) = oneshot::channel();
        let endless = Arc::new(Mutex::new(Some(Endless(Some(tell)))));
        let handler = async move || {
            let endless = endless.lock().take().unwrap();
            Body::from_stream(stream::repeat_with(move || {
                let _ = &endless;
                Ok::<_, Infallible>(vec![0; 64 * 1024])
            }))
        };
        let url = open_gateway_to(Router::new().fallback(any(handler))).await;
        let address = url.strip_prefix("http://").unwrap();
        let mut connection = TcpStream::connect(address).await.unwrap();
        let request = format!("GET / {head}");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        // All that there is to wait for is how long it takes.
        tokio::time::pause();
        let patience = Duration::from_secs(3600);
        tokio::time::timeout(patience, left).await.unwrap().unwrap();
        tokio::time::resume();
    }
}
