//! Accepting work and running it later: what callers see, what is bounded, and what becomes of it at
//! the end.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::Body;
use axum::routing::post;
use buttress::shed::{Arrived, MarkArrival};
use buttress::{Deadline, RunLater, SettingError};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{advance, sleep, timeout};
use tower::ServiceExt;

const SECOND: Duration = Duration::from_secs(1);

/// Jobs of a second, two at once, of which three may wait; results are kept for a minute, and four
/// at most.
fn small() -> RunLater {
    RunLater::builder("/jobs/")
        .at_once(2)
        .queue(3, 10 * SECOND)
        .keep_results(60 * SECOND, 4)
        .max_body(32)
        .build()
        .unwrap()
}

fn app(later: &RunLater, runs: &Arc<AtomicUsize>) -> Router {
    let runs = Arc::clone(runs);
    let work = move |request: Request<Body>| async move {
        runs.fetch_add(1, Ordering::SeqCst);
        sleep(SECOND).await;
        assert!(request.extensions().get::<Deadline>().is_none());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text != "panic", "it is told to");
        let text = if text == "long" { "x".repeat(33) } else { text };
        Response::builder()
            .status(StatusCode::CREATED)
            .header("x-report", "yes")
            .body(format!("{text}!"))
            .unwrap()
    };
    Router::new()
        .route("/reports", post(work).layer(later.clone()))
        .route_service("/jobs/{id}", later.status())
}

struct Seen {
    status: StatusCode,
    location: Option<String>,
    retry_after: bool,
    report: bool,
    body: String,
}

