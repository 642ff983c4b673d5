use super::answer::{self, Kept, KeptBody};
use super::layer::Shared;
use super::store::Seen;
use http::{HeaderValue, Method, Request, Response, header};
use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_service::Service;

/// Answers at the status URLs of a [`RunLater`](super::RunLater), by the last part of the path.
#[derive(Clone)]
pub struct Status {
    shared: Arc<Shared>,
}

impl Status {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// The answer to `HEAD` is that to `GET` without its body.
    fn answer_to<B>(&self, request: &Request<B>) -> Response<KeptBody> {
        let mut response = self.answer(request);
        if request.method() == Method::HEAD {
            let body = std::mem::take(response.body_mut());
            let length = HeaderValue::from(body.len());
            response
                .headers_mut()
                .insert(header::CONTENT_LENGTH, length);
        }
        response
    }

    fn answer<B>(&self, request: &Request<B>) -> Response<KeptBody> {
        let path = request.uri().path();
        let id = path.rsplit('/').next().and_then(parse);
        let store = &self.shared.store;
        match *request.method() {
            Method::GET | Method::HEAD => match id.and_then(|id| store.state(id)) {
                Some(Seen::Queued) => answer::accepted(answer::QUEUED, None),
                Some(Seen::Running) => answer::accepted(answer::RUNNING, None),
                Some(Seen::Done(kept)) => kept.response(),
                None => Kept::failed(&answer::UNKNOWN).response(),
            },
            Method::DELETE if id.is_some_and(|id| store.cancel(id)) => answer::forgotten(),
            Method::DELETE => Kept::failed(&answer::UNKNOWN).response(),
            _ => answer::only_asking(),
        }
    }
}

/// 32 hexadecimal digits, as they are written.
fn parse(name: &str) -> Option<u128> {
    let digits = name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    u128::from_str_radix(name, 16).ok().filter(|_| digits)
}

impl<B> Service<Request<B>> for Status {
    type Response = Response<KeptBody>;
    type Error = Infallible;
    type Future = Ready<Result<Response<KeptBody>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ready(Ok(self.answer_to(&request)))
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").finish_non_exhaustive()
    }
}
