//! What survives a reload that changes a policy's own settings: what it has learnt and given away.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress_config::{Document, Format, PolicyStatus, Reload, Rules};
use http::Request;
use std::time::Duration;
use tower::ServiceExt;

fn parse(policy: &str) -> Document {
    let text = format!("[server.defaults]\npressure = false\n{policy}");
    Document::parse("test", &text, Format::Toml).unwrap()
}

struct Stage {
    rules: Rules,
    app: Router,
}

impl Stage {
    fn new(policy: &str) -> Self {
        let rules = Rules::new(parse(policy)).unwrap();
        let slow = || tokio::time::sleep(Duration::from_secs(5));
        let app = Router::new()
            .route("/quick", get(|| async {}))
            .route("/slow", get(slow))
            .layer(rules.server());
        Self { rules, app }
    }

    fn put(&self, policy: &str) {
        let reload = self.rules.replace(parse(policy));
        assert_eq!(reload, Ok(Reload::Changed), "{policy}");
    }

    async fn call(&self, path: &str, tenant: &str) -> u16 {
        let request = Request::get(path).header("x-tenant", tenant);
        let request = request.body(Body::empty()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        response.status().as_u16()
    }

    async fn quick(&self, tenant: &str) -> u16 {
        self.call("/quick", tenant).await
    }

    fn status(&self) -> PolicyStatus {
        self.rules.policies().remove(0)
    }
}

const BY: &str = "by = \"header:x-tenant\"";

#[tokio::test(start_paused = true)]
async fn a_changed_rate_limit_hands_out_no_new_burst() {
    const WINDOW: &str = "algorithm = \"sliding_window\"";
    for key in ["", &format!(", {BY}")] {
        let of =
            |rate: &str, more: &str| format!("rate_limit = {{ rate = \"{rate}\"{key}{more} }}");
        let stage = Stage::new(&of("3 per hour", ""));
        assert_eq!((stage.quick("a").await, stage.quick("a").await), (200, 200));
        // One left; it is taken, and with each change the limit stays used up.
        stage.put(&of("6 per hour", ", burst = 3"));
        assert_eq!((stage.quick("a").await, stage.quick("a").await), (200, 429));
        for (rate, more) in [
            ("2 per hour", String::new()),
            ("2 per hour", ", announced = true".into()),
            ("2 per hour", ", name = \"other\"".into()),
            ("2 per hour", format!(", {WINDOW}")),
            ("2 per hour", format!(", {WINDOW}, announced = true")),
            ("2 per hour", String::new()),
        ] {
            stage.put(&of(rate, &more));
            assert_eq!(stage.quick("a").await, 429, "{rate} {more} {key}");
        }
        stage.put(&of("4 per hour", ""));
        let answers = [
            stage.quick("a").await,
            stage.quick("a").await,
            stage.quick("a").await,
        ];
        assert_eq!(answers, [200, 200, 429], "two more than before");
        let other = stage.quick("b").await;
        assert_eq!(other, if key.is_empty() { 429 } else { 200 });
    }
}

/// How many calls go in two hours of one each minute, if something else of the limit is edited now and
/// then.
async fn in_two_hours(limit: &str, edits: bool) -> u32 {
    let of = |more: &str| format!("rate_limit = {{ {limit}{more} }}");
    let stage = Stage::new(&of(""));
    let mut admitted = 0;
    for minute in 0..120 {
        admitted += u32::from(stage.quick("a").await == 200);
        tokio::time::advance(Duration::from_secs(60)).await;
        if edits && minute % 7 == 3 {
            stage.put(&of(", announced = true"));
            stage.put(&of(""));
        }
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn edits_that_leave_the_rate_alone_cost_a_slow_rate_limit_nothing() {
    for key in ["", &format!(", {BY}")] {
        for algorithm in ["", ", algorithm = \"sliding_window\""] {
            let limit = format!("rate = \"5 per hour\"{key}{algorithm}");
            let without = in_two_hours(&limit, false).await;
            assert_eq!(in_two_hours(&limit, true).await, without, "{limit}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_counts_those_that_wait_for_the_limit_before() {
    let limit = "rate_limit = { rate = \"5/s\"";
    let stage = Stage::new(&format!("{limit}, burst = 1, wait_at_most = \"1s\" }}"));
    let mut admitted = 0;
    let waiting = async { (0..6).map(|_| stage.quick("a")).collect::<Vec<_>>() }.await;
    let waiting = futures_util::future::join_all(waiting);
    let next = async {
        tokio::task::yield_now().await;
        stage.put(&format!("{limit}, algorithm = \"sliding_window\" }}"));
        let mut admitted = 0;
        for _ in 0..6 {
            admitted += u32::from(stage.quick("a").await == 200);
        }
        admitted
    };
    let (waited, at_once) = tokio::join!(waiting, next);
    admitted += waited.into_iter().filter(|status| *status == 200).count() as u32;
    assert_eq!(admitted + at_once, 6);
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_for_a_rate_limit_go_before_those_that_come_to_the_new_one() {
    for key in ["", &format!(", {BY}")] {
        let of = |more: &str| {
            let waits = "burst = 1, wait_at_most = \"9s\"";
            format!("rate_limit = {{ rate = \"1/s\", {waits}{key}{more} }}")
        };
        let stage = Stage::new(&of(""));
        assert_eq!(stage.quick("a").await, 200);
        let begin = tokio::time::Instant::now();
        let waits = || async {
            let answer = stage.quick("a").await;
            (answer, begin.elapsed().as_millis().div_ceil(1_000))
        };
        let next = async {
            tokio::task::yield_now().await;
            stage.put(&of(", announced = true"));
            waits().await
        };
        let (first, second, next) = tokio::join!(waits(), waits(), next);
        assert_eq!(
            (first, second, next),
            ((200, 1), (200, 2), (200, 3)),
            "{key}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_changed_pace_lets_the_next_call_go_no_earlier() {
    for key in ["", &format!(", {BY}")] {
        let of = |rate: &str| format!("pace = {{ rate = \"{rate}\"{key} }}");
        let stage = Stage::new(&of("2 per hour"));
        assert_eq!((stage.quick("a").await, stage.quick("a").await), (200, 503));
        stage.put(&of("1 per hour"));
        assert_eq!(stage.quick("a").await, 503);
        tokio::time::advance(Duration::from_secs(29 * 60)).await;
        assert_eq!(stage.quick("a").await, 503);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!((stage.quick("a").await, stage.quick("a").await), (200, 503));
        // An hour would be much at this pace.
        stage.put(&of("60 per hour"));
        assert_eq!(stage.quick("a").await, 503);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(stage.quick("a").await, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn those_that_wait_for_a_pace_go_at_the_new_one() {
    const ROOM: &str = "waiting_room = { places = 1, longest_wait = \"2h\" }";
    let of = |rate: &str| format!("deadline = false\npace = {{ rate = \"{rate}\", {ROOM} }}");
    let stage = Stage::new(&of("1 per hour"));
    assert_eq!(stage.quick("a").await, 200);
    let app = stage.app.clone();
    let request = Request::get("/quick").body(Body::empty()).unwrap();
    let waits = tokio::spawn(async move { app.oneshot(request).await.unwrap().status() });
    tokio::task::yield_now().await;
    let begin = tokio::time::Instant::now();
    stage.put(&of("1 per minute"));
    assert_eq!(waits.await.unwrap(), 200);
    assert!(begin.elapsed() < Duration::from_secs(61));
}

/// With and without a bar in front, and with another one.
#[tokio::test(start_paused = true)]
async fn what_a_policy_has_learnt_does_not_depend_on_the_bar_in_front_of_it() {
    let of = |priority: &str| format!("deadline_shedder = {{ half_life = \"10m\"{priority} }}");
    let stage = Stage::new(&of(""));
    for _ in 0..50 {
        assert_eq!(stage.call("/slow", "a").await, 200);
    }
    let expected = || stage.status().details["expected_ms"].clone();
    let learnt = expected();
    assert!(learnt.as_f64().unwrap() > 4_000.0, "{learnt}");
    for (priority, has_bar) in [
        (", priority = true", true),
        (", priority = { window = \"1s\" }", true),
        (", priority = false", false),
    ] {
        stage.put(&of(priority));
        assert_eq!(expected(), learnt, "{priority}");
        let bar = stage.status().details.contains_key("priority_bar");
        assert_eq!(bar, has_bar, "{priority}");
    }
}
