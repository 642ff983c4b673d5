//! Calls that hold a part of a rate limit while they wait, and leave after it was replaced: what the
//! old one gave them is no gift to the new one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress_config::{Document, Format, Reload, Rules};
use http::Request;
use std::time::Duration;
use tokio::task::JoinHandle;
use tower::ServiceExt;

fn put(rules: &Rules, text: &str) {
    let document = Document::parse("test", text, Format::Toml).unwrap();
    assert_eq!(rules.replace(document), Ok(Reload::Changed), "{text}");
}

fn call(app: &Router, path: &str, tenant: u32) -> JoinHandle<u16> {
    let request = Request::get(path).header("x-tenant", tenant);
    let request = request.body(Body::empty()).unwrap();
    let app = app.clone();
    tokio::spawn(async move { app.oneshot(request).await.unwrap().status().as_u16() })
}

/// How many calls go at once while these leave, one after the other.
async fn admitted_while(app: &Router, waiters: Vec<JoinHandle<u16>>) -> u32 {
    let mut admitted = 0;
    for waiter in waiters {
        while call(app, "/quick", 100).await.unwrap() == 200 {
            admitted += 1;
        }
        waiter.abort();
        let _ = waiter.await;
    }
    while call(app, "/quick", 100).await.unwrap() == 200 {
        admitted += 1;
    }
    admitted
}

/// The same for calls that wait for a bulkhead behind a shared rate limit, which is replaced.
async fn admitted_while_those_behind_leave(before: &str, after: &str) -> u32 {
    let of = |limit: &str| {
        format!(
            "[server.defaults]
            pressure = false
            [policy.pool]
            rate_limit = {{ {limit} }}
            [[server.route]]
            match = {{ path = \"/slow\" }}
            use = [\"pool\"]
            bulkhead = {{ limit = 1, waiting_room = {{ places = 16, longest_wait = \"20s\" }} }}
            [[server.route]]
            match = {{ path = \"/quick\" }}
            use = [\"pool\"]"
        )
    };
    let rules = Rules::from_toml(&of(before)).unwrap();
    let app = Router::new()
        .route("/quick", get(|| async {}))
        .route("/slow", get(|| tokio::time::sleep(Duration::from_secs(25))))
        .layer(rules.server());
    let mut waiters = Vec::new();
    for tenant in 0..9 {
        waiters.push(call(&app, "/slow", tenant));
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    put(&rules, &of(after));
    // The first one has the slot.
    admitted_while(&app, waiters.split_off(1)).await
}

#[tokio::test(start_paused = true)]
async fn what_waiters_give_back_was_never_taken_from_a_slower_limit() {
    let (before, after) = ("rate = \"1000/s\"", "rate = \"1 per hour\"");
    assert!(admitted_while_those_behind_leave(before, after).await <= 1);
}

#[tokio::test(start_paused = true)]
async fn nor_from_one_that_counts_by_something_else() {
    let [before, after] =
        ["header:x-tenant", "method"].map(|by| format!("rate = \"1 per hour\", by = \"{by}\""));
    assert!(admitted_while_those_behind_leave(&before, &after).await <= 1);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_the_limit_itself_and_leaves_gives_the_next_one_nothing() {
    let of = |limit: &str| {
        format!("[server.defaults]\npressure = false\nrate_limit = {{ burst = 1, {limit} }}")
    };
    let before = of("rate = \"1/s\", wait_at_most = \"20s\"");
    let rules = Rules::from_toml(&before).unwrap();
    let app = Router::new()
        .route("/quick", get(|| async {}))
        .layer(rules.server());
    assert_eq!(call(&app, "/quick", 0).await.unwrap(), 200);
    let waiters = (0..20).map(|_| call(&app, "/quick", 0)).collect();
    tokio::task::yield_now().await;
    put(&rules, &of("rate = \"1 per hour\""));
    assert!(admitted_while(&app, waiters).await <= 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_change_of_the_limit_others_go_in_their_place() {
    let before = "rate = \"9 per hour\"";
    let after = format!("{before} }}\n[upstream.other]\nretry = {{ attempts = 2");
    let admitted = admitted_while_those_behind_leave(before, &after).await;
    assert_eq!(admitted, 8);
}
