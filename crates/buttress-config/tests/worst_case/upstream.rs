//! Calls to an upstream.

use super::{Answer, Body, Endless, LATE, answer, paused, said, said_of_body, to_the_end};
use buttress::repeat::ReplayBody;
use buttress_config::{Document, Format, Rules};
use http::{Request, Response};
use proptest::prelude::*;
use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tower::{BoxError, Layer, ServiceExt, service_fn};

fn millis(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn secs(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// How long each of some calls takes, of which the next begins so much later than the one before.
/// The callee gives the answers in turn, and the last one from then on. A call that takes much longer
/// than `patience` is given up.
fn run(
    text: &str,
    answers: &[Answer],
    calls: u32,
    apart: Duration,
    patience: Duration,
) -> Vec<Duration> {
    paused().block_on(async {
        let rules = Rules::from_toml(text).unwrap();
        let sent = AtomicUsize::new(0);
        let answers: Arc<[Answer]> = answers.into();
        let callee = service_fn(|_: Request<ReplayBody<Body>>| {
            let next = sent.fetch_add(1, Ordering::Relaxed);
            let answer = answers.get(next).or(answers.last()).copied().unwrap();
            async move { Ok::<Response<Body>, BoxError>(answer.give().await) }
        });
        let client = rules.upstream("u").unwrap().layer(callee);
        let calls = (0..calls).map(|number| {
            let client = client.clone();
            async move {
                tokio::time::sleep(apart * number).await;
                let begin = Instant::now();
                let request = Request::get("http://u.test/").body(Body::new()).unwrap();
                let call = client.oneshot(request);
                _ = tokio::time::timeout(patience + 2 * LATE, call).await;
                begin.elapsed()
            }
        });
        futures_util::future::join_all(calls).await
    })
}

/// How long a single call takes.
fn one(text: &str, answers: &[Answer]) -> Duration {
    run(text, answers, 1, Duration::ZERO, secs(1_000))[0]
}

/// Not longer, and not much shorter.
fn nearly(time: Duration, bound: Duration) {
    assert!(time <= bound + LATE, "{time:?} against {bound:?}");
    assert!(time * 100 >= bound * 93, "{time:?} against {bound:?}");
}

const PLAIN: &str = "[upstream.u]\ncircuit_breaker = false\n";

#[test]
fn a_callee_that_hangs_takes_each_attempt_and_each_wait() {
    let text = format!(
        "{PLAIN}timeout = '1m'\nattempt_timeout = '1s'\n\
         retry = {{ attempts = 4, budget = false, backoff = {{ base = '400ms', cap = '1s', jitter = 'none', base_if_overloaded = '100ms' }} }}\n"
    );
    let (_, unasked) = said(&text, "upstream.u");
    assert_eq!(unasked, Some(millis(4_000 + 400 + 800 + 1_000)));
    nearly(one(&text, &[Answer::HANGS]), unasked.unwrap());
}

/// From the call on, whatever its attempts took before there was an answer.
#[test]
fn a_body_ends_when_the_call_has_had_its_time() {
    let text = format!(
        "{PLAIN}timeout = {{ headers = '4s', whole_body = '6s' }}\nattempt_timeout = '1s'\n\
         retry = {{ attempts = 3, budget = false }}\n"
    );
    let most = said_of_body(&text, "upstream.u");
    assert_eq!(most, Some(secs(6)));
    let time = paused().block_on(async {
        let sent = AtomicUsize::new(0);
        let callee = service_fn(|_: Request<ReplayBody<Body>>| {
            let hangs = sent.fetch_add(1, Ordering::Relaxed) < 2;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(Response::new(Endless::new()))
            }
        });
        let rules = Rules::from_toml(&text).unwrap();
        let client = rules.upstream("u").unwrap().layer(callee);
        let request = Request::get("http://u.test/").body(Body::new()).unwrap();
        to_the_end(client.oneshot(request)).await
    });
    nearly(time, most.unwrap());
}

#[test]
fn an_attempt_that_nothing_is_said_of_leaves_time_for_the_others() {
    let text = format!("{PLAIN}timeout = '2s'\n");
    let time = one(&text, &[Answer::HANGS, Answer::with(200, Duration::ZERO)]);
    // The wait before the second attempt is 50 ms at most.
    assert!(
        time >= millis(616) && time <= millis(616 + 50) + LATE,
        "{time:?}"
    );
}

#[test]
fn a_callee_that_says_too_much_late_takes_the_waits_after_an_overload() {
    let text = format!(
        "{PLAIN}timeout = '1m'\nattempt_timeout = '1s'\n\
         retry = {{ attempts = 3, budget = false, backoff = {{ jitter = 'none' }} }}\n"
    );
    let (_, unasked) = said(&text, "upstream.u");
    assert_eq!(unasked, Some(secs(3 + 2)));
    nearly(
        one(&text, &[Answer::with(429, millis(990))]),
        unasked.unwrap(),
    );
}

#[test]
fn a_callee_that_asks_for_waits_takes_the_longest_that_are_kept_to() {
    let text =
        format!("{PLAIN}timeout = '1m'\nattempt_timeout = '1s'\nretry = {{ budget = false }}\n");
    let (most, _) = said(&text, "upstream.u");
    assert_eq!(most, Some(secs(3 + 2 * 10)));
    let asks = Answer::with(503, millis(990)).and_come_back_after(10);
    nearly(one(&text, &[asks]), most.unwrap());
    // Longer than that is not waited for.
    let asks_more = Answer::with(503, millis(990)).and_come_back_after(11);
    assert!(one(&text, &[asks_more]) < secs(1));
}

#[test]
fn a_callee_that_asks_for_waits_takes_no_longer_than_the_call_may() {
    let text =
        format!("{PLAIN}timeout = '9s'\nattempt_timeout = '2s'\nretry = {{ budget = false }}\n");
    let (most, _) = said(&text, "upstream.u");
    assert_eq!(most, Some(secs(9)));
    let asks = Answer::with(503, millis(990)).and_come_back_after(10);
    nearly(one(&text, &[asks]), most.unwrap());
}

#[test]
fn each_attempt_waits_in_the_queue_again() {
    for queue in [
        "rate_limit = { rate = '1 per 10s', burst = 1, wait_at_most = '10s' }",
        "pace = { rate = '1 per 10s', waiting_room = { places = 9, longest_wait = '10s' } }",
    ] {
        for shared in [false, true] {
            let place = if shared {
                format!("[policy.p]\n{queue}\n{PLAIN}use = 'p'\n")
            } else {
                format!("{PLAIN}{queue}\n")
            };
            let text = format!(
                "{place}timeout = '2m'\nattempt_timeout = '1s'\n\
                 retry = {{ attempts = 3, budget = false, longest_wait = '1ms', backoff = {{ constant = '1ms' }} }}\n"
            );
            let (most, _) = said(&text, "upstream.u");
            assert_eq!(most, Some(millis(3 * 11_000 + 2)));
            // The first call takes the first turn at once, and the second one waits.
            let answers = [Answer::with(200, Duration::ZERO), Answer::HANGS];
            let times = run(&text, &answers, 2, millis(1), secs(100));
            nearly(times[1], most.unwrap());
        }
    }
}

#[test]
fn a_copy_goes_out_at_the_latest_when_the_one_before_ends() {
    let text = format!(
        "{PLAIN}timeout = '1m'\nattempt_timeout = '1s'\n\
         hedge = {{ after = '990ms', attempts = 3, extra_load = 4 }}\n"
    );
    let (most, unasked) = said(&text, "upstream.u");
    assert_eq!((most, unasked), (Some(secs(3)), None));
    let first = [Answer::with(200, Duration::ZERO); 9];
    let answers = [&first[..], &[Answer::HANGS]].concat();
    // The first calls earn the last one its copies.
    let times = run(&text, &answers, 10, millis(1), secs(100));
    nearly(times[9], most.unwrap());
}

#[test]
fn without_timeouts_nothing_bounds_a_call() {
    let text = format!("{PLAIN}timeout = false\nattempt_timeout = false\nretry = 1\n");
    assert_eq!(said(&text, "upstream.u"), (None, None));
    assert!(one(&text, &[Answer::HANGS]) >= secs(1_000));
}

/// A call may take longer than any that is made by itself.
#[test]
fn a_call_that_waits_for_others_has_no_bound() {
    let text =
        format!("{PLAIN}timeout = '1s'\nattempt_timeout = false\nretry = false\ncoalesce = true\n");
    assert_eq!(said(&text, "upstream.u").0, None);
    let times = run(&text, &[Answer::HANGS], 8, millis(1), secs(100));
    assert!(times.iter().any(|time| *time > secs(3)), "{times:?}");
}

/// The settings of a stack whose calls are tried again, with queues.
fn retrying() -> impl Strategy<Value = String> {
    let jitter = prop::sample::select(vec!["full", "equal", "decorrelated", "grpc", "none"]);
    let overloaded = prop::option::of(1_u32..3_000);
    let backoff = (
        1_u32..400,
        1_u32..2_000,
        1_u32..4,
        jitter,
        overloaded,
        any::<bool>(),
    );
    let backoff = backoff.prop_map(|(base, more, factor, jitter, overloaded, constant)| {
        let cap = base + more;
        let overloaded = overloaded.map(|base| format!(", base_if_overloaded = '{base}ms'"));
        let overloaded = overloaded.unwrap_or_default();
        if constant {
            format!("constant = '{base}ms'")
        } else {
            format!("base = '{base}ms', cap = '{cap}ms', factor = {factor}, jitter = '{jitter}'{overloaded}")
        }
    });
    let longest = prop::option::of(1_u32..12_000);
    (1_u32..6, backoff, longest, any::<u32>()).prop_map(|(attempts, backoff, longest, seed)| {
        let longest = longest.map(|wait| format!(", longest_wait = '{wait}ms'"));
        let longest = longest.unwrap_or_default();
        format!(
            "retry = {{ attempts = {attempts}, budget = false, seed = {seed}, backoff = {{ {backoff} }}{longest} }}\n"
        )
    })
}

fn hedging() -> impl Strategy<Value = String> {
    (1_u32..2_000, 2_u32..5, any::<bool>()).prop_map(|(after, attempts, codes)| {
        let codes = if codes { ", non_fatal = [14]" } else { "" };
        format!("hedge = {{ after = '{after}ms', attempts = {attempts}, extra_load = 4{codes} }}\n")
    })
}

fn queues() -> impl Strategy<Value = String> {
    let wait = || prop::option::weighted(0.4, 1_u32..3_000);
    (wait(), wait(), wait(), wait()).prop_map(|(rate, slots, adaptive, pace)| {
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
        if let Some(wait) = adaptive {
            let limit = "algorithm = { aimd = { start = 1, min = 1, max = 2 } }";
            _ = writeln!(text, "adaptive_limit = {{ {limit}, {} }}", room(wait));
        }
        if let Some(wait) = pace {
            _ = writeln!(text, "pace = {{ rate = '2/s', {} }}", room(wait));
        }
        text
    })
}

fn upstream() -> impl Strategy<Value = String> {
    let repeats = prop_oneof![
        4 => retrying(),
        1 => hedging(),
        1 => Just("retry = false\n".to_owned()),
    ];
    let call = prop::sample::select(vec!["'20s'", "'1m'", "false", "false"]);
    let each = prop::option::weighted(0.9, 20_u32..2_000);
    (repeats, queues(), queues(), call, each, any::<bool>()).prop_map(
        |(repeats, own, shared, call, each, shares)| {
            let each = each.map_or("false".to_owned(), |each| format!("'{each}ms'"));
            let (policy, uses) = if shares && !shared.is_empty() {
                (format!("[policy.p]\n{shared}"), "use = 'p'\n")
            } else {
                (String::new(), "")
            };
            format!(
                "{policy}{PLAIN}{uses}timeout = {call}\nattempt_timeout = {each}\n{repeats}{own}"
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_call_takes_longer_than_is_said(
        text in upstream(),
        answers in prop::collection::vec(answer(), 1..30),
        calls in 1_u32..8,
        apart in 0_u64..300,
    ) {
        // Only files that may be used, of which the shared queues may be too long.
        let document = Document::parse("test.toml", &text, Format::Toml);
        prop_assume!(document.is_ok());
        let (most, unasked) = said(&text, "upstream.u");
        if let Some(most) = most {
            for time in run(&text, &answers, calls, millis(apart), most) {
                prop_assert!(time <= most + LATE, "{:?} instead of {:?} with {}", time, most, text);
            }
        }
        if let Some(unasked) = unasked {
            let silent = answers.iter().map(|answer| Answer { retry_after: None, ..*answer });
            let silent: Vec<_> = silent.collect();
            for time in run(&text, &silent, calls, millis(apart), unasked) {
                prop_assert!(time <= unasked + LATE, "{:?} instead of {:?} with {}", time, unasked, text);
            }
        }
    }
}
