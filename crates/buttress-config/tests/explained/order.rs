//! The order in which policies are printed is the one in which they are asked: of those that have
//! no room, the first one refuses.

use super::{Body, paused, refused_by};
use buttress::repeat::ReplayBody;
use buttress_config::explain::{explain, stacks};
use buttress_config::{Document, Format, Rules};
use futures_util::FutureExt;
use http::{Request, Response, StatusCode};
use proptest::prelude::*;
use regex::Regex;
use std::fmt::Write;
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// Policies with room for one call, or for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RateLimit,
    FairShare,
    Bulkhead,
    AdaptiveLimit,
    Pace,
    /// Of upstreams only. It opens at one failure, or hardly ever.
    CircuitBreaker,
}

const SHARED: [Kind; 5] = [
    Kind::RateLimit,
    Kind::FairShare,
    Kind::Bulkhead,
    Kind::AdaptiveLimit,
    Kind::Pace,
];

impl Kind {
    fn settings(self, name: &str, full: bool) -> String {
        let room = if full { 1 } else { 1_000 };
        match self {
            Self::RateLimit => {
                format!("rate_limit = {{ rate = '1/h', burst = {room}, name = '{name}' }}")
            }
            Self::FairShare => {
                format!("fair_share = {{ limit = {room}, by = 'method', name = '{name}' }}")
            }
            Self::Bulkhead => format!("bulkhead = {{ limit = {room}, name = '{name}' }}"),
            Self::AdaptiveLimit => format!(
                "adaptive_limit = {{ name = '{name}', algorithm = {{ aimd = {{ start = {room}, min = {room}, max = {room} }} }} }}"
            ),
            Self::Pace => {
                let rate = if full { "1/h" } else { "1000000000/s" };
                format!("pace = {{ rate = '{rate}', name = '{name}' }}")
            }
            Self::CircuitBreaker => format!(
                "circuit_breaker = {{ consecutive_failures = {room}, failure_rate = false, name = '{name}' }}"
            ),
        }
    }
}

/// A stack's own policies, and those of what it uses. Each has a name of its own.
#[derive(Clone, Debug)]
struct Stack {
    own: Vec<Kind>,
    used: Vec<Vec<Kind>>,
}

impl Stack {
    /// A file with the stack, of which some policies are full.
    fn file(&self, head: &str, is_full: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        let line = |text: &mut String, kind: &Kind, name: String| {
            let full = is_full(&name);
            _ = writeln!(text, "{}", kind.settings(&name, full));
        };
        for (number, kinds) in self.used.iter().enumerate() {
            _ = writeln!(text, "[policy.p{number}]");
            for kind in kinds {
                line(&mut text, kind, format!("{kind:?}-{number}"));
            }
        }
        let uses = (0..self.used.len()).map(|number| format!("'p{number}'"));
        let uses = uses.collect::<Vec<_>>().join(", ");
        _ = writeln!(text, "{head}\nuse = [{uses}]");
        for kind in &self.own {
            line(&mut text, kind, format!("{kind:?}-own"));
        }
        text
    }
}

fn stack(of_own: &'static [Kind], of_used: &'static [Kind]) -> impl Strategy<Value = Stack> {
    let some = |kinds: &'static [Kind], least: usize| {
        prop::sample::subsequence(kinds, least..=kinds.len()).prop_shuffle()
    };
    let used = prop::collection::vec(some(of_used, 1), 0..3);
    (some(of_own, 0), used).prop_map(|(own, used)| Stack { own, used })
}

/// The policies that have a name, in the order in which they are printed.
fn printed(shown: &str) -> Vec<String> {
    let names = Regex::new("name = \"([^\"]+)\"").unwrap();
    let names = names.captures_iter(shown).map(|name| name[1].to_owned());
    names.collect()
}

