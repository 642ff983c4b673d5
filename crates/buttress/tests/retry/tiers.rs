//! Tiers that each retry, and what the lowest one sees of it.

use crate::script::{AnswerBody, Callee, get, grpc, grpc_headers, grpc_trailers, status};
use buttress::pushback::Pushback;
use buttress::repeat::{PeekBody, ReplayBody};
use buttress::retry::Everything;
use buttress::{Attempt, Backoff, IncomingAttempt, Retry, RetryBudget, RetryBuilder};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use std::time::Duration;
use tower::util::BoxCloneService;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

type Incoming = Request<ReplayBody<Empty<Bytes>>>;
type Server = BoxCloneService<Incoming, Response<AnswerBody>, BoxError>;
type Client = BoxCloneService<Request<Empty<Bytes>>, Response<PeekBody<AnswerBody>>, BoxError>;

fn at_once() -> RetryBuilder {
    Retry::builder().backoff(Backoff::constant(Duration::ZERO).unwrap())
}

fn client<S>(retry: &Retry, callee: S) -> Client
where
    S: Service<Incoming, Response = Response<AnswerBody>, Error = BoxError>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    BoxCloneService::new(retry.layer(callee))
}

/// A service that asks another, and answers in its own words.
fn tier(next: Client) -> Server {
    BoxCloneService::new(service_fn(move |incoming: Incoming| {
        let next = next.clone();
        async move {
            let mut outgoing = get();
            if let Some(attempt) = Attempt::of(incoming.extensions()) {
                attempt.put(outgoing.extensions_mut());
            }
            let answer = next.oneshot(outgoing).await;
            let served = answer.is_ok_and(|answer| answer.status().is_success());
            Ok(status(if served { 200 } else { 503 }, &[]))
        }
    }))
}

async fn ask(client: &Client, calls: usize) {
    for _ in 0..calls {
        let answer = client.clone().oneshot(get()).await.unwrap();
        assert_eq!(answer.status(), 503);
    }
}

/// Three tiers of clients, each of which makes three attempts.
fn three_tiers(bottom: &Callee, retry: impl Fn() -> Retry, marked: bool) -> Client {
    let server = |client| {
        let server = tier(client);
        if marked {
            return BoxCloneService::new(IncomingAttempt::new().layer(server));
        }
        server
    };
    let lowest = server(client(&retry(), bottom.clone()));
    client(&retry(), server(client(&retry(), lowest)))
}

#[tokio::test(start_paused = true)]
async fn naive_retries_multiply_and_ours_do_not() {
    let naive = Callee::new().then_status(503);
    let retry = || at_once().no_budget().build().unwrap();
    ask(&three_tiers(&naive, retry, false), 100).await;
    assert_eq!(naive.times(), 2_700);

    let bottom = Callee::new().then_status(503);
    let retry = || at_once().build().unwrap();
    ask(&three_tiers(&bottom, retry, true), 1_000).await;
    assert_eq!(bottom.times(), 1_200);
}

