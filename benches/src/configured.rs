//! The same stack from a file, and in code. The file was reloaded since the stack was made.

use crate::inner;
use crate::measure::Runner;
use axum::body::Body;
use buttress::{
    Bulkhead, Carried, CircuitBreaker, IncomingAttempt, IncomingDeadline, Pressure, Prioritized,
    RateLimit, Retry, Timeout, guard,
};
use buttress_config::{Document, Format, Reload, Rules};
use http::{Request, Response};
use std::fmt::Write as _;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;
use tower::{BoxError, Layer, Service};

/// The standard, and a route with limits of its own among ten others.
const FILE: &str = r#"
[[server.route]]
match = { path = "/some/{thing}" }
rate_limit = "1000000000/s"
bulkhead = 64
timeout = "1s"
"#;

/// From a file.
pub fn ours() -> Runner {
    let mut file = FILE.to_owned();
    for number in 0..10 {
        let _ = writeln!(
            file,
            "[[server.route]]\nmatch = {{ path = \"/other/{number}\" }}"
        );
    }
    let (rules, reload) = in_force("", &file);
    let server = rules.server().layer(inner::Http);
    reload();
    Runner::new(server, inner::request)
}

/// Rules of which all changes when they are reloaded.
fn in_force(before: &str, after: &str) -> (Rules, impl FnOnce()) {
    let parse = |text| Document::parse("rules.toml", text, Format::Toml).unwrap();
    let rules = Rules::new(parse(before)).unwrap();
    let (reloaded, after) = (rules.clone(), parse(after));
    let reload = move || assert_eq!(reloaded.replace(after), Ok(Reload::Changed));
    (rules, reload)
}

/// In code.
pub fn in_code() -> Runner {
    let deadline = IncomingDeadline::at_most(Duration::from_secs(30)).unwrap();
    let rate = RateLimit::per_second(1_000_000_000).build().unwrap();
    let slots = Bulkhead::builder(64).looking(Carried).build().unwrap();
    let timeout = Timeout::new(Duration::from_secs(1)).unwrap();
    let pressure = Prioritized::new(Pressure::new().unwrap());
    let policies = guard((pressure, rate, slots));
    let layers = (deadline, IncomingAttempt::new(), policies, timeout);
    Runner::new(layers.layer(inner::Http), inner::request)
}

/// The client's stack from a file, cloned for each call, as most who have a client do.
pub fn client() -> Runner {
    let after = "[upstream.callee]\ntimeout = \"3s\"\nattempt_timeout = \"800ms\"\nretry = true\n\
                 circuit_breaker = true\nbulkhead = 64\nrate_limit = \"1000000000/s\"";
    let (rules, reload) = in_force("[upstream.callee]\nretry = false", after);
    let client = rules.upstream("callee").unwrap().layer(Client);
    reload();
    Runner::new(PerCall(client), inner::request)
}

/// The client's stack in code.
pub fn client_in_code() -> Runner {
    let policies = (
        CircuitBreaker::new("callee").unwrap(),
        RateLimit::per_second(1_000_000_000).build().unwrap(),
        Bulkhead::builder(64).looking(Carried).build().unwrap(),
    );
    let layers = (
        Timeout::new(Duration::from_secs(3)).unwrap(),
        Retry::new(),
        guard(policies),
        Timeout::per_attempt(Duration::from_millis(800)).unwrap(),
    );
    Runner::new(PerCall(layers.layer(Client)), inner::request)
}

/// Answers at once, whatever the body is, and could fail.
#[derive(Clone, Copy, Debug)]
struct Client;

impl<B> Service<Request<B>> for Client {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

/// Makes a clone for each call.
#[derive(Clone, Debug)]
struct PerCall<S>(S);

impl<S: Service<Req> + Clone, Req> Service<Req> for PerCall<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Req) -> S::Future {
        let mut service = self.0.clone();
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready(), "not ready");
        service.call(request)
    }
}
