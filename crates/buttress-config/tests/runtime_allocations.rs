//! Rule 12: a call through a configured stack allocates nothing that the same stack in code does not.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{
    Bulkhead, Carried, CircuitBreaker, IncomingDeadline, RateLimit, Retry, Timeout, guard,
};
use buttress_config::{Document, Format, Rules};
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{Empty, Full};
use std::convert::Infallible;
use std::fmt::Write as _;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use tower::{BoxError, Layer, Service, service_fn};

fn answer<B>(_: Request<B>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::from("something"))))
}

fn answer_client<B>(_: Request<B>) -> Ready<Result<Response<Empty<Bytes>>, BoxError>> {
    ready(Ok(Response::new(Empty::new())))
}

/// Allocations of a call, from readiness to the end of its body, once everything is warm.
fn of_a_call<S, B>(mut service: S) -> u64
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>>,
    B: Body,
{
    let mut last = 0;
    for _ in 0..3 {
        let request = Request::get("/users/7").body(Empty::new()).unwrap();
        let counted = allocation_counter::measure(|| {
            let mut context = Context::from_waker(Waker::noop());
            assert!(service.poll_ready(&mut context).is_ready());
            let mut future = pin!(service.call(request));
            let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context) else {
                return;
            };
            let mut body = pin!(response.into_body());
            while let Poll::Ready(Some(_)) = body.as_mut().poll_frame(&mut context) {}
        });
        last = counted.count_total;
    }
    last
}

fn server(file: &str) -> u64 {
    let rules = Rules::from_toml(file).unwrap();
    of_a_call(rules.server().layer(service_fn(answer)))
}

const WITHOUT: &str =
    "[server.defaults]\ndeadline = false\nattempt = false\ncriticality = false\npressure = false\n";

#[tokio::test(start_paused = true)]
async fn a_configured_server_allocates_nothing() {
    assert_eq!(server(WITHOUT), 0, "nothing");
    for policies in [
        "bulkhead = 8",
        "rate_limit = \"1000/s\"",
        "adaptive_limit = true",
        "bulkhead = { limit = 8, priority = true }\nadaptive_limit = true\nrate_limit = \"1000/s\"",
        "deadline_shedder = true\nfair_share = { limit = 8, by = \"method\" }",
        "timeout = { headers = \"1s\", idle_body = \"1s\", whole_body = \"2s\" }",
    ] {
        assert_eq!(server(&format!("{WITHOUT}{policies}")), 0, "{policies}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_does_one_of_many_policies() {
    let mut file = WITHOUT.to_owned();
    let names: Vec<_> = (0..11).map(|number| format!("\"p{number}\"")).collect();
    let _ = writeln!(file, "use = [{}]", names.join(", "));
    for name in names {
        let _ = writeln!(file, "[policy.{name}]\nbulkhead = 8");
    }
    assert_eq!(server(&file), 0);
}

#[tokio::test(start_paused = true)]
async fn a_configured_stack_allocates_what_the_same_stack_in_code_does() {
    let file = format!(
        "{}\nrate_limit = \"1000/s\"\nbulkhead = 8\ntimeout = \"1s\"",
        WITHOUT.replace("deadline = false", "deadline = \"30s\"")
    );
    let second = Duration::from_secs(1);
    let rate = RateLimit::per_second(1_000).build().unwrap();
    let slots = Bulkhead::builder(8).looking(Carried).build().unwrap();
    let layers = (
        IncomingDeadline::at_most(30 * second).unwrap(),
        guard((rate, slots)),
        Timeout::new(second).unwrap(),
    );
    assert_eq!(server(&file), of_a_call(layers.layer(service_fn(answer))));
}

#[tokio::test(start_paused = true)]
async fn a_configured_client_that_is_not_retried_allocates_nothing() {
    let rules = "[upstream.one]\nretry = false\nbulkhead = 8\nthrottle = true";
    let layer = Rules::from_toml(rules).unwrap().upstream("one").unwrap();
    assert_eq!(of_a_call(layer.layer(service_fn(answer_client))), 0);
}

/// What a clone of it, its call and its end allocate.
fn of_a_clone<S, B>(template: &S) -> u64
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>> + Clone,
    B: Body,
{
    let cloned = || allocation_counter::measure(|| drop(template.clone())).count_total;
    let _ = cloned();
    cloned() + of_a_call(template.clone())
}

#[tokio::test(start_paused = true)]
async fn after_a_reload_clients_and_servers_allocate_what_they_did_before() {
    let settings = [
        "retry = false\nbulkhead = 8\nthrottle = true",
        "retry = { attempts = 2 }\nbulkhead = 8",
        "hedge = { after = \"1s\" }\nretry = false",
        "coalesce = true",
        "stale_if_error = true",
    ];
    for settings in settings {
        let parse = |timeout| {
            let text = format!(
                "{WITHOUT}timeout = \"{timeout}\"\nbulkhead = 8\n\
                 [upstream.one]\ntimeout = \"{timeout}\"\n{settings}"
            );
            Document::parse("test", &text, Format::Toml).unwrap()
        };
        let rules = Rules::new(parse("21s")).unwrap();
        let layer = rules.upstream("one").unwrap();
        let client = layer.layer(service_fn(answer_client));
        let server = rules.server().layer(service_fn(answer));
        let before = (of_a_clone(&client), of_a_clone(&server));
        rules.replace(parse("22s")).unwrap();
        let after = (of_a_clone(&client), of_a_clone(&server));
        assert_eq!(after, before, "{settings}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_configured_client_allocates_what_the_same_stack_in_code_does() {
    let rules = "[upstream.one]\ntimeout = \"3s\"\nattempt_timeout = \"800ms\"\nbulkhead = 8\n\
                 retry = { attempts = 3 }\ncircuit_breaker = true";
    let rules = Rules::from_toml(rules).unwrap();
    let layer = rules.upstream("one").unwrap();
    let slots = Bulkhead::new(8).unwrap();
    let in_code = (
        Timeout::new(Duration::from_secs(3)).unwrap(),
        Retry::new(),
        guard((CircuitBreaker::new("one").unwrap(), slots)),
        Timeout::per_attempt(Duration::from_millis(800)).unwrap(),
    );
    let in_code = of_a_clone(&in_code.layer(service_fn(answer_client)));
    assert_eq!(of_a_clone(&layer.layer(service_fn(answer_client))), in_code);
}
