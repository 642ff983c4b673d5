//! The same of policies that go by what they have seen: each refuses what those behind it would
//! refuse as well.

use super::{Body, paused, refused_by};
use buttress::repeat::ReplayBody;
use buttress_config::explain::stacks;
use buttress_config::{Document, Format, Rules};
use http::{Request, Response, StatusCode};
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

/// The policies of the stack with this header, as they are printed, without those that are off.
fn printed(text: &str, stack: &str) -> Vec<String> {
    let document = Document::parse("test.toml", text, Format::Toml).unwrap();
    let shown = stacks(document.settings());
    let (_, shown) = shown.split_once(stack).unwrap();
    let rows = shown.lines().skip(1);
    let rows = rows.take_while(|row| !row.contains("worst case"));
    let words = rows.map(|row| row.split_whitespace().take(2).collect::<Vec<_>>());
    let on = words.filter(|words| words[1] != "false");
    on.map(|words| words[0].to_owned()).collect()
}

fn before(order: &[String], first: &str, second: &str) -> bool {
    let place = |name| order.iter().position(|kind| kind == name).unwrap();
    place(first) < place(second)
}

/// A request to the route, with so many milliseconds left if that is said.
fn request(left: Option<u32>) -> Request<Body> {
    let mut request = Request::get("/").body(Body::new()).unwrap();
    if let Some(left) = left {
        request.headers_mut().insert("x-left", left.into());
    }
    request
}

/// More than enough of anything, so that what never comes fails.
const PATIENCE: usize = 1_000;

