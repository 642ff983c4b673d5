//! What survives a reload that changes a policy's own settings: the calls that it holds.
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
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tower::ServiceExt;

/// A server of one route, whose calls take five seconds if they are slow.
struct Stage {
    rules: Rules,
    app: Router,
    most_at_once: Arc<AtomicUsize>,
}

fn parse(policy: &str) -> Document {
    let text = format!("[server.defaults]\npressure = false\n{policy}");
    Document::parse("test", &text, Format::Toml).unwrap()
}

impl Stage {
    fn new(policy: &str) -> Self {
        let rules = Rules::new(parse(policy)).unwrap();
        let at_once = Arc::new(AtomicUsize::new(0));
        let most_at_once = Arc::new(AtomicUsize::new(0));
        let most = Arc::clone(&most_at_once);
        let slow = move || {
            let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
            async move {
                most.fetch_max(
                    at_once.fetch_add(1, Ordering::Relaxed) + 1,
                    Ordering::Relaxed,
                );
                tokio::time::sleep(Duration::from_secs(5)).await;
                at_once.fetch_sub(1, Ordering::Relaxed);
            }
        };
        let app = Router::new()
            .route("/slow", get(slow))
            .route("/quick", get(|| async {}))
            .layer(rules.server());
        Self {
            rules,
            app,
            most_at_once,
        }
    }

    fn put(&self, policy: &str) {
        let reload = self.rules.replace(parse(policy));
        assert_eq!(reload, Ok(Reload::Changed), "{policy}");
    }

    fn call(&self, path: &str, tenant: &str) -> JoinHandle<u16> {
        let request = Request::get(path).header("x-tenant", tenant);
        let request = request.body(Body::empty()).unwrap();
        let app = self.app.clone();
        tokio::spawn(async move { app.oneshot(request).await.unwrap().status().as_u16() })
    }

    /// A slow call that is under way, or waits.
    async fn slow(&self, tenant: &str) -> JoinHandle<u16> {
        let call = self.call("/slow", tenant);
        tokio::task::yield_now().await;
        assert!(!call.is_finished(), "it was refused");
        call
    }

    async fn quick(&self, tenant: &str) -> u16 {
        self.call("/quick", tenant).await.unwrap()
    }

    fn status(&self) -> PolicyStatus {
        self.rules.policies().remove(0)
    }

    fn most_at_once(&self) -> usize {
        self.most_at_once.load(Ordering::Relaxed)
    }
}

const BY: &str = "by = \"header:x-tenant\"";

#[tokio::test(start_paused = true)]
async fn calls_in_flight_of_every_key_stay_counted_when_keyed_bulkheads_change_their_size() {
    let of = |limit| format!("bulkhead = {{ limit = {limit}, {BY} }}");
    let stage = Stage::new(&of(2));
    let (first, second) = (stage.slow("a").await, stage.slow("a").await);
    assert_eq!(stage.quick("a").await, 503);
    stage.put(&of(3));
    let third = stage.slow("a").await;
    assert_eq!(stage.quick("a").await, 503, "two from before, one since");
    stage.put(&of(1));
    assert_eq!(stage.quick("a").await, 503);
    // Keys that come later have the new limit.
    let other = stage.slow("b").await;
    assert_eq!(stage.quick("b").await, 503);
    for call in [first, second, third, other] {
        assert_eq!(call.await.unwrap(), 200, "nobody is interrupted");
    }
    assert_eq!(stage.quick("a").await, 200);
    assert_eq!(stage.status().details["keys"], 2);
}