/// Each policy in turn refuses if it is full and those before it are not.
fn each_refuses_in_turn(
    order: &[String],
    stack: &Stack,
    refusing: impl Fn(&str, &str) -> Option<&'static str>,
    head: &str,
) -> Result<(), TestCaseError> {
    let all = stack.own.len() + stack.used.iter().map(Vec::len).sum::<usize>();
    prop_assert_eq!(order.len(), all, "{:?} of {:?}", order, stack);
    for first in 0..order.len() {
        let full = &order[first..];
        let text = stack.file(head, |name| full.iter().any(|full| full == name));
        let refused = refusing(&text, &full[0]);
        prop_assert_eq!(refused, Some(&*full[0]), "of {}", text);
    }
    Ok(())
}

const ROUTE: &str = "[[server.route]]\nmatch = { path = '/a' }\npressure = false\n\
                     deadline = { at_most = '10s', name = 'deadline', header = 'x-left' }";

fn request() -> Request<Body> {
    Request::get("/a").body(Body::new()).unwrap()
}

/// Who refuses a request to the route while another one is under way.
fn server_refuses(text: &str, late: bool) -> Option<&'static str> {
    paused().block_on(async {
        let service = service_fn(|_: Request<Body>| {
            std::future::pending::<Result<Response<Body>, BoxError>>()
        });
        let server = Rules::from_toml(text).unwrap().server().layer(service);
        let mut first = Box::pin(server.clone().oneshot(request()));
        assert!(first.as_mut().now_or_never().is_none());
        next_turn().await;
        let mut second = request();
        if late {
            second.headers_mut().insert("x-left", 0.into());
        }
        refused_by(server.oneshot(second).await)
    })
}

/// Even a quick pace lets no two calls go at once.
async fn next_turn() {
    tokio::time::advance(Duration::from_millis(1)).await;
}

const UPSTREAM: &str = "[upstream.u]\nretry = false\ntimeout = false\nattempt_timeout = false";

/// Who refuses a call to the upstream while another one is under way, or after it has failed.
fn upstream_refuses(text: &str, fails: bool) -> Option<&'static str> {
    paused().block_on(async {
        let callee = service_fn(move |_: Request<ReplayBody<Body>>| async move {
            if !fails {
                std::future::pending::<()>().await;
            }
            let mut response = Response::new(Body::new());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Ok::<_, BoxError>(response)
        });
        let client = Rules::from_toml(text)
            .unwrap()
            .upstream("u")
            .unwrap()
            .layer(callee);
        let mut first = Box::pin(client.clone().oneshot(request()));
        assert_eq!(first.as_mut().now_or_never().is_some(), fails);
        next_turn().await;
        refused_by(client.oneshot(request()).await)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_route_asks_its_policies_in_the_order_that_is_explained(stack in stack(&SHARED, &SHARED)) {
        let text = stack.file(ROUTE, |_| true);
        let document = Document::parse("test.toml", &text, Format::Toml).unwrap();
        let order = printed(&explain(document.settings(), &request()).unwrap());
        // What is late is refused before anything else is asked.
        prop_assert_eq!(&order[0], "deadline");
        prop_assert_eq!(server_refuses(&text, true), Some("deadline"));
        each_refuses_in_turn(&order[1..], &stack, |text, _| server_refuses(text, false), ROUTE)?;
    }

    #[test]
    fn an_upstream_asks_its_policies_in_the_order_that_is_printed(
        stack in stack(
            &[Kind::RateLimit, Kind::Bulkhead, Kind::AdaptiveLimit, Kind::Pace, Kind::CircuitBreaker],
            &[Kind::RateLimit, Kind::Bulkhead, Kind::AdaptiveLimit, Kind::Pace],
        ),
    ) {
        let head = if stack.own.contains(&Kind::CircuitBreaker) {
            UPSTREAM.to_owned()
        } else {
            format!("{UPSTREAM}\ncircuit_breaker = false")
        };
        let text = stack.file(&head, |_| true);
        let document = Document::parse("test.toml", &text, Format::Toml).unwrap();
        let shown = stacks(document.settings());
        let (_, of_upstream) = shown.split_once("upstream.u\n").unwrap();
        // A breaker is full once a call has failed, and the others while one is under way.
        let refusing = |text: &str, first: &str| {
            upstream_refuses(text, first.starts_with("CircuitBreaker"))
        };
        each_refuses_in_turn(&printed(of_upstream), &stack, refusing, &head)?;
    }
}
