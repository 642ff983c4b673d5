//! What is explained is what happens: the rule, and the order of its policies.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod order;
mod rule;
mod sheds;

use buttress::Rejection;
use http::{Request, Response};
use tokio::runtime::{Builder, Runtime};
use tower::BoxError;

type Body = http_body_util::Empty<bytes::Bytes>;

/// The name of the policy that refused a call.
fn refused_by(answer: Result<Response<impl Sized>, BoxError>) -> Option<&'static str> {
    match answer {
        Ok(response) => response.extensions().get().map(Rejection::policy),
        Err(error) => Rejection::find(&*error).map(Rejection::policy),
    }
}

/// The same request, which cannot be cloned with what layers put into it.
fn again(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::new());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
}
