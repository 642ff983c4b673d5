//! What policies tell of themselves.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use buttress_config::Rules;
use http::Request;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt;

/// What a policy tells, by its name.
fn of(rules: &Rules, name: &str) -> Value {
    let policies = rules.policies();
    let found = policies.iter().find(|policy| policy.policy == name);
    let Some(found) = found else {
        let names: Vec<_> = policies.iter().map(|policy| &policy.policy).collect();
        panic!("there is no {name}: {names:?}");
    };
    found.json()
}

/// Whether the policy tells all of `expected`.
fn tells(rules: &Rules, name: &str, expected: &Value) {
    let found = of(rules, name);
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(found[field], *value, "{field} of {name}: {found}");
    }
}

async fn call(app: &Router, path: &str) -> u16 {
    let request = Request::get(path).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status().into()
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_tells_what_is_left_and_telling_takes_nothing() {
    let rules = Rules::from_toml(
        r#"
        [[server.route]]
        match = { path = "/even" }
        rate_limit = { rate = "10/s", burst = 4 }

        [[server.route]]
        match = { path = "/window" }
        rate_limit = { rate = "3 per minute", algorithm = "sliding_window" }
        "#,
    )
    .unwrap();
    let app = Router::new()
        .fallback(get(|| async { "well" }))
        .layer(rules.server());
    let even = |left: u32, whole: f64| {
        let expected = json!({
            "kind": "rate_limit", "algorithm": "gcra", "burst": 4, "window_ms": 400.0,
            "left": left, "whole_in_ms": whole,
            "settings": { "rate": "10 per second", "burst": 4 },
        });
        tells(&rules, "route /even/rate_limit", &expected);
    };
    for _ in 0..100 {
        even(4, 0.0);
    }
    for left in [3, 2, 1, 0] {
        assert_eq!(call(&app, "/even").await, 200);
        even(left, f64::from(4 - left) * 100.0);
    }
    assert_eq!(call(&app, "/even").await, 429);
    even(0, 400.0);
    tokio::time::advance(Duration::from_millis(250)).await;
    even(2, 150.0);
    assert_eq!(call(&app, "/even").await, 200);

    let window = |left: u32| {
        let expected = json!({
            "algorithm": "sliding_window", "limit": 3, "window_ms": 60_000.0, "left": left,
        });
        tells(&rules, "route /window/rate_limit", &expected);
    };
    window(3);
    for left in [2, 1, 0] {
        assert_eq!(call(&app, "/window").await, 200);
        window(left);
    }
    assert_eq!(call(&app, "/window").await, 429);
}

#[tokio::test(start_paused = true)]
async fn a_policy_with_a_key_tells_how_many_it_knows_and_how_many_it_can() {
    let rules = Rules::from_toml(
        r#"
        [server.defaults]
        rate_limit = { rate = "10/s", by = "header:x-tenant", max_keys = 10000 }
        bulkhead = { limit = 4, by = "header:x-tenant", max_keys = 50 }
        adaptive_limit = { by = "header:x-tenant" }
        pace = { rate = "1000/s", by = "header:x-tenant", waiting_room = { places = 9, longest_wait = "1s" } }

        [upstream.one]
        circuit_breaker = { by = "authority", max_keys = 7 }
        throttle = { by = "authority", max_keys = 8 }
        "#,
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let app = Router::new()
        .fallback(get(|| async { "well" }))
        .layer(rules.server());
    for tenant in ["a", "b", "a"] {
        let request = Request::get("/").header("x-tenant", tenant);
        let request = request.body(Body::empty()).unwrap();
        assert_eq!(app.clone().oneshot(request).await.unwrap().status(), 200);
    }
    for (name, most) in [
        ("rate_limit", 10_000),
        ("bulkhead", 50),
        ("adaptive_limit", 100_000),
        ("pace", 100_000),
    ] {
        let name = format!("server.defaults/{name}");
        tells(&rules, &name, &json!({ "keys": 2, "max_keys": most }));
    }
    for (name, most) in [("circuit_breaker", 7), ("throttle", 8)] {
        tells(
            &rules,
            &format!("upstream.one/{name}"),
            &json!({ "max_keys": most }),
        );
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_tells_its_settings_and_how_it_does() {
    let rules = Rules::from_toml(
        r#"
        [server.defaults]
        deadline_shedder = true
        fair_share = { limit = 6, by = "header:x-tenant", missing_key = "admitted" }
        bulkhead = { limit = 5, waiting_room = { places = 3, longest_wait = "1s" }, shadow = true }
        adaptive_limit = { priority = true }
        pace = { rate = "10/s", waiting_room = { places = 9, longest_wait = "1s" } }
        queue_delay = true

        [[server.route]]
        match = { path = "/sharded" }
        bulkhead = { limit = 2, by = "header:x-tenant", shuffle_sharded = { compartments = 8, per_key = 2 } }

        [upstream.one]
        coalesce = true
        stale_if_error = true
        retry = { attempts = 2, budget = { share = "20%", at_least = 7 } }
        throttle = true

        [upstream.two]
        hedge = { after = "20ms" }
        retry = false
        "#,
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    let waiting_room = json!({ "places": 3, "longest_wait": "1s" });
    for (name, expected) in [
        (
            "server.defaults/deadline_shedder",
            json!({ "expected_ms": null, "settings": {} }),
        ),
        (
            "server.defaults/fair_share",
            json!({ "limit": 6, "in_flight": 0 }),
        ),
        (
            "server.defaults/bulkhead",
            json!({
                "limit": 5, "in_flight": 0, "waiting": 0, "enforced": false,
                "settings": { "limit": 5, "waiting_room": waiting_room },
            }),
        ),
        (
            "server.defaults/adaptive_limit",
            json!({ "in_flight": 0, "waiting": 0, "settings": { "priority": true } }),
        ),
        (
            "server.defaults/queue_delay",
            json!({ "overloaded": false }),
        ),
        ("server.defaults/pace", json!({ "waiting": 0 })),
        (
            "route /sharded/bulkhead",
            json!({ "compartments": 8, "limit_of_each": 2, "in_flight": 0, "waiting": 0 }),
        ),
        ("upstream.one/coalesce", json!({ "in_flight": 0 })),
        (
            "upstream.one/stale_if_error",
            json!({ "answers": 0, "bytes": 0 }),
        ),
        (
            "upstream.one/circuit_breaker",
            json!({ "state": "closed", "openings": 0 }),
        ),
        (
            "upstream.one/throttle",
            json!({ "requests": 0, "accepts": 0, "refusal_probability": 0.0 }),
        ),
        (
            "upstream.two/hedge",
            json!({ "sent": 0, "won": 0, "delay_ms": 20.0 }),
        ),
    ] {
        tells(&rules, name, &expected);
    }
    let retry = of(&rules, "upstream.one/retry");
    assert_eq!(retry["settings"]["attempts"], 2);
    assert!(retry["budget_left"].as_u64().unwrap() > 0, "{retry}");
    for policy in rules.policies() {
        let settings = &policy.details["settings"];
        assert!(settings.is_object(), "{}: {settings}", policy.policy);
    }
}
