//! A callee of HTTP that does what it is told and remembers what it saw, and calls of it.

use buttress::Hedge;
use buttress::hedge::HedgeBuilder;
use buttress::repeat::ReplayBody;
use buttress::retry::{Everything, Repeats};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

pub(crate) const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What an attempt does: it reads the body after so long, and answers after so long again, with a
/// status of HTTP or of gRPC and the milliseconds of pushback.
#[derive(Clone, Copy)]
pub(crate) struct Act {
    /// [`NEVER`] if it answers without reading.
    pub(crate) reads_after: u64,
    pub(crate) takes: u64,
    pub(crate) answer: Answer,
    pub(crate) pushback: Option<&'static str>,
}

pub(crate) const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Http(u16),
    Grpc(&'static str),
}

pub(crate) const fn http(takes: u64, status: u16) -> Act {
    Act {
        reads_after: 0,
        takes,
        answer: Answer::Http(status),
        pushback: None,
    }
}

pub(crate) const fn grpc(takes: u64, status: &'static str) -> Act {
    Act {
        answer: Answer::Grpc(status),
        ..http(takes, 200)
    }
}

/// What the callee saw of an attempt, and when.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: u64,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    pub(crate) fn push(&self, seen: Seen) {
        self.0.lock().push(seen);
    }

    pub(crate) fn all(&self) -> Vec<Seen> {
        self.0.lock().clone()
    }

    pub(crate) fn times(&self) -> Vec<u64> {
        self.all().iter().map(|seen| seen.at).collect()
    }
}

/// A callee that does one act after the other, the last one for ever.
fn callee(
    acts: Vec<Act>,
    log: Log,
) -> impl Service<
    Request<ReplayBody<Body>>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone {
    let begin = Instant::now();
    let turn = Arc::new(AtomicUsize::new(0));
    service_fn(move |request: Request<ReplayBody<Body>>| {
        let turn = turn.fetch_add(1, Ordering::SeqCst);
        let act = acts[turn.min(acts.len() - 1)];
        let log = log.clone();
        let at = begin.elapsed().as_millis() as u64;
        async move {
            let (head, body) = request.into_parts();
            let mut seen = Seen {
                at,
                headers: head.headers,
                body: Bytes::new(),
                trailers: None,
            };
            if act.reads_after != NEVER {
                sleep(millis(act.reads_after)).await;
                let body = body.collect().await.unwrap();
                seen.trailers = body.trailers().cloned();
                seen.body = body.to_bytes();
            }
            log.push(seen);
            sleep(millis(act.takes)).await;
            Ok(answer(act, at))
        }
    })
}

fn answer(act: Act, at: u64) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sent-at", at.into());
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"answer"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let mut response = Response::new(body.boxed_unsync());
    match act.answer {
        Answer::Http(status) => *response.status_mut() = status.try_into().unwrap(),
        Answer::Grpc(status) => {
            let headers = response.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            headers.insert("grpc-status", status.parse().unwrap());
        }
    }
    if let Some(pushback) = act.pushback {
        let pushback = pushback.parse().unwrap();
        response
            .headers_mut()
            .insert("grpc-retry-pushback-ms", pushback);
    }
    response
}

pub(crate) fn full(body: &'static [u8]) -> Body {
    Full::new(Bytes::from_static(body)).boxed_unsync()
}

pub(crate) fn request(method: Method) -> Request<Body> {
    let request = Request::builder().method(method).uri("http://example.com/");
    request.header("x-kept", "kept").body(full(b"")).unwrap()
}

pub(crate) fn grpc_request() -> Request<Body> {
    let request = Request::post("http://example.com/shop.Prices/Get");
    let request = request.header("content-type", "application/grpc");
    request.body(full(b"a message")).unwrap()
}

pub(crate) fn freely() -> HedgeBuilder {
    Hedge::builder().after(millis(50)).extra_load(4.0)
}

/// As a service config's `hedgingPolicy` would have it.
pub(crate) fn policy(attempts: u32, delay: u64) -> HedgeBuilder<Everything> {
    let hedge = Hedge::builder().repeats_all().extra_load(4.0);
    hedge
        .after(millis(delay))
        .attempts(attempts)
        .non_fatal([14])
}

/// The status (that of gRPC if there is one), and how long it took.
pub(crate) async fn call<R>(
    hedge: HedgeBuilder<R>,
    acts: &[Act],
    request: Request<Body>,
) -> (Log, String, u64)
where
    R: Repeats<Request<Body>> + Clone,
{
    call_of(&hedge.build().unwrap(), acts, request).await
}

pub(crate) async fn call_of<R>(
    hedge: &Hedge<R>,
    acts: &[Act],
    request: Request<Body>,
) -> (Log, String, u64)
where
    R: Repeats<Request<Body>> + Clone,
{
    let (log, begin) = (Log::default(), Instant::now());
    let service = hedge.layer(callee(acts.to_vec(), log.clone()));
    let response = service.oneshot(request).await.unwrap();
    let took = begin.elapsed().as_millis() as u64;
    let status = match response.headers().get("grpc-status") {
        Some(status) => status.to_str().unwrap().to_owned(),
        None => response.status().as_str().to_owned(),
    };
    let body = response.into_body().collect().await.unwrap();
    assert!(
        body.trailers()
            .is_some_and(|trailers| trailers.contains_key("x-sent-at"))
    );
    assert_eq!(body.to_bytes(), "answer");
    (log, status, took)
}
