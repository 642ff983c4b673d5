//! What is said to be the worst case is: no call takes longer, and some take nearly as long.
//!
//! Stacks are made from files, and run on virtual time against callees that hang, that fail, and
//! that ask for waits.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod server;
mod upstream;

use buttress_config::explain::stacks;
use buttress_config::{Document, Format};
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::Frame;
use http_body_util::BodyExt;
use proptest::prelude::*;
use regex::Regex;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, Sleep};
use tower::BoxError;

type Body = http_body_util::Empty<bytes::Bytes>;

/// A body that has a bit every now and then, and no end.
struct Endless {
    next: Pin<Box<Sleep>>,
}

impl Endless {
    fn new() -> Self {
        let next = Box::pin(tokio::time::sleep(BETWEEN_FRAMES));
        Self { next }
    }
}

impl http_body::Body for Endless {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        std::task::ready!(self.next.as_mut().poll(cx));
        let next = Instant::now() + BETWEEN_FRAMES;
        self.next.as_mut().reset(next);
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))))
    }
}

const BETWEEN_FRAMES: Duration = Duration::from_millis(300);

/// How long it takes until a call's body ends, be it by an error.
async fn to_the_end<B>(call: impl Future<Output = Result<Response<B>, BoxError>>) -> Duration
where
    B: http_body::Body,
{
    let begin = Instant::now();
    if let Ok(response) = call.await {
        let mut body = std::pin::pin!(response.into_body());
        while let Some(Ok(_)) = body.frame().await {}
    }
    begin.elapsed()
}

/// What a callee does with a call.
#[derive(Clone, Copy, Debug)]
struct Answer {
    /// Nothing if it hangs.
    after: Option<Duration>,
    status: u16,
    retry_after: Option<u32>,
}

impl Answer {
    const HANGS: Self = Self {
        after: None,
        status: 200,
        retry_after: None,
    };

    const fn with(status: u16, after: Duration) -> Self {
        Self {
            after: Some(after),
            status,
            retry_after: None,
        }
    }

    const fn and_come_back_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    async fn give(self) -> Response<Body> {
        match self.after {
            Some(after) => tokio::time::sleep(after).await,
            None => std::future::pending().await,
        }
        let mut response = Response::new(Body::new());
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        response
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    let after = prop_oneof![1 => Just(None), 4 => (0_u64..2_500).prop_map(Some)];
    let status = prop::sample::select(vec![200_u16, 429, 429, 500, 503, 503, 504]);
    let retry_after = prop::option::weighted(0.3, 0_u32..15);
    let answer = (after, status, retry_after);
    answer.prop_map(|(after, status, retry_after)| Answer {
        after: after.map(Duration::from_millis),
        status,
        retry_after,
    })
}

/// The two times of the worst case that `check` prints for a stack: at most, and unless the callee
/// asks for waits, where that is said.
fn said(text: &str, stack: &str) -> (Option<Duration>, Option<Duration>) {
    let document = Document::parse("test.toml", text, Format::Toml).unwrap();
    let shown = stacks(document.settings());
    let (_, shown) = shown.split_once(stack).unwrap();
    let line = shown.lines().find(|line| line.contains("worst case"));
    let line = line.unwrap();
    let find = |pattern: &str| {
        let found = Regex::new(pattern).unwrap().captures(line)?;
        Some(time(&found[1]))
    };
    let most = find(r" (\w+) to the response's headers");
    assert_eq!(most.is_none(), line.contains("no bound"), "{line}");
    (most, find(r" (\w+) unless the callee asks"))
}

/// The time to the end of the body in the worst case, if that is said.
fn said_of_body(text: &str, stack: &str) -> Option<Duration> {
    let document = Document::parse("test.toml", text, Format::Toml).unwrap();
    let shown = stacks(document.settings());
    let (_, shown) = shown.split_once(stack).unwrap();
    let line = shown.lines().find(|line| line.contains("worst case"));
    let found = Regex::new(r", (\w+) to the end of its body")
        .unwrap()
        .captures(line.unwrap())?;
    Some(time(&found[1]))
}

/// A time as it is written.
fn time(text: &str) -> Duration {
    let units = Regex::new(r"(\d+)(ns|us|ms|s|m|h)").unwrap();
    let parts = units.captures_iter(text).map(|part| {
        let nanos = match &part[2] {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            _ => 3_600_000_000_000,
        };
        nanos * part[1].parse::<u64>().unwrap()
    });
    assert_eq!(units.replace_all(text, ""), "", "of {text}");
    Duration::from_nanos(parts.sum())
}

fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}

/// How late all the timers of a call are together at most.
const LATE: Duration = Duration::from_millis(100);
