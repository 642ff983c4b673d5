//! A callee that answers as it is told, and remembers what it was asked.

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Empty, StreamBody, combinators::UnsyncBoxBody};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::Instant;
use tower::{BoxError, Service};

pub(crate) type AnswerBody = UnsyncBoxBody<Bytes, BoxError>;
pub(crate) type Answer = Result<Response<AnswerBody>, BoxError>;

/// Answers one after the other; the last one from then on.
pub(crate) struct Callee {
    state: Arc<Mutex<State>>,
    /// Whether this very instance said that it is ready.
    ready: bool,
}

impl Clone for Callee {
    fn clone(&self) -> Self {
        let state = Arc::clone(&self.state);
        let ready = false;
        Self { state, ready }
    }
}

struct State {
    answers: VecDeque<Box<dyn FnMut() -> Answer + Send>>,
    /// Whether the requests' bodies are read.
    reads: bool,
    /// Whether it is ready for a second call.
    readiness: Readiness,
    /// How often it was not ready for no reason of its own.
    pauses: usize,
    unready_calls: usize,
    asked: Vec<Asked>,
    start: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Ready,
    Pending,
    Fails,
    /// Ready, unless the task has to let others run first; and the first call was a long one.
    AsTokioHasIt,
}

/// What the callee saw of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) after: std::time::Duration,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) trailers: Option<HeaderMap>,
}

impl Callee {
    pub(crate) fn new() -> Self {
        let state = State {
            answers: VecDeque::new(),
            reads: true,
            readiness: Readiness::Ready,
            pauses: 0,
            unready_calls: 0,
            asked: Vec::new(),
            start: Instant::now(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            ready: false,
        }
    }

    /// Then it answers so.
    pub(crate) fn then(self, answer: impl FnMut() -> Answer + Send + 'static) -> Self {
        self.state.lock().answers.push_back(Box::new(answer));
        self
    }

    /// Then it answers with that status.
    pub(crate) fn then_status(self, code: u16) -> Self {
        self.then(move || Ok(status(code, &[])))
    }

    pub(crate) fn without_reading(self) -> Self {
        self.state.lock().reads = false;
        self
    }

    /// The instances that are asked for retries.
    pub(crate) fn readiness_for_retries(self, readiness: Readiness) -> Self {
        self.state.lock().readiness = readiness;
        self
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.state.lock().asked.clone()
    }

    pub(crate) fn times(&self) -> usize {
        self.state.lock().asked.len()
    }

    pub(crate) fn pauses(&self) -> usize {
        self.state.lock().pauses
    }

    /// Calls of an instance that had not said that it is ready.
    pub(crate) fn unready_calls(&self) -> usize {
        self.state.lock().unready_calls
    }

    /// Milliseconds from the start to each attempt.
    pub(crate) fn instants(&self) -> Vec<u128> {
        let asked = self.asked();
        asked.iter().map(|asked| asked.after.as_millis()).collect()
    }
}

impl<B> Service<Request<B>> for Callee
where
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<AnswerBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let mut state = self.state.lock();
        let is_retried = !state.asked.is_empty();
        let polled = match state.readiness {
            Readiness::Pending if is_retried => Poll::Pending,
            Readiness::AsTokioHasIt if is_retried => {
                let proceed = tokio::task::coop::poll_proceed(context);
                if proceed.is_pending() {
                    state.pauses += 1;
                }
                proceed.map(|_| Ok(()))
            }
            Readiness::Fails if is_retried => Poll::Ready(Err("not ready".into())),
            _ => Poll::Ready(Ok(())),
        };
        self.ready = matches!(polled, Poll::Ready(Ok(())));
        polled
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if !std::mem::take(&mut self.ready) {
            self.state.lock().unready_calls += 1;
        }
        let state = Arc::clone(&self.state);
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let after = state.lock().start.elapsed();
            let reads = state.lock().reads;
            let (body, trailers) = if reads {
                let body = body.collect().await.map_err(Into::into)?;
                let trailers = body.trailers().cloned();
                (body.to_bytes(), trailers)
            } else {
                drop(body);
                (Bytes::new(), None)
            };
            let mut state = state.lock();
            if state.readiness == Readiness::AsTokioHasIt {
                use_the_turn_up();
            }
            state.asked.push(Asked {
                after,
                headers: head.headers,
                body,
                trailers,
            });
            if state.answers.len() > 1 {
                let mut answer = state.answers.pop_front().unwrap();
                return answer();
            }
            state.answers.front_mut().unwrap()()
        })
    }
}

fn use_the_turn_up() {
    let mut context = Context::from_waker(std::task::Waker::noop());
    while let Poll::Ready(proceed) = tokio::task::coop::poll_proceed(&mut context) {
        proceed.made_progress();
    }
}

/// An answer with these headers and without a body.
pub(crate) fn status(code: u16, headers: &[(&'static str, &str)]) -> Response<AnswerBody> {
    let mut response = Response::new(empty());
    *response.status_mut() = code.try_into().unwrap();
    for (name, value) in headers {
        let value = value.parse().unwrap();
        response.headers_mut().insert(*name, value);
    }
    response
}

fn empty() -> AnswerBody {
    Empty::new()
        .map_err(|never: Infallible| match never {})
        .boxed_unsync()
}

/// A gRPC answer that fails in its trailers, before any message.
pub(crate) fn grpc_trailers(fields: &[(&'static str, &str)]) -> Response<AnswerBody> {
    let trailers = status(200, fields).headers().clone();
    let frames = [Ok(Frame::trailers(trailers))];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    status(200, &[("content-type", "application/grpc")]).map(|_| body)
}

/// The same in the headers.
pub(crate) fn grpc_headers(fields: &[(&'static str, &str)]) -> Response<AnswerBody> {
    let mut response = status(200, fields);
    let content_type = "application/grpc".parse().unwrap();
    response.headers_mut().insert("content-type", content_type);
    response
}

pub(crate) fn get() -> Request<Empty<Bytes>> {
    Request::get("http://example.com/")
        .body(Empty::new())
        .unwrap()
}

pub(crate) fn grpc() -> Request<Empty<Bytes>> {
    Request::post("http://example.com/shop.Orders/Find")
        .header("content-type", "application/grpc")
        .body(Empty::new())
        .unwrap()
}