#[tokio::test(start_paused = true)]
async fn the_mark_alone_keeps_retries_to_the_lowest_tier() {
    let bottom = Callee::new().then_status(503);
    let retry = || at_once().no_budget().build().unwrap();
    ask(&three_tiers(&bottom, retry, true), 100).await;
    assert_eq!(bottom.times(), 300);
    // Connections that break have no headers to be marked.
    let bottom = Callee::new().then(|| Err("broken".into()));
    ask(&three_tiers(&bottom, retry, true), 100).await;
    assert_eq!(bottom.times(), 300);
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_is_overloaded_is_not_asked_again_by_any_tier() {
    let retry = || at_once().no_budget().build().unwrap();
    for says in [("x-should-retry", "false"), ("retry-after", "3600")] {
        let bottom = Callee::new().then(move || Ok(status(503, &[says])));
        ask(&three_tiers(&bottom, retry, true), 100).await;
        assert_eq!(bottom.times(), 100, "{says:?}");
    }
}

/// Also by calls that are not retried themselves.
#[tokio::test(start_paused = true)]
async fn a_mark_goes_up_through_what_is_sent_once() {
    for mark in ["x-should-retry", "x-enough"] {
        let bottom = Callee::new().then(move || Ok(status(503, &[(mark, "false")])));
        let retry = Retry::builder().no_budget().marker("x-enough");
        let once = retry.repeats_if(|_: &Request<Empty<Bytes>>| false);
        let once = once.build().unwrap().layer(bottom.clone());
        let server = IncomingAttempt::new().layer(tier(BoxCloneService::new(once)));
        let top = client(&at_once().no_budget().build().unwrap(), server);
        ask(&top, 1).await;
        assert_eq!(bottom.times(), 1, "{mark}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_retried_below_and_served() {
    let bottom = Callee::new().then_status(503).then_status(200);
    let retry = || at_once().build().unwrap();
    let client = three_tiers(&bottom, retry, true);
    let answer = client.oneshot(get()).await.unwrap();
    assert_eq!((answer.status().as_u16(), bottom.times()), (200, 2));
    assert!(answer.headers().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_marked_if_it_was_retried_or_the_budget_is_exhausted() {
    let says = async |retry: RetryBuilder<Everything>, callee: Callee, request| {
        let answer = retry.build().unwrap().layer(callee).oneshot(request);
        let answer: Response<PeekBody<AnswerBody>> = answer.await.unwrap();
        Pushback::of(answer.headers())
    };
    let all = || at_once().repeats_all();
    let failing = || Callee::new().then_status(503);
    let none = RetryBudget::share(0.0, 0).unwrap();
    let never = Some(Pushback::Never);
    assert_eq!(says(all(), failing(), get()).await, never);
    assert_eq!(says(all().budget(none), failing(), get()).await, never);
    assert_eq!(says(all().attempts(1), failing(), get()).await, None);
    assert_eq!(
        says(all(), Callee::new().then_status(500), get()).await,
        None
    );
    assert_eq!(
        says(
            all(),
            Callee::new().then_status(503).then_status(200),
            get()
        )
        .await,
        None
    );
    // gRPC has a mark of its own, where its status is.
    let in_headers = || Callee::new().then(|| Ok(grpc_headers(&[("grpc-status", "14")])));
    assert_eq!(says(all(), in_headers(), grpc()).await, never);
    let in_trailers = Callee::new().then(|| Ok(grpc_trailers(&[("grpc-status", "14")])));
    let answer = all()
        .build()
        .unwrap()
        .layer(in_trailers)
        .oneshot(grpc())
        .await;
    let body = http_body_util::BodyExt::collect(answer.unwrap().into_body())
        .await
        .unwrap();
    assert_eq!(body.trailers().unwrap()["grpc-retry-pushback-ms"], "-1");
}

#[tokio::test(start_paused = true)]
async fn tiers_can_agree_on_another_mark() {
    let retry = || at_once().no_budget().marker("x-enough").build().unwrap();
    let bottom = Callee::new().then_status(503);
    let attempts = IncomingAttempt::new().marker("x-enough").unwrap();
    let server = attempts.layer(tier(client(&retry(), bottom.clone())));
    let top = client(&retry(), server);
    let answer = top.clone().oneshot(get()).await.unwrap();
    assert_eq!(answer.headers()["x-enough"], "false");
    assert_eq!(bottom.times(), 3);
}

#[tokio::test(start_paused = true)]
async fn requests_say_which_attempt_they_are() {
    let retry = at_once()
        .attempt_header("x-previous-attempts")
        .build()
        .unwrap();
    let said = |callee: &Callee, name| -> Vec<Option<String>> {
        let asked = callee.asked().into_iter();
        let value = |headers: http::HeaderMap| {
            let value = headers.get(name)?.to_str();
            Some(value.unwrap().to_owned())
        };
        asked.map(|asked| value(asked.headers)).collect()
    };
    let numbers = |numbers: [u32; 3]| numbers.map(|n| (n > 0).then(|| n.to_string()));
    let callee = Callee::new().then_status(503);
    let _ = retry.layer(callee.clone()).oneshot(get()).await;
    assert_eq!(said(&callee, "x-previous-attempts"), numbers([0, 1, 2]));
    assert_eq!(
        said(&callee, "grpc-previous-rpc-attempts"),
        numbers([0, 0, 0])
    );

    // On behalf of a request that was the second attempt.
    let callee = Callee::new().then_status(503);
    let mut request = get();
    Attempt::after(1).put(request.extensions_mut());
    let _ = retry.layer(callee.clone()).oneshot(request).await;
    assert_eq!(said(&callee, "x-previous-attempts"), numbers([1, 2, 3]));

    // gRPC counts the attempts of the call itself.
    let retry = at_once().repeats_all().build().unwrap();
    let callee = Callee::new().then(|| Ok(grpc_trailers(&[("grpc-status", "14")])));
    let mut request = grpc();
    Attempt::after(1).put(request.extensions_mut());
    let _ = retry.layer(callee.clone()).oneshot(request).await;
    assert_eq!(
        said(&callee, "grpc-previous-rpc-attempts"),
        numbers([0, 1, 2])
    );
    // Also those before it was passed on.
    let callee = Callee::new().then(|| Ok(grpc_trailers(&[("grpc-status", "14")])));
    let mut request = grpc();
    let before = "2".parse().unwrap();
    request
        .headers_mut()
        .insert("grpc-previous-rpc-attempts", before);
    let _ = retry.layer(callee.clone()).oneshot(request).await;
    assert_eq!(
        said(&callee, "grpc-previous-rpc-attempts"),
        numbers([2, 3, 4])
    );
}

#[tokio::test(start_paused = true)]
async fn retries_can_be_left_to_whoever_began() {
    let retry = |builder: RetryBuilder| {
        let builder = builder.no_budget().attempt_header("x-previous-attempts");
        builder.build().unwrap()
    };
    let bottom = Callee::new().then_status(503);
    // A mark that the client does not know, so that it goes on.
    let attempts = IncomingAttempt::new()
        .header("x-previous-attempts")
        .unwrap();
    let attempts = attempts.marker("x-unknown").unwrap();
    let below = client(&retry(at_once().not_of_retries()), bottom.clone());
    let top = client(&retry(at_once()), attempts.layer(tier(below)));
    ask(&top, 1).await;
    // Three for the first attempt, and one for each of its retries; nine without the guard.
    assert_eq!(bottom.times(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_malformed_number_of_attempts_is_none() {
    let retry = at_once()
        .attempt_header("x-previous-attempts")
        .not_of_retries();
    let retry = retry.build().unwrap();
    for (value, expected) in [
        ("1", 1),
        ("one", 3),
        ("-1", 3),
        ("", 3),
        ("0", 3),
        ("99999999999", 1),
    ] {
        let callee = Callee::new().then_status(503);
        let mut request = get();
        let number = value.parse().unwrap();
        request.headers_mut().insert("x-previous-attempts", number);
        let _ = retry.layer(callee.clone()).oneshot(request).await;
        assert_eq!(callee.times(), expected, "{value:?}");
    }
}
