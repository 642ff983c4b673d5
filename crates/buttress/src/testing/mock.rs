//! The service inside: it does what it is told, and remembers what was done to it.

use super::call::Kind;
use crate::repeat::ReplayBody;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::error::Error;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};
use tower_service::Service;

/// The error of the plain service.
pub type ServiceError = Box<dyn Error + Send + Sync>;

/// The service inside when a layer is checked around anything.
pub type PlainService = Mock<PlainCalls>;

/// The service inside when a layer is checked around HTTP.
pub type HttpService = Mock<HttpCalls>;

/// What the service inside does with its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behaviour {
    /// Answers when polled for the `n`-th time after the first.
    Answer {
        after: usize,
    },
    /// Answers when it is let go.
    Hold,
    PanicInCall,
    PanicInFuture,
}

/// What is told to the service, and what it tells.
#[derive(Debug)]
pub struct Script {
    behaviour: Behaviour,
    pub(crate) fails_readiness: AtomicBool,
    /// Calls of an instance that had not said that it is ready.
    pub(crate) unready_calls: AtomicUsize,
    pub(crate) calls: AtomicUsize,
    /// Futures that are alive.
    pub(crate) alive: AtomicUsize,
    gates: Lock<VecDeque<Arc<Gate>>>,
}

impl Script {
    pub(crate) fn new(behaviour: Behaviour) -> Arc<Self> {
        Arc::new(Self {
            behaviour,
            fails_readiness: AtomicBool::new(false),
            unready_calls: AtomicUsize::new(0),
            calls: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
            gates: Lock::default(),
        })
    }

    /// Lets the call go that has been held the longest.
    pub(crate) fn let_go(&self) {
        let gate = self.gates.with(VecDeque::pop_front);
        if let Some(gate) = gate {
            gate.open.store(true, Ordering::SeqCst);
            if let Some(waker) = gate.waker.with(Option::take) {
                waker.wake();
            }
        }
    }
}

/// A mutex that a panicking call does not spoil.
#[derive(Debug, Default)]
#[expect(clippy::disallowed_types, reason = "poisoning is overcome right here")]
struct Lock<T>(std::sync::Mutex<T>);

impl<T> Lock<T> {
    fn with<R>(&self, work: impl FnOnce(&mut T) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[derive(Debug, Default)]
struct Gate {
    open: AtomicBool,
    waker: Lock<Option<Waker>>,
}

/// The service inside.
#[derive(Debug)]
pub struct Mock<K> {
    script: Arc<Script>,
    /// Whether this very instance said that it is ready.
    ready: bool,
    kind: PhantomData<fn() -> K>,
}

impl<K> Mock<K> {
    pub(crate) fn new(script: &Arc<Script>) -> Self {
        Self {
            script: Arc::clone(script),
            ready: false,
            kind: PhantomData,
        }
    }
}

impl<K> Clone for Mock<K> {
    fn clone(&self) -> Self {
        Self::new(&self.script)
    }
}

impl<K: Kind> Service<K::Request> for Mock<K> {
    type Response = K::Response;
    type Error = K::Error;
    type Future = MockFuture<K::Response, K::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), K::Error>> {
        self.become_ready()
    }

    fn call(&mut self, request: K::Request) -> Self::Future {
        self.answer(|| K::respond(request))
    }
}

/// Layers that repeat requests send them with bodies of their own.
impl Service<Request<ReplayBody<Body>>> for Mock<HttpCalls> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = MockFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.become_ready()
    }

    fn call(&mut self, request: Request<ReplayBody<Body>>) -> Self::Future {
        self.answer(|| HttpCalls::respond(request.map(|_| Body::default())))
    }
}

impl<K: Kind> Mock<K> {
    fn become_ready(&mut self) -> Poll<Result<(), K::Error>> {
        if self.script.fails_readiness.load(Ordering::SeqCst)
            && let Some(error) = K::error()
        {
            return Poll::Ready(Err(error));
        }
        self.ready = true;
        Poll::Ready(Ok(()))
    }

    fn answer(
        &mut self,
        respond: impl FnOnce() -> Result<K::Response, K::Error>,
    ) -> MockFuture<K::Response, K::Error> {
        if !std::mem::take(&mut self.ready) {
            self.script.unready_calls.fetch_add(1, Ordering::SeqCst);
        }
        self.script.calls.fetch_add(1, Ordering::SeqCst);
        assert!(
            self.script.behaviour != Behaviour::PanicInCall,
            "the service panics in `call`, as it is told to"
        );
        self.script.alive.fetch_add(1, Ordering::SeqCst);
        let gate = Arc::new(Gate::default());
        if self.script.behaviour == Behaviour::Hold {
            self.script
                .gates
                .with(|gates| gates.push_back(Arc::clone(&gate)));
        }
        MockFuture {
            script: Arc::clone(&self.script),
            gate,
            polls: 0,
            answer: Some(respond()),
        }
    }
}

