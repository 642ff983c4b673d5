//! What comes to a policy while another one is made of it: after its state was copied, and before calls
//! go to the next one.

use super::Kind;
use super::maker::Maker;
use super::registry::Registry;
use crate::policy::{Change, Managed, Policies};
use crate::settings::{CircuitBreakerSettings, RateLimitSettings};
use crate::{Document, Format};
use buttress::{Admission, Now, Outcome, Permit, Policy};
use http::Request;

fn rate(text: &str) -> RateLimitSettings {
    let text = format!("[server.defaults]\nrate_limit = {{ rate = \"5 per hour\"{text} }}");
    let document = Document::parse("test", &text, Format::Toml).unwrap();
    let defaults = document.settings().defaults();
    defaults.rate_limit.unwrap().on().unwrap().clone()
}

fn breaker(text: &str) -> CircuitBreakerSettings {
    let breaker = format!("circuit_breaker = {{ consecutive_failures = 1{text} }}");
    let text = format!("[upstream.one]\nretry = false\n{breaker}");
    let document = Document::parse("test", &text, Format::Toml).unwrap();
    let upstreams = document.settings().upstream.clone().unwrap();
    let one = upstreams.get("one").unwrap().circuit_breaker.clone();
    one.unwrap().on().unwrap().clone()
}

fn call() -> Request<()> {
    let request = Request::get("/").header("x-tenant", "a");
    request.body(()).unwrap()
}

fn now() -> Now {
    Now::at(tokio::time::Instant::now().into_std())
}

/// A policy, and the steps in which another one takes its place.
fn exchange<K: Kind>(before: &K, after: &K) -> (Policies, Vec<Change>) {
    let empty = Registry::default();
    let mut maker = Maker::new(&empty);
    let policy: Managed = maker.policy("one".into(), "one", before).unwrap();
    let (registry, changes) = maker.finish();
    for change in changes {
        change();
    }
    let mut maker = Maker::new(&registry);
    maker.policy("one".into(), "one", after).unwrap();
    (Policies::new(vec![policy]), maker.finish().1)
}

const KEYS: [&str; 2] = ["", ", by = \"header:x-tenant\""];

#[tokio::test(start_paused = true)]
async fn what_a_rate_limit_gives_away_meanwhile_is_not_given_away_again() {
    for by in KEYS {
        for algorithm in ["", ", algorithm = \"sliding_window\""] {
            let of = |more: &str| rate(&format!("{by}{algorithm}{more}"));
            let (policy, changes) = exchange(&of(""), &of(", announced = true"));
            let take = || {
                let calls = (0..10).map(|_| policy.admit(&call(), &now()));
                let admitted = calls.filter(|answer| matches!(answer, Admission::Admitted(_)));
                admitted.count()
            };
            let mut admitted = 0;
            for (step, change) in changes.into_iter().enumerate() {
                if step == 1 {
                    admitted += take();
                }
                change();
            }
            assert_eq!(admitted + take(), 5, "{by}{algorithm}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_breaker_that_opens_meanwhile_stays_open() {
    for by in KEYS {
        let (policy, changes) = exchange(&breaker(by), &breaker(&format!("{by}, probes = 2")));
        for (step, change) in changes.into_iter().enumerate() {
            if step == 1 {
                let Admission::Admitted(permit) = policy.admit(&call(), &now()) else {
                    panic!("it is closed");
                };
                permit.complete(Outcome::Failure, &now());
            }
            change();
        }
        let answer = policy.admit(&call(), &now());
        assert!(matches!(answer, Admission::Refused(_)), "{by}");
    }
}
