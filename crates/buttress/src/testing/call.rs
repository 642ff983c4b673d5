//! A call that is driven by hand, one poll at a time.

use super::mock::{Body, Script, ServiceError};
use buttress_core::Rejection;
use bytes::Bytes;
use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use tower_service::Service;

/// A kind of service, and of calls to it.
pub trait Kind {
    /// The service inside.
    type Service: Service<Self::Request>;
    /// Its requests.
    type Request;
    /// Its responses.
    type Response;
    /// Its errors.
    type Error;

    /// A service that does what the script says.
    #[doc(hidden)]
    fn service(script: &Arc<Script>) -> Self::Service;

    /// A request.
    fn request() -> Self::Request;

    /// The answer to a request.
    fn respond(request: Self::Request) -> Result<Self::Response, Self::Error>;

    /// An error, if the service can fail.
    fn error() -> Option<Self::Error>;
}

/// What a layer around the service answers.
pub trait Answered {
    /// Whether the call was refused.
    fn is_refusal(&self) -> bool;

    /// Reads the answer up to the given number of the body's frames; without a number, to the end.
    ///
    /// # Errors
    ///
    /// Says what is not as the service sent it.
    fn read(self, frames: Option<usize>) -> Result<(), String>;
}

impl Answered for Result<u32, ServiceError> {
    fn is_refusal(&self) -> bool {
        match self {
            Ok(_) => false,
            Err(error) => Rejection::find(&**error).is_some(),
        }
    }

    fn read(self, _: Option<usize>) -> Result<(), String> {
        match self {
            Ok(4711) => Ok(()),
            other => Err(format!("the answer is {other:?} instead of 4711")),
        }
    }
}

impl<B> Answered for Result<http::Response<B>, Infallible>
where
    B: http_body::Body<Data = Bytes>,
{
    fn is_refusal(&self) -> bool {
        match self {
            Ok(response) => response.extensions().get::<Rejection>().is_some(),
            Err(never) => match *never {},
        }
    }

    fn read(self, frames: Option<usize>) -> Result<(), String> {
        let Ok(response) = self;
        if response.status() != http::StatusCode::CREATED {
            return Err("the request that arrives is another".to_owned());
        }
        if response.headers().get("x-contract").is_none() {
            return Err("the response's headers are lost".to_owned());
        }
        let mut body = pin!(response.into_body());
        let mut context = Context::from_waker(Waker::noop());
        let mut left = 6;
        for number in 0..frames.unwrap_or(usize::MAX) {
            let hint = body.size_hint();
            if hint.exact() != Some(left) {
                return Err(format!("the body says {hint:?} with {left} bytes left"));
            }
            if body.is_end_stream() != (number > Body::DATA.len()) {
                return Err(format!("the body's end is wrong after {number} frames"));
            }
            match body.as_mut().poll_frame(&mut context) {
                Poll::Ready(Some(Ok(frame))) => match (Body::DATA.get(number), frame.into_data()) {
                    (Some(expected), Ok(data)) if data == expected.as_bytes() => {
                        left -= data.len() as u64;
                    }
                    (None, Err(frame)) if frame.is_trailers() => {}
                    _ => return Err(format!("frame {number} of the body is another")),
                },
                Poll::Ready(None) if number == Body::DATA.len() + 1 => return Ok(()),
                _ => return Err(format!("the body breaks off at frame {number}")),
            }
        }
        Ok(())
    }
}

/// A call under way.
pub(crate) struct Call<F> {
    future: Pin<Box<F>>,
    wakes: Arc<Wakes>,
    waker: Waker,
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl<F: Future> Call<F> {
    pub(crate) fn new(future: F) -> Self {
        let wakes = Arc::new(Wakes::default());
        Self {
            future: Box::pin(future),
            waker: Waker::from(Arc::clone(&wakes)),
            wakes,
        }
    }

    pub(crate) fn poll(&mut self) -> Poll<F::Output> {
        let mut context = Context::from_waker(&self.waker);
        self.future.as_mut().poll(&mut context)
    }

    /// How often it has been woken.
    pub(crate) fn wakes(&self) -> usize {
        self.wakes.0.load(Ordering::SeqCst)
    }
}
