//! The clients that a file protects.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Deadline, Reason, Rejection};
use buttress_config::{Document, Format, Reload, Rules, standard_client};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use std::future::{Pending, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

type Body = Empty<bytes::Bytes>;

fn request() -> Request<Body> {
    Request::get("http://example.com/")
        .body(Body::new())
        .unwrap()
}

/// A callee that answers with the statuses in turn, and the last one from then on.
#[expect(clippy::type_complexity, reason = "nobody else writes it")]
fn callee<B: Send + 'static>(
    statuses: &'static [u16],
) -> (
    Arc<AtomicU32>,
    impl Service<
        Request<B>,
        Response = Response<Body>,
        Error = BoxError,
        Future = impl Future<Output = Result<Response<Body>, BoxError>> + Send,
    > + Clone,
) {
    let calls = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<B>| {
        let call = counted.fetch_add(1, Ordering::Relaxed) as usize;
        let status = statuses.get(call).or(statuses.last()).copied().unwrap();
        async move {
            let mut response = Response::new(Body::new());
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Ok(response)
        }
    });
    (calls, service)
}

#[tokio::test(start_paused = true)]
async fn the_standard_client_tries_again() {
    let (calls, callee) = callee(&[503, 200]);
    let client = standard_client("payments").unwrap().layer(callee);
    let response = client.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_in_a_hurry_open_no_breaker_and_a_callee_that_hangs_does() {
    fn hangs<B>(_: Request<B>) -> Pending<Result<Response<Body>, BoxError>> {
        pending()
    }
    for (time, opens) in [
        (Duration::from_millis(20), false),
        (Duration::from_secs(1), true),
    ] {
        let client = standard_client("payments")
            .unwrap()
            .layer(service_fn(hangs));
        let mut last = None;
        for _ in 0..20 {
            let mut request = request();
            Deadline::after(time).put(request.extensions_mut());
            let error = client.clone().oneshot(request).await.unwrap_err();
            last = Rejection::find(&*error).map(Rejection::reason);
        }
        assert_eq!(last == Some(Reason::CircuitOpen), opens, "{last:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_upstream_names_the_near_one() {
    let rules = Rules::from_toml("[upstream.payments]").unwrap();
    let error = rules.upstream("payment").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no upstream `payment`; did you mean `payments`?"
    );
    assert_eq!(rules.upstream("x").unwrap_err().did_you_mean(), None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_made_before_goes_by_new_rules() {
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let rules = Rules::new(parse("[upstream.one]\nretry = false")).unwrap();
    let (calls, callee) = callee(&[503, 503, 200]);
    let mut client = rules.upstream("one").unwrap().layer(callee);
    let first = client.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(
        (first.status().as_u16(), calls.load(Ordering::Relaxed)),
        (503, 1)
    );

    let reload = rules.replace(parse("[upstream.one]\nretry = { attempts = 2 }"));
    assert_eq!(reload, Ok(Reload::Changed));
    let second = client.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(
        (second.status().as_u16(), calls.load(Ordering::Relaxed)),
        (200, 3)
    );

    // Without its upstream it keeps what it had.
    assert_eq!(rules.replace(parse("")), Ok(Reload::Changed));
    let third = client.ready().await.unwrap().call(request()).await.unwrap();
    assert_eq!(third.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_left_the_file_keeps_its_last_rules_for_those_who_have_a_layer() {
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let rules = Rules::new(parse("[upstream.one]\nretry = false")).unwrap();
    let layer = rules.upstream("one").unwrap();
    let (calls, callee) = callee(&[503]);
    let template = layer.layer(callee.clone());
    let attempts = "[upstream.one]\nretry = { attempts = 3 }\ncircuit_breaker = false";
    rules.replace(parse(attempts)).unwrap();
    // More than once: what is kept is kept on.
    for text in ["", "[server.defaults]\nbulkhead = 1", ""] {
        assert_eq!(rules.replace(parse(text)), Ok(Reload::Changed));
        assert!(rules.upstream("one").is_err());
        for client in [layer.layer(callee.clone()), template.clone()] {
            calls.store(0, Ordering::Relaxed);
            assert_eq!(client.oneshot(request()).await.unwrap().status(), 503);
            assert_eq!(calls.load(Ordering::Relaxed), 3, "with {text:?}");
        }
    }
    // A file that has it again is what counts.
    rules
        .replace(parse("[upstream.one]\nretry = false"))
        .unwrap();
    calls.store(0, Ordering::Relaxed);
    let client = layer.layer(callee);
    assert_eq!(client.oneshot(request()).await.unwrap().status(), 503);
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

const BREAKER: &str = "[upstream.one]\nretry = false\ncircuit_breaker = ";

#[tokio::test(start_paused = true)]
async fn an_open_breaker_stays_open_when_the_file_changes() {
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let breaker = |settings: &str| parse(&format!("{BREAKER}{settings}"));
    let first = breaker("{ consecutive_failures = 1, open_time = \"10s\", jitter = 0 }");
    let rules = Rules::new(first).unwrap();
    let (calls, callee) = callee(&[500, 200]);
    let client = rules.upstream("one").unwrap().layer(callee);
    let call = || client.clone().oneshot(request());
    let refused = |answer: Result<_, BoxError>| {
        let error = answer.map(|_: Response<_>| ()).unwrap_err();
        Rejection::find(&*error).map(Rejection::reason)
    };
    assert_eq!(call().await.unwrap().status(), 500);
    assert_eq!(refused(call().await), Some(Reason::CircuitOpen));

    // Something else changes.
    let text = format!(
        "{BREAKER}{{ consecutive_failures = 1, open_time = \"10s\", jitter = 0 }}\ntimeout = \"9s\""
    );
    assert_eq!(rules.replace(parse(&text)), Ok(Reload::Changed));
    assert_eq!(refused(call().await), Some(Reason::CircuitOpen));

    // The breaker itself does: it is open for as long as it would have been.
    let changed = breaker("{ consecutive_failures = 9, open_time = \"20s\", jitter = 0 }");
    assert_eq!(rules.replace(changed), Ok(Reload::Changed));
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    assert_eq!(refused(call().await), Some(Reason::CircuitOpen));
    tokio::time::advance(std::time::Duration::from_secs(2)).await;
    assert_eq!(call().await.unwrap().status(), 200);
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_shared_policy_stays_for_as_long_as_somebody_has_an_upstream_that_used_it() {
    const USED: &str = "[upstream.one]\nretry = false\nuse = [\"pool\"]\n[policy.pool]\n";
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let both = parse(&format!("{USED}rate_limit = \"3 per hour\""));
    let rules = Rules::new(both.clone()).unwrap();
    let (_, callee) = callee(&[200]);
    let layer = rules.upstream("one").unwrap();
    let client = layer.layer(callee);
    let put = |document| assert_eq!(rules.replace(document), Ok(Reload::Changed));
    let call = async || client.clone().oneshot(request()).await.is_ok();
    let known = || {
        let policies = rules.policies().into_iter().map(|one| one.policy);
        policies.filter(|name| name.starts_with("policy.")).count()
    };
    assert!(call().await);
    // More than once: what is kept is kept on.
    for text in ["", "[server.defaults]\nbulkhead = 1"] {
        put(parse(text));
        assert_eq!(known(), 1);
    }
    assert!(call().await);
    put(both.clone());
    assert!(call().await, "one was left");
    assert!(!call().await);
    // One that was changed while its upstream was away, and left later, is kept as well.
    put(parse(
        "[server.defaults]\nuse = [\"pool\"]\n[policy.pool]\nrate_limit = \"4 per hour\"",
    ));
    assert!(call().await, "one more is allowed now");
    assert!(!call().await);
    put(parse(""));
    assert_eq!(known(), 1);
    put(both);
    assert!(!call().await);
    drop((client, layer));
    put(parse(""));
    assert_eq!(known(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_stays_open_when_its_upstream_leaves_the_file_and_comes_back() {
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let text = format!("{BREAKER}{{ consecutive_failures = 1 }}");
    let rules = Rules::new(parse(&text)).unwrap();
    let (calls, callee) = callee(&[500]);
    let client = rules.upstream("one").unwrap().layer(callee);
    assert_eq!(
        client.clone().oneshot(request()).await.unwrap().status(),
        500
    );
    let known = || {
        rules
            .policies()
            .iter()
            .any(|one| one.policy == "upstream.one/circuit_breaker")
    };
    for text in ["", &*text] {
        assert_eq!(rules.replace(parse(text)), Ok(Reload::Changed));
        assert!(
            client.clone().oneshot(request()).await.is_err(),
            "with {text:?}"
        );
        assert!(known(), "operators see it with {text:?}");
    }
    assert_eq!(calls.load(Ordering::Relaxed), 1);
    // But not for ever: when the last of those who had it is gone, the next reload forgets it.
    drop(client);
    rules.replace(parse("")).unwrap();
    assert!(!known());
}

#[tokio::test(start_paused = true)]
async fn an_upstream_that_left_keeps_nothing_of_one_whose_name_begins_as_its_own() {
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let other = |share: f64| {
        format!(
            "[upstream.\"a/b\"]\ncircuit_breaker = {{ failure_rate = {share}, min_calls = 20 }}\n"
        )
    };
    let rules = Rules::new(parse(&format!("[upstream.a]\n{}", other(0.5)))).unwrap();
    let _somebody_has_it = rules.upstream("a").unwrap();
    rules.replace(parse(&other(0.25))).unwrap();
    let policies = rules.policies();
    let of = |name: &str| policies.iter().find(|one| one.policy == name);
    assert!(of("upstream.a/circuit_breaker").is_some());
    let breaker = of("upstream.a/b/circuit_breaker").unwrap();
    assert_eq!(breaker.details["settings"]["failure_rate"], 0.25);
}

/// A client whose clones know how often they were cloned.
#[derive(Default)]
struct Counting {
    clones: Arc<AtomicU32>,
}

impl Clone for Counting {
    fn clone(&self) -> Self {
        self.clones.fetch_add(1, Ordering::Relaxed);
        let clones = Arc::clone(&self.clones);
        Self { clones }
    }
}

impl<B> Service<Request<B>> for Counting {
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = std::future::Ready<Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        std::future::ready(Ok(Response::new(Body::new())))
    }
}

#[tokio::test(start_paused = true)]
async fn a_clone_of_a_client_that_was_made_before_is_made_by_new_rules_at_once() {
    let parse = |text: &str| Document::parse("test", text, Format::Toml).unwrap();
    let rules = Rules::new(parse("[upstream.one]\nretry = false")).unwrap();
    let client = Counting::default();
    let clones = Arc::clone(&client.clones);
    let template = rules.upstream("one").unwrap().layer(client);
    let kinds = [
        "retry = false",
        "retry = { attempts = 2 }",
        "retry = false\nhedge = true",
        "coalesce = true",
        "stale_if_error = true",
        "timeout = \"9s\"\nattempt_timeout = { headers = \"1s\", whole_body = \"2s\" }",
        "rate_limit = \"1 per minute\"",
    ];
    for kind in kinds {
        let text = format!("[upstream.one]\n{kind}");
        rules.replace(parse(&text)).unwrap();
        clones.store(0, Ordering::Relaxed);
        let clone = template.clone();
        assert_eq!(clones.load(Ordering::Relaxed), 1, "{kind}");
        drop(clone);
    }
    // By the last ones, which are no longer those of the template.
    assert!(template.clone().oneshot(request()).await.is_ok());
    assert!(template.clone().oneshot(request()).await.is_err());
}

/// The headers that the callee saw.
type Seen = (Option<http::HeaderValue>, Option<http::HeaderValue>);

#[tokio::test(start_paused = true)]
async fn a_callee_hears_of_the_deadline_and_the_criticality() {
    let rules = Rules::from_toml(
        "[upstream.one]\ntimeout = \"3s\"\nattempt_timeout = false\nretry = false\n\
         deadline_header = \"header:x-left\"\ncriticality_header = true",
    );
    let service = service_fn(|request: Request<_>| async move {
        let _: &buttress::repeat::ReplayBody<Body> = request.body();
        let header = |name| request.headers().get(name).cloned();
        let mut response = Response::new(Body::new());
        response
            .extensions_mut()
            .insert((header("x-left"), header("x-criticality")));
        Ok::<_, BoxError>(response)
    });
    let client = rules.unwrap().upstream("one").unwrap().layer(service);
    let response = client.oneshot(request()).await.unwrap();
    let (left, criticality) = response.extensions().get::<Seen>().unwrap();
    assert_eq!(left.as_ref().unwrap(), "3000");
    assert_eq!(criticality.as_ref().unwrap(), "CRITICAL");
}

#[tokio::test(start_paused = true)]
async fn a_retry_budget_that_is_used_up_stays_so_when_something_else_of_the_retry_changes() {
    const BUDGET: &str = "budget = { share = 0, at_least = 1 }";
    let parse = |retry: &str| {
        let text = format!("[upstream.one]\ncircuit_breaker = false\nretry = {{ {retry} }}");
        Document::parse("test", &text, Format::Toml).unwrap()
    };
    let rules = Rules::new(parse(&format!("attempts = 2, {BUDGET}"))).unwrap();
    let (calls, callee) = callee(&[503]);
    let client = rules.upstream("one").unwrap().layer(callee);
    let attempts = async || {
        let before = calls.load(Ordering::Relaxed);
        assert_eq!(
            client.clone().oneshot(request()).await.unwrap().status(),
            503
        );
        calls.load(Ordering::Relaxed) - before
    };
    // At once, so that none comes free meanwhile.
    let backoff = "backoff = { constant = \"1ms\" }";
    rules
        .replace(parse(&format!("attempts = 2, {BUDGET}, {backoff}")))
        .unwrap();
    for _ in 0..10 {
        assert_eq!(attempts().await, 2);
    }
    for changed in ["attempts = 3", "attempts = 3, not_of_retries = true"] {
        let changed = format!("{changed}, {BUDGET}, {backoff}");
        assert_eq!(rules.replace(parse(&changed)), Ok(Reload::Changed));
        assert_eq!(attempts().await, 1, "{changed}");
    }
    rules
        .replace(parse(&format!("attempts = 3, {backoff}")))
        .unwrap();
    assert_eq!(attempts().await, 3, "another budget");
}
