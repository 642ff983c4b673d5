//! When the next attempt is made.

use crate::script::{Answer, Callee, get, grpc, grpc_headers, grpc_trailers, status};
use buttress::backoff::Jitter;
use buttress::{Backoff, Deadline, Retry, RetryBuilder, Timeout};
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use std::time::Duration;
use tokio::time::Instant;
use tower::{Layer, ServiceExt};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn without_jitter() -> RetryBuilder {
    let backoff = Backoff::exponential(millis(50), millis(1_000)).unwrap();
    Retry::builder().backoff(backoff.jitter(Jitter::None))
}

/// The milliseconds at which a callee is asked.
async fn instants(retry: RetryBuilder, callee: Callee) -> Vec<u128> {
    let service = retry.repeats_all().build().unwrap().layer(callee.clone());
    let _ = service.oneshot(get()).await;
    callee.instants()
}

fn limited(code: u16, after: &'static str) -> impl FnMut() -> Answer + Send {
    move || Ok(status(code, &[("retry-after", after)]))
}

#[tokio::test(start_paused = true)]
async fn waits_grow() {
    let callee = Callee::new().then_status(502);
    // tokio's timers are rounded up to the next millisecond.
    let near = |instants: Vec<u128>, expected: &[u128]| {
        let together = instants.iter().zip(expected);
        assert_eq!(instants.len(), expected.len());
        for (instant, expected) in together {
            assert!((*expected..expected + 4).contains(instant), "{instants:?}");
        }
    };
    near(
        instants(without_jitter().attempts(4), callee).await,
        &[0, 50, 150, 350],
    );
    // Longer if there is too much to do, unless it is said how long.
    let overloaded = Callee::new().then_status(429);
    near(
        instants(without_jitter(), overloaded).await,
        &[0, 1_000, 2_000],
    );
    let constant = Retry::builder().backoff(Backoff::constant(millis(7)).unwrap());
    near(
        instants(constant, Callee::new().then_status(503)).await,
        &[0, 7, 14],
    );
    let at_once = Retry::builder().backoff(Backoff::constant(Duration::ZERO).unwrap());
    near(
        instants(at_once, Callee::new().then_status(503)).await,
        &[0, 0, 0],
    );
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_says_when_to_come_back_is_obeyed() {
    let callee = Callee::new()
        .then(limited(503, "3"))
        .then(limited(429, "2"))
        .then_status(200);
    let asked = instants(without_jitter(), callee).await;
    assert_eq!(asked.len(), 3);
    assert!((3_000..3_003).contains(&asked[1]), "{asked:?}");
    assert!((5_000..5_006).contains(&asked[2]), "{asked:?}");

    let dated = Callee::new()
        .then(|| {
            Ok(status(
                503,
                &[
                    ("date", "Tue, 29 Oct 2024 16:56:32 GMT"),
                    ("retry-after", "Tue, 29 Oct 2024 16:56:36 GMT"),
                ],
            ))
        })
        .then_status(200);
    let asked = instants(without_jitter(), dated).await;
    assert!((4_000..4_003).contains(&asked[1]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_pushback_the_backoff_starts_again() {
    for answer in [grpc_headers, grpc_trailers] {
        let failing = move || Ok(answer(&[("grpc-status", "14")]));
        let pushed = move || {
            Ok(answer(&[
                ("grpc-status", "14"),
                ("grpc-retry-pushback-ms", "700"),
            ]))
        };
        let callee = Callee::new()
            .then(failing)
            .then(failing)
            .then(pushed)
            .then(failing);
        let retry = without_jitter().attempts(5).repeats_all().build().unwrap();
        let _ = retry.layer(callee.clone()).oneshot(grpc()).await;
        let asked = callee.instants();
        let waits: Vec<u128> = asked.windows(2).map(|pair| pair[1] - pair[0]).collect();
        for (wait, expected) in waits.iter().zip([50, 100, 700, 50]) {
            assert!((expected..expected + 3).contains(wait), "{waits:?}");
        }
        assert_eq!(waits.len(), 4);
    }
}

/// dotnet/extensions#7701: `Retry-After` was slept past the total timeout.
#[tokio::test(start_paused = true)]
async fn a_wait_that_would_outlast_the_deadline_is_not_begun() {
    let with_deadline = |time| {
        let mut request: Request<Empty<Bytes>> = get();
        Deadline::after(time).put(request.extensions_mut());
        request
    };
    for (deadline, expected) in [(2_999, 1), (3_000, 1), (3_010, 2)] {
        let callee = Callee::new().then(limited(503, "3"));
        let retry = without_jitter().attempts(2).build().unwrap();
        let start = Instant::now();
        let request = with_deadline(millis(deadline));
        let answer = retry.layer(callee.clone()).oneshot(request).await.unwrap();
        // The callee's own answer, and at once.
        assert_eq!(answer.headers()["retry-after"], "3");
        assert_eq!(callee.times(), expected, "{deadline}");
        if expected == 1 {
            assert_eq!(start.elapsed(), Duration::ZERO);
        }
    }
    // A timeout further out lowers it.
    let callee = Callee::new().then(limited(503, "3"));
    let retry = without_jitter().build().unwrap();
    let timeout = Timeout::new(millis(500)).unwrap().sets_deadline();
    let start = Instant::now();
    let answer = timeout
        .layer(retry.layer(callee.clone()))
        .oneshot(get())
        .await;
    assert_eq!(answer.unwrap().status(), 503);
    assert_eq!((callee.times(), start.elapsed()), (1, Duration::ZERO));
}

/// As tonic's clients state it.
#[tokio::test(start_paused = true)]
async fn a_grpc_timeout_bounds_the_waits_as_well() {
    for (timeout, expected) in [
        ("600m", 1),
        ("700m", 1),
        ("800m", 2),
        ("99999999H", 2),
        ("x", 2),
    ] {
        let callee = Callee::new().then(|| {
            Ok(grpc_trailers(&[
                ("grpc-status", "14"),
                ("grpc-retry-pushback-ms", "700"),
            ]))
        });
        let retry = without_jitter().attempts(2).repeats_all().build().unwrap();
        let mut request = grpc();
        let value = timeout.parse().unwrap();
        request.headers_mut().insert("grpc-timeout", value);
        let _ = retry.layer(callee.clone()).oneshot(request).await;
        assert_eq!(callee.times(), expected, "{timeout}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_the_longest_wait_bounds_what_a_callee_asks_for() {
    let far = Callee::new().then(limited(503, "99999999999999999999999"));
    assert_eq!(instants(without_jitter(), far).await, [0]);
    let callee = Callee::new().then(limited(503, "11"));
    assert_eq!(instants(without_jitter(), callee.clone()).await, [0]);
    let patient = without_jitter().longest_wait(millis(11_000));
    assert_eq!(
        instants(patient, Callee::new().then(limited(503, "11")))
            .await
            .len(),
        3
    );
}

#[tokio::test(start_paused = true)]
async fn a_malformed_wait_is_none() {
    let callee = Callee::new().then(limited(503, "soon"));
    let asked = instants(without_jitter(), callee).await;
    assert_eq!(asked.len(), 3);
    assert!((50..53).contains(&asked[1]), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_seed_repeats_the_waits() {
    let run = async |seed| {
        let callee = Callee::new().then_status(503);
        instants(Retry::builder().attempts(8).seed(seed), callee).await
    };
    let first = run(7).await;
    assert_eq!(first.len(), 8);
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
}

/// A wait shares the timer of the layers around it, and works behind wakers of others.
#[tokio::test(start_paused = true)]
async fn waits_end_within_other_layers_and_behind_other_wakers() {
    use futures_util::StreamExt;
    use futures_util::stream::FuturesUnordered;
    let timeout = Timeout::new(millis(60_000)).unwrap();
    let attempt = Timeout::per_attempt(millis(5_000)).unwrap();
    let callees = [1, 2, 3].map(|seconds: u32| {
        let after = ["1", "2", "3"][seconds as usize - 1];
        Callee::new().then(limited(503, after)).then_status(200)
    });
    let calls: FuturesUnordered<_> = callees
        .iter()
        .map(|callee| {
            let service = attempt.layer(callee.clone());
            let service = timeout.layer(without_jitter().build().unwrap().layer(service));
            service.oneshot(get())
        })
        .collect();
    let start = Instant::now();
    let answers: Vec<_> = calls.collect().await;
    assert!(
        answers
            .into_iter()
            .all(|answer| answer.unwrap().status() == 200)
    );
    assert!((millis(3_000)..millis(3_005)).contains(&start.elapsed()));
}
