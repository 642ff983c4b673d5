//! What an HTTP/2 client is told when a drain begins, read from the wire: clients hide it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use axum::Router;
use axum::routing::get;
use buttress_health::{Drain, DrainReport, Health};
use common::PATIENCE;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::timeout;

type Running = JoinHandle<DrainReport<bool>>;

fn with_axum(listener: TcpListener, app: Router, drain: Drain) -> Running {
    let app = app.layer(drain.clone());
    let server = axum::serve(listener, app).with_graceful_shutdown(drain.closing());
    tokio::spawn(async move { drain.run(async move { server.await.is_ok() }).await })
}

#[cfg(feature = "grpc")]
fn with_tonic(listener: TcpListener, app: Router, drain: Drain) -> Running {
    let listener = tokio_stream::wrappers::TcpListenerStream::new(listener);
    let server = tonic::transport::Server::builder()
        .layer(drain.clone())
        .add_routes(app.into())
        .serve_with_incoming_shutdown(listener, drain.closing());
    tokio::spawn(async move { drain.run(async move { server.await.is_ok() }).await })
}

#[tokio::test]
async fn axum_sends_goaway_and_finishes_the_stream_in_flight() {
    goaway(with_axum).await;
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn tonic_sends_goaway_and_finishes_the_stream_in_flight() {
    goaway(with_tonic).await;
}

async fn goaway(start: fn(TcpListener, Router, Drain) -> Running) {
    let health = Health::builder().build().unwrap();
    let drain = Drain::builder(&health).notice(Duration::ZERO);
    let drain = drain.build().unwrap();
    let finish = Arc::new(Notify::new());
    let finished = Arc::clone(&finish);
    let slow = async move || {
        finished.notified().await;
        "at last"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let running = start(
        listener,
        Router::new().route("/slow", get(slow)),
        drain.clone(),
    );

    let mut client = Client::connect(address).await;
    client.get("/slow").await;
    while drain.in_flight() == 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    // Whatever it had to say until now comes before this.
    client.send(PING, 0, 0, b"untilnow").await;
    while client.next().await.unwrap().kind != PING {}
    assert!(!client.was_told_to_go);

    drain.begin();
    while !client.was_told_to_go {
        let frame = client.next().await.unwrap();
        assert_ne!(frame.stream, STREAM, "{frame:?}");
    }
    finish.notify_one();
    let mut body = Vec::new();
    let head = client.next_of_the_stream().await;
    // 200, by its number in the table of HPACK.
    assert_eq!((head.kind, head.payload.first()), (HEADERS, Some(&0x88)));
    loop {
        let frame = client.next_of_the_stream().await;
        assert_eq!(frame.kind, DATA);
        body.extend(frame.payload);
        if frame.flags & END_STREAM != 0 {
            break;
        }
    }
    assert_eq!(body, b"at last");
    // Then it hangs up, and that is the end.
    while client.next().await.is_some() {}
    let report = timeout(PATIENCE, running).await.unwrap().unwrap();
    assert!(report.is_clean(), "{report:?}");
    assert_eq!(report.output, Some(true));
}

const STREAM: u32 = 1;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
}

/// As much of RFC 9113 as one request needs.
struct Client {
    connection: TcpStream,
    was_told_to_go: bool,
}

impl Client {
    async fn connect(address: SocketAddr) -> Self {
        let mut connection = TcpStream::connect(address).await.unwrap();
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
        connection.write_all(preface).await.unwrap();
        let mut client = Self {
            connection,
            was_told_to_go: false,
        };
        client.send(SETTINGS, 0, 0, b"").await;
        client
    }

    async fn get(&mut self, path: &str) {
        // GET and http by their numbers; path and authority as they are.
        let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        head.extend(path.bytes());
        head.extend(b"\x01\x01a");
        let flags = END_STREAM | END_HEADERS;
        self.send(HEADERS, flags, STREAM, &head).await;
    }

    async fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length.to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        self.connection.write_all(&frame).await.unwrap();
    }

    async fn next_of_the_stream(&mut self) -> Frame {
        loop {
            let frame = self.next().await.unwrap();
            if frame.stream == STREAM {
                return frame;
            }
        }
    }

    /// The next frame, unless the connection was closed. What asks for an answer is answered.
    async fn next(&mut self) -> Option<Frame> {
        let frame = timeout(PATIENCE, self.read()).await.unwrap()?;
        match frame.kind {
            SETTINGS if frame.flags & ACK == 0 => self.send(SETTINGS, ACK, 0, b"").await,
            PING if frame.flags & ACK == 0 => self.send(PING, ACK, 0, &frame.payload).await,
            GOAWAY => {
                let (last_stream, error) = (&frame.payload[..4], &frame.payload[4..8]);
                assert!(last_stream >= &STREAM.to_be_bytes()[..], "{frame:?}");
                assert_eq!(error, [0; 4], "{frame:?}");
                self.was_told_to_go = true;
            }
            _ => {}
        }
        Some(frame)
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.connection.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, stream @ ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; length as usize];
        self.connection.read_exact(&mut payload).await.ok()?;
        Some(Frame {
            kind,
            flags,
            stream: u32::from_be_bytes(stream),
            payload,
        })
    }
}
