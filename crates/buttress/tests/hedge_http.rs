//! Hedging of HTTP and gRPC, on virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::hedge::HedgeBuilder;
use buttress::repeat::ReplayBody;
use buttress::retry::Everything;
use buttress::{Deadline, Hedge};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use parking_lot::Mutex;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn};

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

const fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// What an attempt does: it reads the body after so long, and answers after so long again, with a
/// status of HTTP or of gRPC and the milliseconds of pushback.
#[derive(Clone, Copy)]
struct Act {
    /// [`NEVER`] if it answers without reading.
    reads_after: u64,
    takes: u64,
    answer: Answer,
    pushback: Option<&'static str>,
}

const NEVER: u64 = u64::MAX;

#[derive(Clone, Copy)]
enum Answer {
    Http(u16),
    Grpc(&'static str),
}

const fn http(takes: u64, status: u16) -> Act {
    Act {
        reads_after: 0,
        takes,
        answer: Answer::Http(status),
        pushback: None,
    }
}

const fn grpc(takes: u64, status: &'static str) -> Act {
    Act {
        answer: Answer::Grpc(status),
        ..http(takes, 200)
    }
}

/// What the callee saw of an attempt, and when.
#[derive(Clone, Debug)]
struct Seen {
    at: u64,
    headers: HeaderMap,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Seen>>>);

impl Log {
    fn push(&self, seen: Seen) {
        self.0.lock().push(seen);
    }

    fn all(&self) -> Vec<Seen> {
        self.0.lock().clone()
    }

