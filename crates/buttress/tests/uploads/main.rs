//! Whose fault it is that a call fails while its request's body is sent, on virtual time.
#![cfg(feature = "http")]
#![allow(clippy::unnecessary_wraps, reason = "frames come in results")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod broken;
mod slow;
mod within;

use buttress::repeat::ReplayBody;
use buttress::{CircuitBreaker, Reason, Rejection, Retry, Timeout};
use bytes::Bytes;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use std::future::{Future, pending};
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, service_fn};

const MS: Duration = Duration::from_millis(1);

type Part = Result<Frame<Bytes>, BoxError>;
type Upload = StreamBody<LocalBoxStream<'static, Part>>;
type Sent = Request<ReplayBody<Upload>>;
type Answered = Result<Response<Empty<Bytes>>, BoxError>;
type Answer = Pin<Box<dyn Future<Output = Answered>>>;

fn part() -> Part {
    Ok(Frame::data(Bytes::from_static(b"part")))
}

/// So many parts, each after a pause.
fn slowly(parts: u32, pause: Duration) -> Upload {
    let parts = stream::iter(0..parts).then(move |_| async move {
        sleep(pause).await;
        part()
    });
    StreamBody::new(parts.boxed_local())
}

/// A body that is there, and does not say before its end that it is over, as tonic's.
fn at_once(parts: impl IntoIterator<Item = Part>) -> Upload {
    let parts: Vec<_> = parts.into_iter().collect();
    StreamBody::new(stream::iter(parts).boxed_local())
}

/// What a test sends.
fn by_hand() -> (UnboundedSender<Part>, Upload) {
    let (sender, mut parts) = unbounded_channel();
    let parts = stream::poll_fn(move |context| parts.poll_recv(context));
    (sender, StreamBody::new(parts.boxed_local()))
}

fn put(body: Upload) -> Request<Upload> {
    Request::put("http://example.com/").body(body).unwrap()
}

fn breaker() -> CircuitBreaker {
    let builder = CircuitBreaker::builder("callee").jitter(0.0);
    builder.build().unwrap()
}

fn once() -> Retry {
    Retry::builder().attempts(1).build().unwrap()
}

/// Attempts that may take 100 ms each, of a callee that does this.
fn guarded(
    breaker: &CircuitBreaker,
    callee: fn(Sent) -> Answer,
) -> impl Service<Request<Upload>, Response = Response<impl Sized>, Error = BoxError> + Clone {
    let attempt = Timeout::per_attempt(100 * MS).unwrap();
    (once(), breaker.clone(), attempt).layer(service_fn(callee))
}

fn reads_all(request: Sent) -> Answer {
    Box::pin(async {
        request.into_body().collect().await?;
        Ok(Response::new(Empty::new()))
    })
}

fn reads_all_and_hangs(request: Sent) -> Answer {
    Box::pin(async {
        request.into_body().collect().await?;
        pending().await
    })
}

fn reads_a_part_and_hangs(request: Sent) -> Answer {
    Box::pin(async {
        let mut body = request.into_body();
        let _ = body.frame().await;
        pending().await
    })
}

fn reason(error: &BoxError) -> Reason {
    Rejection::find(&**error).unwrap().reason()
}

fn failures(breaker: &CircuitBreaker) -> u32 {
    breaker.snapshot().consecutive_failures
}