/// The limit is one, and stays it; the one call in flight is still there.
async fn never_two_at_once(settings: &[&str]) {
    for before in settings {
        for after in settings {
            if before == after {
                continue;
            }
            let stage = Stage::new(before);
            let held = stage.slow("a").await;
            stage.put(after);
            let next = stage.call("/slow", "a");
            assert_eq!(held.await.unwrap(), 200);
            let next = next.await.unwrap();
            let waits = after.contains("waiting_room");
            assert_eq!(next, if waits { 200 } else { 503 }, "{before} {after}");
            assert_eq!(stage.most_at_once(), 1, "{before} {after}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_change_of_a_waiting_room_or_a_name_lets_a_bulkhead_exceed_its_limit() {
    const ROOM: &str = "waiting_room = { places = 3, longest_wait = \"20s\" }";
    never_two_at_once(&[
        "bulkhead = 1",
        "bulkhead = { limit = 1, name = \"other\" }",
        &format!("bulkhead = {{ limit = 1, {ROOM} }}"),
        &format!("bulkhead = {{ limit = 1, {ROOM}, discipline = \"priority\" }}"),
        &format!("bulkhead = {{ limit = 1, {ROOM}, discipline = \"adaptive_lifo\" }}"),
        "bulkhead = { limit = 1, waiting_room = { places = 9, longest_wait = \"9s\" } }",
        "bulkhead = { limit = 1, priority = true }",
        "bulkhead = { limit = 1, priority = { window = \"1s\" } }",
        &format!("bulkhead = {{ limit = 1, {ROOM}, priority = true }}"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn nor_does_any_change_of_keyed_bulkheads_but_that_of_the_key() {
    const ROOM: &str = "waiting_room = { places = 3, longest_wait = \"20s\" }";
    never_two_at_once(&[
        &format!("bulkhead = {{ limit = 1, {BY} }}"),
        &format!("bulkhead = {{ limit = 1, {BY}, {ROOM} }}"),
        &format!("bulkhead = {{ limit = 1, {BY}, max_keys = 10 }}"),
        &format!("bulkhead = {{ limit = 1, {BY}, missing_key = \"shared\", {ROOM} }}"),
        &format!("bulkhead = {{ limit = 1, {BY}, name = \"other\" }}"),
        &format!("bulkhead = {{ limit = 1, {BY}, priority = true }}"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn nor_does_a_change_of_an_adaptive_limit() {
    const ONE: &str = "latency_quantile = { start = 1, max = 1 }";
    const ROOM: &str = "waiting_room = { places = 3, longest_wait = \"20s\" }";
    never_two_at_once(&[
        &format!("adaptive_limit = {{ algorithm = {{ {ONE} }} }}"),
        &format!("adaptive_limit = {{ algorithm = {{ {ONE} }}, priority = true }}"),
        &format!("adaptive_limit = {{ algorithm = {{ {ONE} }}, {ROOM} }}"),
        "adaptive_limit = { algorithm = { aimd = { start = 1, min = 1, max = 1 } } }",
    ])
    .await;
    never_two_at_once(&[
        &format!("adaptive_limit = {{ {BY}, algorithm = {{ {ONE} }} }}"),
        &format!("adaptive_limit = {{ {BY}, algorithm = {{ {ONE} }}, max_keys = 9 }}"),
        &format!("adaptive_limit = {{ {BY}, algorithm = {{ {ONE} }}, {ROOM} }}"),
        &format!("adaptive_limit = {{ {BY}, algorithm = {{ vegas = {{ start = 1, max = 1 }} }} }}"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_that_changes_lets_no_more_in_than_it_did() {
    let of = |settings: &str| {
        format!("adaptive_limit = {{ algorithm = {{ aimd = {{ {settings} }} }} }}")
    };
    let stage = Stage::new(&of("start = 2, min = 1"));
    let _held = (stage.slow("a").await, stage.slow("a").await);
    stage.put(&of("start = 50, min = 1, max = 100"));
    assert_eq!(stage.quick("a").await, 503);
    let status = stage.status();
    assert_eq!(
        (&status.details["limit"], &status.details["in_flight"]),
        (&2.into(), &2.into())
    );
}

#[tokio::test(start_paused = true)]
async fn those_in_a_waiting_room_that_is_removed_are_served_and_nobody_joins_them() {
    let stage = Stage::new(
        "bulkhead = { limit = 1, waiting_room = { places = 2, longest_wait = \"7s\" } }",
    );
    let held = stage.slow("a").await;
    let (first, second) = (stage.slow("a").await, stage.slow("a").await);
    stage.put("bulkhead = 1");
    assert_eq!(stage.quick("a").await, 503);
    assert_eq!(held.await.unwrap(), 200);
    assert_eq!(stage.quick("a").await, 503, "the slot is the first one's");
    // The second has waited for as long as it might.
    assert_eq!(second.await.unwrap(), 503);
    assert_eq!(first.await.unwrap(), 200);
    assert_eq!((stage.quick("a").await, stage.most_at_once()), (200, 1));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_stay_counted_in_compartments_whatever_changes_of_them() {
    let of = |limit: u32, sharded: &str, more: &str| {
        format!("bulkhead = {{ limit = {limit}, {BY}, shuffle_sharded = {{ {sharded} }}{more} }}")
    };
    let stage = Stage::new(&of(1, "compartments = 2, per_key = 1", ""));
    let held = stage.slow("a").await;
    let in_flight = || stage.status().details["in_flight"].clone();
    stage.put(&of(2, "compartments = 2, per_key = 1", ""));
    let second = stage.slow("a").await;
    assert_eq!(stage.quick("a").await, 503);
    for (sharded, more) in [
        ("compartments = 3, per_key = 2", ""),
        ("compartments = 3, per_key = 2, seed = 7", ""),
        (
            "compartments = 3, per_key = 2, seed = 7",
            ", name = \"other\"",
        ),
        (
            "compartments = 3, per_key = 2, seed = 7",
            ", priority = true",
        ),
    ] {
        stage.put(&of(2, sharded, more));
        assert_eq!(in_flight(), 2, "{sharded} {more}");
    }
    assert_eq!((held.await.unwrap(), second.await.unwrap()), (200, 200));
    assert_eq!(in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_stay_counted_in_a_fair_share_whatever_changes_of_it() {
    let of = |more: &str| format!("fair_share = {{ {BY}, {more} }}");
    let stage = Stage::new(&of("limit = 2"));
    let held = (stage.slow("a").await, stage.slow("b").await);
    assert_eq!(stage.quick("c").await, 503);
    for more in [
        "limit = 2, largest_share = 0.9",
        "limit = 2, largest_share = 0.9, missing_key = \"shared\"",
        "limit = 2, largest_share = 0.9, name = \"other\"",
        "limit = 2, largest_share = 0.9, name = \"other\", priority = true",
        "limit = 1",
    ] {
        stage.put(&of(more));
        assert_eq!(stage.quick("c").await, 503, "{more}");
        assert_eq!(stage.status().details["in_flight"], 2, "{more}");
    }
    stage.put("fair_share = { by = \"method\", limit = 2 }");
    assert_eq!(stage.quick("c").await, 503, "with another key, too");
    stage.put(&of("limit = 3"));
    assert_eq!(stage.quick("c").await, 200);
    assert_eq!((held.0.await.unwrap(), held.1.await.unwrap()), (200, 200));
    assert_eq!(stage.status().details["in_flight"], 0);
}