/// So that the process uses its processors, of which there may be many.
#[cfg(target_os = "linux")]
fn work(much: usize) {
    for number in 0..much * 200_000 {
        std::hint::black_box(number);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn pressure_is_asked_before_the_deadline_shedder_and_that_before_a_limit() {
    const CALLS: usize = 12;
    let text = format!(
        "[[server.route]]\nmatch = {{ path = '/' }}\n\
         deadline = {{ at_most = '10s', header = 'x-left', name = 'deadline' }}\n\
         pressure = {{ cpu = {{ from = 0.05, to = 0.051 }}, memory = false, most_refused = 1, every = '50ms', name = 'pressure' }}\n\
         deadline_shedder = {{ half_life = '10m', name = 'shedder' }}\n\
         rate_limit = {{ rate = '1/h', burst = {CALLS}, name = 'rate' }}\n"
    );
    let order = printed(&text, "server.route[0]");
    assert!(before(&order, "deadline", "pressure"), "{order:?}");
    assert!(before(&order, "pressure", "deadline_shedder"), "{order:?}");
    assert!(
        before(&order, "deadline_shedder", "rate_limit"),
        "{order:?}"
    );
    paused().block_on(async {
        let service = service_fn(|_: Request<Body>| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok::<_, BoxError>(Response::new(Body::new()))
        });
        let server = Rules::from_toml(&text).unwrap().server().layer(service);
        let refused = async |left| refused_by(server.clone().oneshot(request(left)).await);
        // What it does from call to call is little, but for the readings that happen meanwhile.
        let until = async |left, wanted: Option<&str>| {
            for _ in 0..PATIENCE {
                if refused(left).await == wanted {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(60)).await;
            }
            panic!("{left:?} was never {wanted:?}");
        };
        for _ in 0..CALLS {
            until(None, None).await;
        }
        // All that may be sent has been, and takes a second. That is too long for some.
        until(None, Some("rate")).await;
        until(Some(10), Some("shedder")).await;
        // Until there is much to do.
        let mut all = false;
        for much in 0..PATIENCE {
            all = true;
            for left in [None, Some(10)].repeat(10) {
                all &= refused(left).await == Some("pressure");
            }
            if all {
                break;
            }
            work(much);
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        assert!(all);
        assert_eq!(refused(Some(0)).await, Some("deadline"));
    });
}

#[test]
fn who_has_waited_in_a_queue_is_asked_how_long_and_has_all_of_the_timeout_left() {
    for (kind, settings) in [
        (
            "rate_limit",
            "rate = '1/s', burst = 1, wait_at_most = '20s'",
        ),
        (
            "bulkhead",
            "limit = 1, waiting_room = { places = 20, longest_wait = '20s' }",
        ),
        (
            "adaptive_limit",
            "algorithm = { aimd = { start = 1, min = 1, max = 2 } }, waiting_room = { places = 20, longest_wait = '20s' }",
        ),
        (
            "pace",
            "rate = '1/s', waiting_room = { places = 20, longest_wait = '20s' }",
        ),
    ] {
        let text = format!(
            "[[server.route]]\nmatch = {{ path = '/' }}\npressure = false\n\
             {kind} = {{ {settings} }}\n\
             queue_delay = {{ target = '5ms', interval = '2s', name = 'delay' }}\n\
             timeout = {{ headers = '1s', name = 'timeout' }}\n"
        );
        let order = printed(&text, "server.route[0]");
        assert!(before(&order, kind, "queue_delay"), "{order:?}");
        assert!(before(&order, "queue_delay", "timeout"), "{order:?}");
        paused().block_on(async {
            let service = service_fn(|request: Request<Body>| async move {
                if request.headers().contains_key("x-hangs") {
                    std::future::pending::<()>().await;
                }
                tokio::time::sleep(Duration::from_millis(900)).await;
                Ok::<_, BoxError>(Response::new(Body::new()))
            });
            let server = Rules::from_toml(&text).unwrap().server().layer(service);
            let calls = (0..12).map(|_| server.clone().oneshot(request(None)));
            let answers = futures_util::future::join_all(calls).await;
            let refused: Vec<_> = answers.into_iter().map(refused_by).collect();
            assert!(refused.contains(&Some("delay")), "{kind}: {refused:?}");
            assert!(!refused.contains(&Some("timeout")), "{kind}: {refused:?}");
            tokio::time::sleep(Duration::from_secs(60)).await;
            let mut hangs = request(None);
            hangs.headers_mut().insert("x-hangs", 1.into());
            assert_eq!(refused_by(server.oneshot(hangs).await), Some("timeout"));
        });
    }
}

/// Who refuses each of many calls to an upstream that says each time that it has too much to do.
fn refused_by_upstream(policies: &str) -> Vec<Option<&'static str>> {
    let text = format!(
        "[upstream.u]\nretry = false\ntimeout = false\nattempt_timeout = false\n{policies}\n"
    );
    let order = printed(&text, "upstream.u");
    assert!(before(&order, "throttle", "rate_limit"), "{order:?}");
    if order.iter().any(|kind| kind == "circuit_breaker") {
        assert!(before(&order, "circuit_breaker", "throttle"), "{order:?}");
    }
    paused().block_on(async {
        let callee = service_fn(|_: Request<ReplayBody<Body>>| async {
            let mut response = Response::new(Body::new());
            *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
            Ok::<_, BoxError>(response)
        });
        let rules = Rules::from_toml(&text).unwrap();
        let client = rules.upstream("u").unwrap().layer(callee);
        let mut refused = Vec::new();
        for _ in 0..PATIENCE {
            refused.push(refused_by(client.clone().oneshot(request(None)).await));
        }
        refused
    })
}

#[test]
fn a_throttle_is_asked_before_a_limit_and_after_the_breaker() {
    let throttle = "throttle = { multiplier = 1, most_refused = 0.9, seed = 1, name = 'throttle' }\n\
                    rate_limit = { rate = '1/h', burst = 9, name = 'rate' }\n";
    let refused = refused_by_upstream(&format!("circuit_breaker = false\n{throttle}"));
    let full = refused.iter().position(|name| *name == Some("rate"));
    let later = &refused[full.unwrap()..];
    assert!(later.contains(&Some("throttle")), "{refused:?}");

    let breaker = "circuit_breaker = { consecutive_failures = 1, failure_rate = false, overload = 'as_failure', name = 'breaker' }\n";
    let refused = refused_by_upstream(&format!("{breaker}{throttle}"));
    assert_eq!(refused[0], None);
    assert!(
        refused[1..].iter().all(|name| *name == Some("breaker")),
        "{refused:?}"
    );
}

#[test]
fn the_call_has_one_timeout_around_its_attempts_and_each_attempt_has_one() {
    let text = "[upstream.u]\ncircuit_breaker = false\n\
                timeout = { headers = '2500ms', name = 'whole' }\n\
                retry = { attempts = 2, budget = false, backoff = { constant = '100ms' } }\n\
                attempt_timeout = { headers = '1s', name = 'each' }\n";
    let order = printed(text, "upstream.u");
    assert_eq!(order, ["timeout", "retry", "attempt_timeout"]);
    let ended = |asks: bool| {
        paused().block_on(async {
            let callee = service_fn(move |_: Request<ReplayBody<Body>>| async move {
                if !asks {
                    std::future::pending::<()>().await;
                }
                let mut response = Response::new(Body::new());
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response.headers_mut().insert("retry-after", 9.into());
                Ok::<_, BoxError>(response)
            });
            let rules = Rules::from_toml(text).unwrap();
            let client = rules.upstream("u").unwrap().layer(callee);
            let begin = tokio::time::Instant::now();
            let refused = refused_by(client.oneshot(request(None)).await);
            (refused, begin.elapsed().as_millis() / 100)
        })
    };
    assert_eq!(ended(false), (Some("each"), 21));
    assert_eq!(ended(true), (Some("whole"), 25));
}