    fn times(&self) -> Vec<u64> {
        self.all().iter().map(|seen| seen.at).collect()
    }
}

/// A callee that does one act after the other, the last one for ever.
fn callee(
    acts: Vec<Act>,
    log: Log,
) -> impl Service<
    Request<ReplayBody<Body>>,
    Response = Response<Body>,
    Error = Infallible,
    Future = impl Future<Output = Result<Response<Body>, Infallible>> + Send,
> + Clone {
    let begin = Instant::now();
    let turn = Arc::new(AtomicUsize::new(0));
    service_fn(move |request: Request<ReplayBody<Body>>| {
        let turn = turn.fetch_add(1, Ordering::SeqCst);
        let act = acts[turn.min(acts.len() - 1)];
        let log = log.clone();
        let at = begin.elapsed().as_millis() as u64;
        async move {
            let (head, body) = request.into_parts();
            let mut seen = Seen {
                at,
                headers: head.headers,
                body: Bytes::new(),
                trailers: None,
            };
            if act.reads_after != NEVER {
                sleep(millis(act.reads_after)).await;
                let body = body.collect().await.unwrap();
                seen.trailers = body.trailers().cloned();
                seen.body = body.to_bytes();
            }
            log.push(seen);
            sleep(millis(act.takes)).await;
            Ok(answer(act, at))
        }
    })
}

fn answer(act: Act, at: u64) -> Response<Body> {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sent-at", at.into());
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"answer"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let mut response = Response::new(body.boxed_unsync());
    match act.answer {
        Answer::Http(status) => *response.status_mut() = status.try_into().unwrap(),
        Answer::Grpc(status) => {
            let headers = response.headers_mut();
            headers.insert("content-type", "application/grpc".parse().unwrap());
            headers.insert("grpc-status", status.parse().unwrap());
        }
    }
    if let Some(pushback) = act.pushback {
        let pushback = pushback.parse().unwrap();
        response
            .headers_mut()
            .insert("grpc-retry-pushback-ms", pushback);
    }
    response
}

fn full(body: &'static [u8]) -> Body {
    Full::new(Bytes::from_static(body)).boxed_unsync()
}

fn request(method: Method) -> Request<Body> {
    let request = Request::builder().method(method).uri("http://example.com/");
    request.header("x-kept", "kept").body(full(b"")).unwrap()
}

fn grpc_request() -> Request<Body> {
    let request = Request::post("http://example.com/shop.Prices/Get");
    let request = request.header("content-type", "application/grpc");
    request.body(full(b"a message")).unwrap()
}

fn freely() -> HedgeBuilder {
    Hedge::builder().after(millis(50)).extra_load(4.0)
}

/// As a service config's `hedgingPolicy` would have it.
fn policy(attempts: u32, delay: u64) -> HedgeBuilder<Everything> {
    let hedge = Hedge::builder().repeats_all().extra_load(4.0);
    hedge
        .after(millis(delay))
        .attempts(attempts)
        .non_fatal([14])
}

/// The status (that of gRPC if there is one), and how long it took.
async fn call<R>(hedge: HedgeBuilder<R>, acts: &[Act], request: Request<Body>) -> (Log, String, u64)
where
    R: buttress::retry::Repeats<Request<Body>> + Clone,
{
    call_of(&hedge.build().unwrap(), acts, request).await
}

async fn call_of<R>(hedge: &Hedge<R>, acts: &[Act], request: Request<Body>) -> (Log, String, u64)
where
    R: buttress::retry::Repeats<Request<Body>> + Clone,
{
    let (log, begin) = (Log::default(), Instant::now());
    let service = hedge.layer(callee(acts.to_vec(), log.clone()));
    let response = service.oneshot(request).await.unwrap();
    let took = begin.elapsed().as_millis() as u64;
    let status = match response.headers().get("grpc-status") {
        Some(status) => status.to_str().unwrap().to_owned(),
        None => response.status().as_str().to_owned(),
    };
    let body = response.into_body().collect().await.unwrap();
    assert!(
        body.trailers()
            .is_some_and(|trailers| trailers.contains_key("x-sent-at"))
    );
    assert_eq!(body.to_bytes(), "answer");
    (log, status, took)
}

const SLOW: &[Act] = &[http(1_000, 200), http(10, 200)];

#[tokio::test(start_paused = true)]
async fn only_what_is_safe_to_repeat_is_hedged() {
    for (method, hedged) in [
        (Method::GET, true),
        (Method::PUT, true),
        (Method::POST, false),
    ] {
        let (log, _, took) = call(freely(), SLOW, request(method)).await;
        assert_eq!(log.all().len(), 1 + usize::from(hedged));
        assert_eq!(took, if hedged { 60 } else { 1_000 });
    }
    let mut keyed = request(Method::POST);
    let key = "\"a key\"".parse().unwrap();
    keyed.headers_mut().insert("idempotency-key", key);
    assert_eq!(call(freely(), SLOW, keyed).await.2, 60);
    let safe = freely().repeats_if(|request: &Request<Body>| request.uri().path() == "/");
    assert_eq!(call(safe, SLOW, request(Method::POST)).await.2, 60);
    let every = freely().repeats_all();
    assert_eq!(call(every, SLOW, request(Method::POST)).await.2, 60);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_is_the_same_request_body_and_trailers_included() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-checksum", 7.into());
    let frames = [
        Ok(Frame::data(Bytes::from_static(b"two "))),
        Ok(Frame::data(Bytes::from_static(b"parts"))),
        Ok(Frame::trailers(trailers)),
    ];
    let body = StreamBody::new(futures_util::stream::iter(frames)).boxed_unsync();
    let request = request(Method::PUT).map(|_| body);
    let (log, _, took) = call(freely(), SLOW, request).await;
    assert_eq!(took, 60);
    let seen = log.all();
    assert_eq!(seen.len(), 2);
    for seen in seen {
        assert_eq!(seen.body, "two parts");
        assert_eq!(seen.headers["x-kept"], "kept");
        assert_eq!(seen.trailers.unwrap()["x-checksum"], "7");
        // HTTP has no header for it.
        assert_eq!(seen.headers.len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_too_long_is_sent_and_not_hedged() {
    let long = || request(Method::PUT).map(|_| full(&[7; 100]));
    let (log, _, took) = call(freely().replay_limit(99), SLOW, long()).await;
    assert_eq!((log.all().len(), took), (1, 1_000));
    assert_eq!(log.all()[0].body.len(), 100);
    let (log, _, took) = call(freely().replay_limit(100), SLOW, long()).await;
    assert_eq!((log.all().len(), took), (2, 60));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_still_being_sent_is_waited_for() {
    let slow_reader = Act {
        reads_after: 70,
        ..http(1_000, 200)
    };
    let acts = [slow_reader, http(10, 200)];
    let put = request(Method::PUT).map(|_| full(b"body"));
    let (log, _, _) = call(freely(), &acts, put).await;
    // Looked for after 50 ms, and 1, 2, 4, 8 and 16 ms later.
    assert_eq!(log.times(), [0, 81]);
}

#[tokio::test(start_paused = true)]
async fn an_http_failure_of_a_hedge_hurts_nobody() {
    let acts = [http(100, 200), http(10, 503)];
    let (log, status, took) = call(freely(), &acts, request(Method::GET)).await;
    assert_eq!((log.all().len(), status.as_str(), took), (2, "200", 100));
    let acts = [http(60, 500), http(100, 204)];
    let (_, status, took) = call(freely(), &acts, request(Method::GET)).await;
    assert_eq!((status.as_str(), took), ("204", 150));
}

#[tokio::test(start_paused = true)]
async fn grpc_learns_how_many_attempts_came_before() {
    let acts = [grpc(1_000, "0")];
    let (log, ..) = call(policy(3, 50), &acts, grpc_request()).await;
    let previous = |log: &Log| {
        let all = log.all();
        let each = all.iter().map(|seen| {
            let header = seen.headers.get("grpc-previous-rpc-attempts");
            header.map(|value| value.to_str().unwrap().to_owned())
        });
        each.collect::<Vec<_>>()
    };
    let text = |number: &str| Some(number.to_owned());
    assert_eq!(previous(&log), [None, text("1"), text("2")]);
    assert!(log.all().iter().all(|seen| seen.body == "a message"));
    // It is itself a second attempt of somebody's.
    let mut retried = grpc_request();
    retried
        .headers_mut()
        .insert("grpc-previous-rpc-attempts", 1.into());
    let (log, ..) = call(policy(2, 50), &acts, retried).await;
    assert_eq!(previous(&log), [text("1"), text("2")]);
    let mut nonsense = grpc_request();
    let value = "many".parse().unwrap();
    nonsense
        .headers_mut()
        .insert("grpc-previous-rpc-attempts", value);
    let (log, ..) = call(policy(2, 50), &acts, nonsense).await;
    assert_eq!(previous(&log), [text("many"), text("1")]);
}

#[tokio::test(start_paused = true)]
async fn a_non_fatal_code_sends_the_next_at_once() {
    let acts = [grpc(10, "14"), grpc(10, "14"), grpc(10, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((status.as_str(), took), ("0", 30));
    assert_eq!(log.times(), [0, 10, 20]);
    // No more than that many; then the last answer is the answer.
    let (log, status, took) = call(policy(2, 50), &acts, grpc_request()).await;
    assert_eq!((log.all().len(), status.as_str(), took), (2, "14", 20));
    // The delay counts anew from there.
    let acts = [grpc(10, "14"), grpc(1_000, "0"), grpc(5, "0")];
    let (log, _, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 10, 60], 65));
}

#[tokio::test(start_paused = true)]
async fn a_fatal_code_ends_the_call() {
    let acts = [grpc(1_000, "0"), grpc(10, "3"), grpc(1, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.all().len(), status.as_str(), took), (2, "3", 60));
    let (log, status, took) = call(policy(3, 50), &acts[1..], grpc_request()).await;
    assert_eq!((log.all().len(), status.as_str(), took), (1, "3", 10));
}

#[tokio::test(start_paused = true)]
async fn without_a_delay_all_copies_are_sent_at_once() {
    let acts = [grpc(100, "0"), grpc(10, "14"), grpc(20, "0")];
    let (log, status, took) = call(policy(3, 0), &acts, grpc_request()).await;
    assert_eq!(
        (log.times(), status.as_str(), took),
        (vec![0, 0, 0], "0", 20)
    );
    // As soon as the first has sent its message, that is: looked for after 1, 2 and 4 ms.
    let slow_reader = Act {
        reads_after: 5,
        ..grpc(100, "0")
    };
    let acts = [slow_reader, grpc(10, "14"), grpc(20, "0")];
    let (log, _, took) = call(policy(3, 0), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 7, 7], 27));
}

#[tokio::test(start_paused = true)]
async fn pushback_stops_hedges_or_delays_them() {
    let pushed_back = |pushback| Act {
        pushback: Some(pushback),
        ..grpc(10, "14")
    };
    for stop in ["-1", "soon", "60001"] {
        let acts = [pushed_back(stop), grpc(10, "0")];
        let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
        assert_eq!((log.all().len(), status.as_str(), took), (1, "14", 10));
    }
    let acts = [pushed_back("200"), grpc(10, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!(
        (log.times(), status.as_str(), took),
        (vec![0, 210], "0", 220)
    );
    // What one was told holds for the others.
    let acts = [grpc(400, "0"), pushed_back("200"), grpc(10, "0")];
    let (log, _, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 50, 260], 270));
    let acts = [grpc(400, "0"), pushed_back("-1"), grpc(10, "0")];
    let (log, _, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), took), (vec![0, 50], 400));
}

#[tokio::test(start_paused = true)]
async fn pushback_brings_no_hedge_forward_that_is_not_asked_for() {
    for (pushback, third) in [("0", 100), ("200", 260)] {
        let busy = Act {
            pushback: Some(pushback),
            ..http(10, 503)
        };
        let acts = [http(400, 200), busy, http(10, 200)];
        let hedge = freely().attempts(3);
        let (log, status, _) = call(hedge, &acts, request(Method::GET)).await;
        assert_eq!((log.times(), status.as_str()), (vec![0, 50, third], "200"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_answered_unread_is_not_hedged_any_more() {
    let unread = Act {
        reads_after: NEVER,
        pushback: Some("200"),
        ..grpc(10, "14")
    };
    let acts = [unread, grpc(10, "0")];
    let (log, status, took) = call(policy(3, 50), &acts, grpc_request()).await;
    assert_eq!((log.times(), status.as_str(), took), (vec![0], "14", 10));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_waited_for_that_comes_after_the_deadline() {
    let acts = [
        Act {
            pushback: Some("200"),
            ..grpc(10, "14")
        },
        grpc(10, "0"),
    ];
    for (deadline, expected) in [(205, ("14", 10)), (300, ("0", 220))] {
        let mut request = grpc_request();
        Deadline::after(millis(deadline)).put(request.extensions_mut());
        let (_, status, took) = call(policy(3, 50), &acts, request).await;
        assert_eq!((status.as_str(), took), expected);
    }
}

#[cfg(feature = "service-config")]
mod by_service_config {
    use super::*;
    use buttress::service_config::ServiceConfig;

    fn config(throttling: &str) -> ServiceConfig {
        let text = r#"{
            "methodConfig": [
                {
                    "name": [{ "service": "shop.Prices" }],
                    "hedgingPolicy": {
                        "maxAttempts": 3,
                        "hedgingDelay": "0.05s",
                        "nonFatalStatusCodes": ["UNAVAILABLE"]
                    }
                },
                {
                    "name": [{ "service": "shop.Prices", "method": "Set" }]
                },
                {
                    "name": [{ "service": "shop.Prices", "method": "All" }],
                    "hedgingPolicy": { "maxAttempts": 9 }
                },
                {
                    "name": [{ "service": "shop.Prices", "method": "Slow" }],
                    "hedgingPolicy": { "maxAttempts": 2, "hedgingDelay": "999999999999s" }
                }
            ]THROTTLING
        }"#;
        text.replace("THROTTLING", throttling).parse().unwrap()
    }

    fn method(name: &str) -> Request<Body> {
        let mut request = grpc_request();
        let uri = format!("http://example.com/shop.Prices/{name}");
        *request.uri_mut() = uri.parse().unwrap();
        request
    }

    #[tokio::test(start_paused = true)]
    async fn each_method_is_hedged_as_the_config_says() {
        let hedge = config("").hedge();
        let slow = [grpc(1_000, "0")];
        for (name, times) in [
            ("Get", vec![0, 50, 100]),
            ("Set", vec![0]),
            ("All", vec![0; 5]),
            ("Slow", vec![0]),
        ] {
            let (log, status, took) = call_of(&hedge, &slow, method(name)).await;
            assert_eq!((log.times(), status.as_str(), took), (times, "0", 1_000));
        }
        let acts = [grpc(10, "14"), grpc(10, "0")];
        let (log, status, _) = call_of(&hedge, &acts, method("Get")).await;
        assert_eq!((log.times(), status.as_str()), (vec![0, 10], "0"));
        // There every code is fatal.
        let (_, status, took) = call_of(&hedge, &acts, method("All")).await;
        assert_eq!((status.as_str(), took), ("14", 10));
        let (log, status, _) = call_of(&hedge, &acts, method("Set")).await;
        assert_eq!((log.all().len(), status.as_str()), (1, "14"));
    }

    #[tokio::test(start_paused = true)]
    async fn its_throttle_stops_hedges_and_may_be_shared() {
        let throttling = r#", "retryThrottling": { "maxTokens": 4, "tokenRatio": 1 }"#;
        let config = config(throttling);
        let fails = [grpc(10, "14")];
        let hedge = config.hedge();
        // Four tokens: the second failure leaves two, which are no more than half.
        let (log, ..) = call_of(&hedge, &fails, method("Get")).await;
        assert_eq!(log.all().len(), 2);
        let (log, ..) = call_of(&hedge, &fails, method("Get")).await;
        assert_eq!(log.all().len(), 1);
        let retry = config.retry();
        let budget = retry.budget().unwrap();
        let builder = Hedge::builder().repeats_all().extra_load(4.0);
        let shares = config.hedge_with(builder.budget(budget.clone())).unwrap();
        budget.failed();
        budget.failed();
        let slow = [grpc(1_000, "0")];
        let (log, ..) = call_of(&shares, &slow, method("Get")).await;
        assert_eq!(log.all().len(), 1);
        let nonsense = Hedge::builder().repeats_all().extra_load(9.0);
        let error = config.hedge_with(nonsense).unwrap_err();
        assert_eq!(error.field(), "extra_load");
    }
}
