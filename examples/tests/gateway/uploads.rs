//! Uploads through the gateway, over real sockets: whose time runs, and whose failure it is.

use super::{common, gateway_to};
use axum::Router;
use axum::body::Bytes;
use axum::routing::any;
use std::future::pending;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

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

/// A gateway whose upstream tells when a request has come, echoes bodies, and hangs at `/hang`.
async fn gateway(rules: &str) -> (String, UnboundedReceiver<()>) {
    let (tell, came) = unbounded_channel();
    let app = Router::new()
        .route("/hang", any(pending::<()>))
        .fallback(any(|body: Bytes| async { body }))
        .layer(axum::middleware::from_fn(
            move |request: axum::extract::Request, next: axum::middleware::Next| {
                let _ = tell.send(());
                next.run(request)
            },
        ));
    let upstream = common::serve(app).await;
    let url = gateway_to(&upstream, rules).await;
    (url, came)
}

async fn send(url: &str, request: &str) -> TcpStream {
    let address = url.strip_prefix("http://").unwrap();
    let mut connection = TcpStream::connect(address).await.unwrap();
    connection.write_all(request.as_bytes()).await.unwrap();
    connection
}

const UPLOAD: &str = "PUT / HTTP/1.1\r\nhost: a.test\r\nconnection: close\r\n\
                      content-length: 9\r\n\r\nslow";

/// Six of them would open the breaker, if they passed for a slow upstream.
#[tokio::test]
async fn slow_uploads_arrive_and_do_not_cut_the_upstream_off() {
    let (url, mut came) = gateway(RULES).await;
    let mut uploads = Vec::new();
    for _ in 0..6 {
        uploads.push(send(&url, UPLOAD).await);
        came.recv().await.unwrap();
    }
    // What came later has run out of the time of an attempt, which is its upstream's fault.
    assert_eq!(common::status(&format!("{url}/hang")).await, 504);
    let mut first = uploads.remove(0);
    first.write_all(b"ly!!!").await.unwrap();
    let mut answer = String::new();
    first.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("slowly!!!"), "{answer}");
    // The others go away.
    drop(uploads);
    for _ in 0..30 {
        assert_eq!(common::status(&url).await, 200);
    }
}

/// Over HTTP/2 the client is told that the stream was reset, and not why.
#[tokio::test]
async fn uploads_that_break_off_over_http2_open_no_breaker() {
    let (url, _came) = gateway(RULES_HTTP2).await;
    for _ in 0..30 {
        let broken = "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-type: application/grpc\r\n\
                      transfer-encoding: chunked\r\n\r\n4\r\npart\r\nZZ\r\n";
        let mut connection = send(&url, broken).await;
        let mut answer = String::new();
        let _ = connection.read_to_string(&mut answer).await;
    }
    assert_eq!(common::status(&url).await, 200);
}
