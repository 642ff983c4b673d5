use super::answer::{self, KeptBody};
use super::layer::Shared;
use super::store::State;
use super::{answer::Kept, answer::accepted};
use http::{Method, Request, Response};
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

    fn answer<B>(&self, request: &Request<B>) -> Response<KeptBody> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Kept::failed(&answer::ONLY_ASKING).response();
        }
        let path = request.uri().path();
        let id = path.rsplit('/').next().and_then(parse);
        match id.and_then(|id| self.shared.store.state(id)) {
            Some(State::Queued) => accepted(answer::QUEUED, None),
            Some(State::Running) => accepted(answer::RUNNING, None),
            Some(State::Done(kept)) => kept.response(),
            None => Kept::failed(&answer::UNKNOWN).response(),
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
        ready(Ok(self.answer(&request)))
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Status").finish_non_exhaustive()
    }
}
