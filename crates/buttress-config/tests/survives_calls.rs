//! Calls that came before a reload, and come to a policy only after it was replaced: the one in its
//! place decides on them, so that nothing is counted twice.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress::repeat::ReplayBody;
use buttress_config::{Document, Format, Reload, Rules};
use http::{Request, Response};
use http_body_util::Empty;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tower::{BoxError, Layer, ServiceExt, service_fn};

fn put(rules: &Rules, text: &str) {
    let document = Document::parse("test", text, Format::Toml).unwrap();
    assert_eq!(rules.replace(document), Ok(Reload::Changed), "{text}");
}

/// What a server answers to a call that waits while its policies are exchanged, and to one that comes
/// afterwards. Both have the same tenant, and run for five seconds.
async fn waiting_and_next(before: &str, after: &str) -> [u16; 2] {
    let of = |policy: &str| {
        // A call each second; whoever is too early waits.
        let line = "rate_limit = { rate = \"1/s\", burst = 1, wait_at_most = \"5s\" }";
        format!("[server.defaults]\npressure = false\n{line}\n{policy}")
    };
    let rules = Rules::from_toml(&of(before)).unwrap();
    let app = Router::new()
        .route("/quick", get(|| async {}))
        .route("/slow", get(|| tokio::time::sleep(Duration::from_secs(5))))
        .layer(rules.server());
    let call = |path: &str, tenant: &str| -> JoinHandle<u16> {
        let request = Request::get(path).header("x-tenant", tenant);
        let request = request.body(Body::empty()).unwrap();
        let app = app.clone();
        tokio::spawn(async move { app.oneshot(request).await.unwrap().status().as_u16() })
    };
    assert_eq!(call("/quick", "other").await.unwrap(), 200);
    let waiting = call("/slow", "a");
    tokio::task::yield_now().await;
    put(&rules, &of(after));
    // More than once: what takes its place may be replaced as well.
    put(&rules, &format!("{}\n[upstream.other]", of(before)));
    put(&rules, &of(after));
    let next = call("/slow", "a");
    [waiting.await.unwrap(), next.await.unwrap()]
}

#[tokio::test(start_paused = true)]
async fn a_call_that_waited_elsewhere_is_counted_by_the_limit_that_is_in_force_when_it_comes() {
    const BY: &str = "by = \"header:x-tenant\"";
    let sharded = |seed: u32| {
        let sharded =
            format!("shuffle_sharded = {{ compartments = 2, per_key = 1, seed = {seed} }}");
        format!("bulkhead = {{ limit = 1, {BY}, {sharded} }}")
    };
    let adaptive = |more: &str| {
        let algorithm = "algorithm = { latency_quantile = { start = 1, max = 1 } }";
        format!("adaptive_limit = {{ {algorithm}{more} }}")
    };
    for (before, after) in [
        ("bulkhead = 9".to_owned(), "bulkhead = 1".to_owned()),
        (
            "bulkhead = 9".into(),
            format!("bulkhead = {{ limit = 1, {BY} }}"),
        ),
        (
            format!("bulkhead = {{ limit = 1, {BY} }}"),
            "bulkhead = 1".into(),
        ),
        (
            format!("bulkhead = {{ limit = 1, {BY} }}"),
            format!("bulkhead = {{ limit = 1, {BY}, max_keys = 9 }}"),
        ),
        (
            format!("bulkhead = {{ limit = 1, {BY} }}"),
            "bulkhead = { limit = 1, by = \"method\", priority = true }".into(),
        ),
        (sharded(1), sharded(2)),
        (format!("bulkhead = {{ limit = 1, {BY} }}"), sharded(1)),
        (
            adaptive(&format!(", {BY}")),
            adaptive(&format!(", {BY}, max_keys = 9")),
        ),
        (adaptive(""), adaptive(", by = \"method\"")),
        (
            format!("fair_share = {{ limit = 9, {BY} }}"),
            "fair_share = { limit = 1, by = \"method\" }".into(),
        ),
        (
            format!("pace = {{ rate = \"99/s\", {BY} }}"),
            format!("pace = {{ rate = \"1 per hour\", {BY}, max_keys = 9 }}"),
        ),
    ] {
        let answers = waiting_and_next(&before, &after).await;
        assert_eq!(answers, [200, 503], "{before} {after}");
    }
}

type Bytes = Empty<bytes::Bytes>;

/// A client whose callee always fails, and whose calls are made twice, ten seconds apart. Of two calls
/// one is between its attempts while `before` is exchanged for `after`, and the other comes in that
/// pause. Returns how often the callee was reached.
async fn reached_by_two(before: &str, after: &str) -> u32 {
    let of = |policy: &str| {
        let retry = "{ attempts = 2, backoff = { constant = \"10s\" }, longest_wait = \"20s\" }";
        format!("[upstream.one]\ntimeout = false\nretry = {retry}\n{policy}")
    };
    let rules = Rules::from_toml(&of(before)).unwrap();
    let layer = rules.upstream("one").unwrap();
    let reached = Arc::new(AtomicU32::new(0));
    let call = || {
        let counted = Arc::clone(&reached);
        let client = layer.layer(service_fn(move |_: Request<ReplayBody<Bytes>>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            async { Ok::<_, BoxError>(response) }
        }));
        let request = Request::get("http://example.com/").body(Bytes::new());
        client.oneshot(request.unwrap())
    };
    let exchanged = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        put(&rules, &of(after));
        call().await
    };
    // Either may be refused, which is no answer of the callee's.
    let _ = tokio::join!(call(), exchanged);
    reached.load(Ordering::Relaxed)
}

#[tokio::test(start_paused = true)]
async fn attempts_of_before_take_from_the_rate_limit_that_is_in_force() {
    let by = |rate: &str| format!("rate_limit = {{ rate = \"{rate}\", by = \"authority\" }}");
    let window = |more: &str| {
        format!("rate_limit = {{ rate = \"2 per hour\", algorithm = \"sliding_window\"{more} }}")
    };
    for (before, after) in [
        (
            "rate_limit = \"2 per hour\"".to_owned(),
            "rate_limit = \"2 per minute\"".to_owned(),
        ),
        ("rate_limit = \"2 per hour\"".into(), window("")),
        (window(""), window(", name = \"other\"")),
        (by("2 per hour"), by("2 per minute")),
    ] {
        assert_eq!(reached_by_two(&before, &after).await, 2, "{before} {after}");
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_of_before_are_refused_by_a_breaker_that_has_opened_since() {
    let of = |failures: u32, more: &str| {
        let opens = format!("consecutive_failures = {failures}, overload = \"as_failure\"");
        format!("circuit_breaker = {{ {opens}, open_time = \"60s\"{more} }}")
    };
    let by = ", by = \"authority\"";
    for (before, after) in [
        (of(5, ""), of(1, "")),
        (of(5, by), of(1, by)),
        (of(5, ""), of(1, by)),
        (of(5, by), of(1, "")),
    ] {
        // One each: the second call's opened it.
        assert_eq!(reached_by_two(&before, &after).await, 2, "{before} {after}");
    }
}