async fn ask(app: &Router, method: &str, uri: &str, body: &'static str) -> Seen {
    let mut request = Request::builder().method(method).uri(uri);
    if let Some(extensions) = request.extensions_mut() {
        Deadline::after(SECOND / 2).put(extensions);
    }
    let request = request.body(Body::from(body)).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let location = head.headers.get("location");
    Seen {
        status: head.status,
        location: location.map(|url| url.to_str().unwrap().to_owned()),
        retry_after: head.headers.contains_key("retry-after"),
        report: head.headers.contains_key("x-report"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// Posts a job that is accepted, and returns its status URL.
async fn accepted(app: &Router, body: &'static str) -> String {
    let seen = ask(app, "POST", "/reports", body).await;
    assert_eq!(seen.status, StatusCode::ACCEPTED, "{}", seen.body);
    seen.location.unwrap()
}

async fn state(app: &Router, url: &str) -> (u16, String) {
    let seen = ask(app, "GET", url, "").await;
    (seen.status.as_u16(), seen.body)
}

#[tokio::test(start_paused = true)]
async fn a_job_is_accepted_at_once_runs_and_is_answered_at_its_url() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    let seen = ask(&app, "POST", "/reports", "all").await;
    assert_eq!(seen.status, StatusCode::ACCEPTED);
    assert_eq!(seen.body, r#"{"state":"queued"}"#);
    assert!(seen.retry_after);
    let url = seen.location.unwrap();
    assert!(
        url.starts_with("/jobs/") && url.len() == "/jobs/".len() + 32,
        "{url}"
    );
    sleep(SECOND / 2).await;
    assert_eq!(
        state(&app, &url).await,
        (202, r#"{"state":"running"}"#.to_owned())
    );
    sleep(SECOND).await;
    for _ in 0..2 {
        let seen = ask(&app, "GET", &url, "").await;
        assert_eq!(seen.status, StatusCode::CREATED);
        assert!(seen.report && seen.body == "all!");
    }
    let head = ask(&app, "HEAD", &url, "").await;
    assert!(head.status == StatusCode::CREATED && head.body.is_empty() && head.report);
    let post = Request::post(&url).body(Body::empty()).unwrap();
    let post = app.clone().oneshot(post).await.unwrap();
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.headers()["allow"], "GET, HEAD, DELETE");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_served_in_order() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    let mut urls = Vec::new();
    for _ in 0..5 {
        urls.push(accepted(&app, "one").await);
    }
    let refused = ask(&app, "POST", "/reports", "one too many").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((later.queued(), later.unfinished()), (3, 5));
    sleep(SECOND * 3 / 2).await;
    let mut states = Vec::new();
    for url in &urls {
        states.push(state(&app, url).await.0);
    }
    assert_eq!(states, [201, 201, 202, 202, 202]);
    assert_eq!(runs.load(Ordering::SeqCst), 4);
    accepted(&app, "there is room again").await;
}

#[tokio::test(start_paused = true)]
async fn results_are_forgotten_in_time_and_when_there_are_too_many() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    let mut urls = Vec::new();
    for _ in 0..5 {
        urls.push(accepted(&app, "one").await);
        sleep(2 * SECOND).await;
    }
    assert_eq!(later.results(), 4);
    assert_eq!(state(&app, &urls[0]).await.0, 404);
    assert_eq!(state(&app, &urls[4]).await.0, 201);
    advance(61 * SECOND).await;
    assert_eq!(state(&app, &urls[4]).await.0, 404);
    assert_eq!(later.results(), 0);
    for unknown in [
        "/jobs/1",
        "/jobs/+0000000000000000000000000000000",
        "/jobs/x",
    ] {
        assert_eq!(state(&app, unknown).await.0, 404, "{unknown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_result_that_was_deleted_takes_no_other_ones_place() {
    let later = RunLater::builder("/jobs/").keep_results(60 * SECOND, 2);
    let (later, runs) = (later.build().unwrap(), Arc::default());
    let app = app(&later, &runs);
    let oldest = accepted(&app, "one").await;
    sleep(2 * SECOND).await;
    let deleted = accepted(&app, "two").await;
    sleep(SECOND / 2).await;
    let newest = accepted(&app, "three").await;
    sleep(SECOND * 3 / 4).await;
    assert_eq!(state(&app, &newest).await.0, 202);
    assert_eq!(ask(&app, "DELETE", &deleted, "").await.status, 204);
    later.drain().await;
    for url in [&oldest, &newest] {
        assert_eq!(state(&app, url).await.0, 201);
    }
    assert_eq!(later.results(), 2);
}

/// Or what sheds by how long a call has waited would count the queue, in which jobs wait on purpose.
#[tokio::test(start_paused = true)]
async fn a_job_that_was_marked_arrives_when_it_starts() {
    let later = RunLater::builder("/jobs/").at_once(1).build().unwrap();
    let marks = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&marks);
    let work = move |request: Request<Body>| async move {
        let mark = request.extensions().get().copied().map(Arrived::instant);
        let start = tokio::time::Instant::now().into_std();
        seen.lock().push((mark, start));
        sleep(SECOND).await;
    };
    let app = Router::new().route("/reports", post(work).layer(later.clone()));
    let marked = app.clone().layer(MarkArrival::new());
    for _ in 0..3 {
        accepted(&marked, "").await;
    }
    accepted(&app, "").await;
    later.drain().await;
    let marks = marks.lock();
    assert_eq!(marks.len(), 4);
    for (mark, start) in &marks[..3] {
        assert_eq!(*mark, Some(*start));
    }
    // Nobody asked for a mark.
    assert_eq!(marks[3].0, None);
}

#[tokio::test(start_paused = true)]
async fn what_goes_wrong_is_told_at_the_url() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    let (panics, long) = (accepted(&app, "panic").await, accepted(&app, "long").await);
    sleep(2 * SECOND).await;
    assert_eq!(state(&app, &panics).await.0, 500);
    let (status, body) = state(&app, &long).await;
    assert!(status == 500 && body.contains("too large"), "{body}");
    let large = ask(
        &app,
        "POST",
        "/reports",
        "a body that is longer than thirty-two bytes",
    )
    .await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!((later.queued(), later.unfinished()), (0, 0));
    // The slots are whole: two run at once, as before.
    let (one, other) = (accepted(&app, "one").await, accepted(&app, "other").await);
    sleep(SECOND * 3 / 2).await;
    assert_eq!(
        (state(&app, &one).await.0, state(&app, &other).await.0),
        (201, 201)
    );
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_too_long_is_not_run() {
    let later = RunLater::builder("/jobs/").at_once(1).queue(3, SECOND / 2);
    let (later, runs) = (later.build().unwrap(), Arc::default());
    let app = app(&later, &runs);
    accepted(&app, "one").await;
    let waits = accepted(&app, "other").await;
    sleep(2 * SECOND).await;
    assert_eq!(state(&app, &waits).await.0, 503);
    assert_eq!(runs.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn draining_refuses_what_is_new_and_finishes_what_is_there() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    let mut urls = Vec::new();
    for _ in 0..5 {
        urls.push(accepted(&app, "one").await);
    }
    // Too short: two of three rounds.
    assert!(timeout(SECOND * 5 / 2, later.drain()).await.is_err());
    assert_eq!(later.unfinished(), 1);
    let refused = ask(&app, "POST", "/reports", "late").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    timeout(SECOND, later.drain()).await.unwrap();
    assert_eq!(later.unfinished(), 0);
    assert_eq!(runs.load(Ordering::SeqCst), 5);
    assert_eq!(state(&app, &urls[4]).await.0, 201);
    timeout(SECOND, later.drain()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_away_before_it_is_answered_has_done_nothing() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    for _ in 0..10 {
        // A body that never comes.
        let (_open, body) = endless();
        let request = Request::post("/reports").body(body).unwrap();
        let call = app.clone().oneshot(request);
        assert!(timeout(SECOND / 10, call).await.is_err());
    }
    assert_eq!((later.queued(), later.unfinished()), (0, 0));
    sleep(2 * SECOND).await;
    assert_eq!(runs.load(Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn senders_that_are_slow_keep_no_job_from_running() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    let (mut open, mut slow) = (Vec::new(), tokio::task::JoinSet::new());
    for _ in 0..4 {
        let (sender, body) = endless();
        open.push(sender);
        let request = Request::post("/reports").body(body).unwrap();
        slow.spawn(app.clone().oneshot(request));
        tokio::task::yield_now().await;
    }
    let job = accepted(&app, "one").await;
    // They have their places in the queue, though.
    let refused = ask(&app, "POST", "/reports", "one too many").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    sleep(SECOND * 3 / 2).await;
    assert_eq!(state(&app, &job).await.0, 201);
    drop(open);
    while let Some(answer) = slow.join_next().await {
        assert_eq!(answer.unwrap().unwrap().status(), StatusCode::ACCEPTED);
    }
    later.drain().await;
    assert_eq!(runs.load(Ordering::SeqCst), 5);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_is_cancelled_ends_and_is_forgotten() {
    let (later, runs) = (small(), Arc::default());
    let app = app(&later, &runs);
    let mut urls = Vec::new();
    for _ in 0..4 {
        urls.push(accepted(&app, "one").await);
    }
    sleep(SECOND / 2).await;
    // One that runs, and one that waits.
    for url in [&urls[0], &urls[3]] {
        assert_eq!(ask(&app, "DELETE", url, "").await.status, 204);
        assert_eq!(state(&app, url).await.0, 404);
        assert_eq!(ask(&app, "DELETE", url, "").await.status, 404);
    }
    sleep(SECOND / 100).await;
    // The slot is the next one's.
    assert_eq!((later.queued(), later.unfinished()), (0, 2));
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    later.drain().await;
    assert_eq!(later.results(), 2);
    // One that is done.
    assert_eq!(ask(&app, "DELETE", &urls[1], "").await.status, 204);
    assert_eq!(later.results(), 1);
    advance(61 * SECOND).await;
    assert_eq!(later.results(), 0);
}

#[tokio::test(start_paused = true)]
async fn grpc_is_refused_in_its_own_terms() {
    let (later, runs) = (small(), Arc::default());
    let request = Request::post("/reports")
        .header("content-type", "application/grpc+proto")
        .body(Body::empty())
        .unwrap();
    let answer = app(&later, &runs).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["grpc-status"], "12");
    assert_eq!(answer.headers()["content-type"], "application/grpc+proto");
    assert!(
        answer
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
    assert_eq!(later.unfinished(), 0);
}

/// Below a nested router, the status URL is what clients see, or relative to what they asked.
#[tokio::test(start_paused = true)]
async fn a_status_url_is_found_below_a_nested_router() {
    for prefix in ["/api/jobs/", "jobs/"] {
        let later = RunLater::builder(prefix).build().unwrap();
        let app = Router::new().nest("/api", app(&later, &Arc::default()));
        let seen = ask(&app, "POST", "/api/reports", "one").await;
        let location = seen.location.unwrap();
        let name = location.strip_prefix(prefix).unwrap();
        assert_eq!(state(&app, &format!("/api/jobs/{name}")).await.0, 202);
        later.drain().await;
        assert_eq!(state(&app, &format!("/api/jobs/{name}")).await.0, 201);
    }
}

#[tokio::test(start_paused = true)]
async fn what_tells_of_one_transmission_is_not_kept_and_neither_are_endless_header_fields() {
    let later = RunLater::builder("/jobs/").build().unwrap();
    let work = |request: Request<Body>| async move {
        let long = request.uri().query().is_some();
        let value = if long {
            "x".repeat(17 * 1024)
        } else {
            "x".to_owned()
        };
        // As an answer to HEAD would have it.
        let answer = Response::builder().header("content-length", "999");
        answer
            .header("x-report", value)
            .body(Body::empty())
            .unwrap()
    };
    let app = Router::new()
        .route("/reports", axum::routing::any(work).layer(later.clone()))
        .route_service("/jobs/{id}", later.status());
    let mut urls = Vec::new();
    for uri in ["/reports", "/reports?long"] {
        urls.push(ask(&app, "POST", uri, "").await.location.unwrap());
    }
    later.drain().await;
    let kept = Request::get(&urls[0]).body(Body::empty()).unwrap();
    let kept = app.clone().oneshot(kept).await.unwrap();
    assert!(kept.headers().contains_key("x-report"));
    assert_ne!(
        kept.headers()
            .get("content-length")
            .map(http::HeaderValue::as_bytes),
        Some(&b"999"[..])
    );
    let (status, body) = state(&app, &urls[1]).await;
    assert!(status == 500 && body.contains("too large"), "{body}");
}

fn endless() -> (tokio::sync::oneshot::Sender<()>, Body) {
    let (open, closed) = tokio::sync::oneshot::channel::<()>();
    let frames = futures_util::stream::once(async {
        closed.await.ok();
        Ok::<_, std::io::Error>("data")
    });
    (open, Body::from_stream(frames))
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |builder: buttress::later::RunLaterBuilder| {
        builder.build().err().as_ref().map(SettingError::field)
    };
    let jobs = || RunLater::builder("/jobs/");
    for prefix in [
        "",
        "/jobs",
        "/jö/",
        "/a b/",
        "/\n/",
        "/jobs?name=/",
        "/jobs#/",
    ] {
        assert_eq!(
            field(RunLater::builder(prefix)),
            Some("prefix"),
            "{prefix:?}"
        );
    }
    assert_eq!(field(jobs().at_once(0)), Some("at_once"));
    assert_eq!(field(jobs().queue(0, SECOND)), Some("queue.places"));
    assert_eq!(
        field(jobs().queue(1, Duration::ZERO)),
        Some("queue.longest_wait")
    );
    assert_eq!(
        field(jobs().keep_results(Duration::ZERO, 1)),
        Some("keep_results.time")
    );
    assert_eq!(
        field(jobs().keep_results(SECOND, 0)),
        Some("keep_results.results")
    );
    assert_eq!(field(jobs().max_body(0)), Some("max_body"));
    assert_eq!(field(jobs().named("")), Some("named"));
    assert_eq!(field(jobs()), None);
}