/// A call of the service inside.
#[derive(Debug)]
pub struct MockFuture<R, E> {
    script: Arc<Script>,
    gate: Arc<Gate>,
    polls: usize,
    answer: Option<Result<R, E>>,
}

impl<R, E> Unpin for MockFuture<R, E> {}

impl<R, E> Future for MockFuture<R, E> {
    type Output = Result<R, E>;

    #[expect(clippy::panic, reason = "it is told to")]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.polls += 1;
        let answers = match self.script.behaviour {
            Behaviour::Answer { after } => {
                context.waker().wake_by_ref();
                self.polls > after
            }
            Behaviour::Hold => {
                let waker = context.waker().clone();
                self.gate.waker.with(|known| *known = Some(waker));
                self.gate.open.load(Ordering::SeqCst)
            }
            Behaviour::PanicInCall | Behaviour::PanicInFuture => {
                panic!("the service panics in its future, as it is told to")
            }
        };
        if !answers {
            return Poll::Pending;
        }
        self.answer.take().map_or(Poll::Pending, Poll::Ready)
    }
}

impl<R, E> Drop for MockFuture<R, E> {
    fn drop(&mut self) {
        self.script.alive.fetch_sub(1, Ordering::SeqCst);
        // A call that is gone is not let go any more.
        let gate = Arc::clone(&self.gate);
        self.script
            .gates
            .with(|gates| gates.retain(|other| !Arc::ptr_eq(other, &gate)));
    }
}

/// Numbers, echoed.
#[derive(Debug)]
pub struct PlainCalls;

impl Kind for PlainCalls {
    type Service = PlainService;
    type Request = u32;
    type Response = u32;
    type Error = ServiceError;

    fn service(script: &Arc<Script>) -> PlainService {
        Mock::new(script)
    }

    fn request() -> u32 {
        4711
    }

    fn respond(request: u32) -> Result<u32, ServiceError> {
        Ok(request)
    }

    fn error() -> Option<ServiceError> {
        Some("the service is told to fail".into())
    }
}

/// HTTP requests, answered with what was seen of them, in a body of two frames and trailers.
#[derive(Debug)]
pub struct HttpCalls;

impl Kind for HttpCalls {
    type Service = HttpService;
    type Request = Request<Body>;
    type Response = Response<Body>;
    type Error = Infallible;

    fn service(script: &Arc<Script>) -> HttpService {
        Mock::new(script)
    }

    fn request() -> Request<Body> {
        let mut request = Request::new(Body::default());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = http::Uri::from_static("http://example.com/a/path?and=query");
        let value = HeaderValue::from_static("kept");
        request.headers_mut().insert("x-contract", value);
        request.extensions_mut().insert(Kept);
        request
    }

    fn respond(request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let same = request.method() == http::Method::POST
            && request.uri() == "http://example.com/a/path?and=query"
            && request
                .headers()
                .get("x-contract")
                .is_some_and(|v| v == "kept")
            && request.extensions().get::<Kept>().is_some();
        let mut response = Response::new(Body::full());
        *response.status_mut() = if same {
            http::StatusCode::CREATED
        } else {
            http::StatusCode::BAD_REQUEST
        };
        let value = HeaderValue::from_static("kept");
        response.headers_mut().insert("x-contract", value);
        Ok(response)
    }

    fn error() -> Option<Infallible> {
        None
    }
}

#[derive(Clone)]
struct Kept;

/// The body of the HTTP service's messages.
#[derive(Debug, Default)]
pub struct Body {
    frames: VecDeque<Frame<Bytes>>,
    /// What is left of the data.
    left: u64,
}

impl Body {
    pub(crate) const DATA: [&'static str; 2] = ["one", "two"];

    fn full() -> Self {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-contract", HeaderValue::from_static("trailer"));
        let data = Self::DATA.map(|text| Frame::data(Bytes::from_static(text.as_bytes())));
        let mut frames = VecDeque::from(data);
        frames.push_back(Frame::trailers(trailers));
        Self { frames, left: 6 }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let left = bytes.len() as u64;
        let frames = (left > 0).then(|| Frame::data(bytes));
        Self {
            frames: frames.into_iter().collect(),
            left,
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = ServiceError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ServiceError>>> {
        let frame = self.frames.pop_front();
        if let Some(data) = frame.as_ref().and_then(Frame::data_ref) {
            self.left -= data.len() as u64;
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}
