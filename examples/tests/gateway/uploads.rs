//! Uploads through the gateway, over real sockets: whose failure it is that they fail.

use super::{common, gateway_to};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::any;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const RULES: &str = "
[server.defaults]
pressure = false

[upstream.origin]
retry = false
attempt_timeout = \"1s\"
circuit_breaker = true
";

/// The same, for an upstream of HTTP/2.
const RULES_HTTP2: &str = "
[server.defaults]
pressure = false

[upstream.origin]
x-http2 = true
retry = false
attempt_timeout = \"1s\"
circuit_breaker = true
";

/// A gateway whose upstream echoes bodies: when they are there, or, at `/stream`, as they come.
async fn gateway(rules: &str) -> String {
    let app = Router::new()
        .route("/stream", any(|body: Body| async { body }))
        .fallback(any(|body: Bytes| async { body }));
    gateway_to(&common::serve(app).await, rules).await
}

async fn send(url: &str, request: &str) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

/// What comes until the connection ends or breaks.
async fn rest(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// An upload of unknown length.
fn upload(path: &str, kind: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: a.test\r\ncontent-type: {kind}\r\n\
         transfer-encoding: chunked\r\n\r\n4\r\npart\r\n"
    )
}

/// Rules, and what is sent to a gateway by them.
const KINDS: [(&str, &str); 2] = [(RULES, "text/plain"), (RULES_HTTP2, "application/grpc")];

/// They would open the breaker, if they passed for a slow upstream.
#[tokio::test]
async fn slow_uploads_run_out_of_time_and_do_not_cut_the_upstream_off() {
    for (rules, kind) in KINDS {
        let url = gateway(rules).await;
        let mut uploads = Vec::new();
        for _ in 0..30 {
            uploads.push(send(&url, &upload("/", kind)).await);
        }
        for connection in uploads {
            let answer = rest(connection).await;
            let late = answer.starts_with("HTTP/1.1 504") || answer.contains("grpc-status: 4");
            assert!(late, "{answer}");
        }
        assert_eq!(common::status(&url).await, 200, "{kind}");
    }
}

/// Over HTTP/2 the client is told that the stream was reset, and not why.
#[tokio::test]
async fn uploads_that_break_off_open_no_breaker() {
    for (rules, kind) in KINDS {
        let url = gateway(rules).await;
        for _ in 0..30 {
            let broken = upload("/", kind) + "ZZ\r\n";
            rest(send(&url, &broken).await).await;
        }
        assert_eq!(common::status(&url).await, 200, "{kind}");
    }
}

#[tokio::test]
async fn uploads_that_break_off_after_the_answers_headers_open_no_breaker() {
    for (rules, kind) in KINDS {
        let url = gateway(rules).await;
        for _ in 0..30 {
            let mut connection = send(&url, &upload("/stream", kind)).await;
            let mut begun = Vec::new();
            while !begun.windows(4).any(|window| window == b"part") {
                assert_ne!(connection.read_buf(&mut begun).await.unwrap(), 0);
            }
            assert!(begun.starts_with(b"HTTP/1.1 200"), "{kind}");
            connection.write_all(b"ZZ\r\n").await.unwrap();
            rest(connection).await;
        }
        assert_eq!(common::status(&url).await, 200, "{kind}");
    }
}
