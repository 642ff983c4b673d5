//! Requests to a server.

use super::{Answer, Body, Endless, LATE, answer, paused, said, said_of_body, to_the_end};
use buttress_config::Rules;
use http::{Request, Response};
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// How long each of some requests takes, of which the next comes so much later than the one before.
fn run(
    text: &str,
    answers: &[Answer],
    requests: u32,
    apart: Duration,
    patience: Duration,
) -> Vec<Duration> {
    paused().block_on(async {
        let rules = Rules::from_toml(text).unwrap();
        let sent = AtomicUsize::new(0);
        let service = service_fn(|_: Request<Body>| {
            let next = sent.fetch_add(1, Ordering::Relaxed);
            let answer = answers.get(next).or(answers.last()).copied().unwrap();
            async move { Ok::<Response<Body>, BoxError>(answer.give().await) }
        });
        let server = rules.server().layer(service);
        let requests = (0..requests).map(|number| {
            let server = server.clone();
            async move {
                tokio::time::sleep(apart * number).await;
                let begin = Instant::now();
                let request = Request::get("/").body(Body::new()).unwrap();
                let call = server.oneshot(request);
                _ = tokio::time::timeout(patience + 2 * LATE, call).await;
                begin.elapsed()
            }
        });
        futures_util::future::join_all(requests).await
    })
}

fn route(deadline: &str, timeout: &str, policies: &str) -> String {
    format!(
        "[[server.route]]\nmatch = {{ path = '/' }}\npressure = false\n\
         deadline = {deadline}\ntimeout = {timeout}\n{policies}"
    )
}

#[test]
fn a_request_waits_in_each_queue_and_then_as_long_as_its_timeout() {
    let queues = "rate_limit = { rate = '1/s', burst = 1, wait_at_most = '1s' }\n\
                  pace = { rate = '1 per 4s', waiting_room = { places = 9, longest_wait = '3s' } }\n";
    let text = route("'30s'", "'2s'", queues);
    let (most, _) = said(&text, "server.route[0]");
    assert_eq!(most, Some(Duration::from_secs(1 + 3 + 2)));
    let answers = [Answer::with(200, Duration::ZERO), Answer::HANGS];
    let times = run(
        &text,
        &answers,
        2,
        Duration::from_millis(1),
        Duration::from_secs(60),
    );
    let time = times[1];
    assert!(
        time <= most.unwrap() + LATE && time * 100 >= most.unwrap() * 99,
        "{time:?}"
    );
}

/// How long some requests take to the end of bodies that have none, which come at once.
fn run_with_bodies(text: &str, requests: u32) -> Vec<Duration> {
    paused().block_on(async {
        let service = service_fn(|_: Request<Body>| async {
            Ok::<_, BoxError>(Response::new(Endless::new()))
        });
        let server = Rules::from_toml(text).unwrap().server().layer(service);
        let requests = (0..requests).map(|_| {
            let request = Request::get("/").body(Body::new()).unwrap();
            to_the_end(server.clone().oneshot(request))
        });
        futures_util::future::join_all(requests).await
    })
}

#[test]
fn a_body_ends_after_its_queues_and_its_time() {
    let body = "{ headers = '1s', whole_body = '5s' }";
    let queues = "rate_limit = { rate = '1/s', burst = 1, wait_at_most = '1s' }\n\
                  pace = { rate = '1 per 4s', waiting_room = { places = 9, longest_wait = '3s' } }\n";
    let text = route("'30s'", body, queues);
    let most = said_of_body(&text, "server.route[0]");
    assert_eq!(most, Some(Duration::from_secs(1 + 3 + 5)));
    let times = run_with_bodies(&text, 2);
    let time = times[1];
    assert!(
        time <= most.unwrap() + LATE && time * 100 >= most.unwrap() * 99,
        "{time:?}"
    );
    // A deadline ends what waits in queues, and no body.
    let text = route("'2s'", body, "");
    assert_eq!(
        said_of_body(&text, "server.route[0]"),
        Some(Duration::from_secs(5))
    );
    let time = run_with_bodies(&text, 1)[0];
    assert!(time >= Duration::from_secs(5) && time <= Duration::from_secs(5) + LATE);
    // Without a bound, nothing is said of it.
    assert_eq!(
        said_of_body(&route("'2s'", "'1s'", ""), "server.route[0]"),
        None
    );
}

#[test]
fn a_deadline_ends_what_waits_and_works() {
    let text = route("'5s'", "false", "");
    let (most, _) = said(&text, "server.route[0]");
    assert_eq!(most, Some(Duration::from_secs(5)));
    let time = run(
        &text,
        &[Answer::HANGS],
        1,
        Duration::ZERO,
        Duration::from_secs(60),
    )[0];
    assert!(
        time >= most.unwrap() && time <= most.unwrap() + LATE,
        "{time:?}"
    );
}

#[test]
fn without_deadline_and_timeout_nothing_bounds_a_request() {
    let text = route("false", "false", "");
    assert_eq!(said(&text, "server.route[0]"), (None, None));
    let patience = Duration::from_secs(1_000);
    assert!(run(&text, &[Answer::HANGS], 1, Duration::ZERO, patience)[0] >= patience);
}

fn policies() -> impl Strategy<Value = String> {
    let wait = || prop::option::weighted(0.5, 1_u32..3_000);
    (wait(), wait(), wait()).prop_map(|(rate, slots, pace)| {
        let mut text = String::new();
        let room =
            |wait: u32| format!("waiting_room = {{ places = 9, longest_wait = '{wait}ms' }}");
        if let Some(wait) = rate {
            let limit = format!("rate = '1 per 500ms', burst = 1, wait_at_most = '{wait}ms'");
            _ = writeln!(text, "rate_limit = {{ {limit} }}");
        }
        if let Some(wait) = slots {
            _ = writeln!(text, "bulkhead = {{ limit = 1, {} }}", room(wait));
        }
        if let Some(wait) = pace {
            _ = writeln!(text, "pace = {{ rate = '2/s', {} }}", room(wait));
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_request_takes_longer_than_is_said(
        deadline in prop::sample::select(vec!["'10s'", "'20s'", "false"]),
        timeout in prop::sample::select(vec!["'100ms'", "'1s'", "'15s'", "false"]),
        policies in policies(),
        answers in prop::collection::vec(answer(), 1..10),
        requests in 1_u32..10,
        apart in 0_u64..300,
    ) {
        let text = route(deadline, timeout, &policies);
        let (most, _) = said(&text, "server.route[0]");
        if let Some(most) = most {
            let apart = Duration::from_millis(apart);
            for time in run(&text, &answers, requests, apart, most) {
                prop_assert!(time <= most + LATE, "{:?} instead of {:?} with {}", time, most, text);
            }
        }
    }
}
