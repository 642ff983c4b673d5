//! Breakers of one key each: what a reload leaves of them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use buttress_config::{Document, Format, PolicyStatus, Reload, Rules, UpstreamLayer};
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use serde_json::json;
use std::time::Duration;
use tower::{BoxError, Layer, ServiceExt, service_fn};

type Body = Empty<bytes::Bytes>;

fn parse(breaker: &str) -> Document {
    let by = "by = \"header:x-host\"";
    let text = format!("[upstream.one]\nretry = false\ncircuit_breaker = {{ {by}, {breaker} }}");
    Document::parse("test", &text, Format::Toml).unwrap()
}

/// A callee whose hosts do as they are asked: the status that it answers with.
async fn call(layer: &UpstreamLayer, host: &str, status: u16) -> Result<u16, BoxError> {
    let client = layer.layer(service_fn(|request: Request<_>| async move {
        let _: &buttress::repeat::ReplayBody<Body> = request.body();
        let status = request.headers()["x-status"].to_str().unwrap();
        let mut response = Response::new(Body::new());
        *response.status_mut() = StatusCode::from_bytes(status.as_bytes()).unwrap();
        Ok::<_, BoxError>(response)
    }));
    let request = Request::get("http://example.com/")
        .header("x-host", host)
        .header("x-status", status.to_string())
        .body(Body::new());
    let response = client.oneshot(request.unwrap()).await?;
    Ok(response.status().as_u16())
}

fn status(rules: &Rules) -> PolicyStatus {
    let policies = rules.policies().into_iter();
    let mut breakers = policies.filter(|policy| policy.kind == "circuit_breaker");
    breakers.next().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_breaker_of_each_key_that_is_open_stays_open_for_as_long_as_it_would_have_been() {
    let rules = Rules::new(parse(
        "consecutive_failures = 1, open_time = \"10s\", jitter = 0",
    ));
    let rules = rules.unwrap();
    let layer = rules.upstream("one").unwrap();
    assert_eq!(call(&layer, "down", 500).await.unwrap(), 500);
    assert_eq!(call(&layer, "up", 200).await.unwrap(), 200);
    for changed in [
        "consecutive_failures = 2, open_time = \"20s\", jitter = 0",
        "consecutive_failures = 2, open_time = \"20s\", jitter = 0, max_keys = 3",
        "consecutive_failures = 2, open_time = \"20s\", jitter = 0, max_keys = 9000",
        "consecutive_failures = 2, open_time = \"20s\", jitter = 0, missing_key = \"shared\"",
        "consecutive_failures = 2, open_time = \"20s\", jitter = 0, name = \"other\"",
    ] {
        assert_eq!(rules.replace(parse(changed)), Ok(Reload::Changed));
        assert!(call(&layer, "down", 200).await.is_err(), "{changed}");
        assert_eq!(call(&layer, "up", 200).await.unwrap(), 200, "{changed}");
        assert_eq!(call(&layer, "new", 200).await.unwrap(), 200, "{changed}");
        let states = &status(&rules).details["states"];
        assert_eq!(states, &json!({ "open": 1, "closed": 2 }), "{changed}");
    }
    tokio::time::advance(Duration::from_secs(9)).await;
    assert!(call(&layer, "down", 200).await.is_err());
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(status(&rules).details["states"]["half-open"], 1);
    assert_eq!(call(&layer, "down", 200).await.unwrap(), 200);
    // The new settings count: one failure is not enough any more.
    assert_eq!(call(&layer, "up", 500).await.unwrap(), 500);
    assert_eq!(call(&layer, "up", 500).await.unwrap(), 500);
    assert!(call(&layer, "up", 200).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn other_keys_start_afresh() {
    let rules = Rules::new(parse("consecutive_failures = 1")).unwrap();
    let layer = rules.upstream("one").unwrap();
    assert_eq!(call(&layer, "down", 500).await.unwrap(), 500);
    assert!(call(&layer, "down", 200).await.is_err());
    let by_status = "[upstream.one]\nretry = false\n\
         circuit_breaker = { by = \"header:x-status\", consecutive_failures = 1 }";
    let document = Document::parse("test", by_status, Format::Toml).unwrap();
    assert_eq!(rules.replace(document), Ok(Reload::Changed));
    assert_eq!(status(&rules).details["keys"], 0);
    assert_eq!(call(&layer, "down", 200).await.unwrap(), 200);
}

#[tokio::test(start_paused = true)]
async fn what_throttles_have_counted_stays_when_only_the_number_of_keys_changes() {
    let of = |more: &str| {
        let throttle = format!("throttle = {{ by = \"header:x-host\", seed = 1{more} }}");
        let text = format!("[upstream.one]\nretry = false\ncircuit_breaker = false\n{throttle}");
        Document::parse("test", &text, Format::Toml).unwrap()
    };
    let rules = Rules::new(of("")).unwrap();
    let layer = rules.upstream("one").unwrap();
    let keys = || {
        let throttle = rules.policies().into_iter();
        let mut throttle = throttle.filter(|policy| policy.kind == "throttle");
        throttle.next().unwrap().details["keys"].clone()
    };
    for _ in 0..50 {
        let _ = call(&layer, "busy", 429).await;
    }
    for more in [
        ", max_keys = 9",
        ", max_keys = 9000, missing_key = \"shared\"",
    ] {
        assert_eq!(rules.replace(of(more)), Ok(Reload::Changed));
        assert_eq!(keys(), 1, "{more}");
        let mut refused = 0;
        for _ in 0..10 {
            refused += u32::from(call(&layer, "busy", 429).await.is_err());
        }
        assert!(refused > 5, "{more}: {refused}");
    }
    rules.replace(of(", multiplier = 3")).unwrap();
    assert_eq!(keys(), 0, "it counts otherwise");
}

#[cfg(feature = "admin")]
mod by_hand {
    use super::*;
    use axum::Router;
    use axum::body::to_bytes;
    use buttress_config::Admin;
    use serde_json::Value;

    const BREAKER: &str = "upstream.one/circuit_breaker";

    async fn post(router: &Router, path: &str, body: Value) -> Value {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(axum::body::Body::from(body.to_string()))
            .unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        assert_eq!(response.status(), 200);
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }

    async fn act(router: &Router, action: &str) -> (Value, Value) {
        let body = json!({ "policy": BREAKER, "action": action });
        let answer = post(router, "/breaker", body).await;
        (answer["before"].clone(), answer["after"].clone())
    }

    #[tokio::test(start_paused = true)]
    async fn the_breakers_of_all_keys_are_forced_open_those_of_new_keys_too_until_they_are_reset() {
        let rules = Rules::new(parse("consecutive_failures = 1")).unwrap();
        let layer = rules.upstream("one").unwrap();
        let router = Admin::new(rules.clone()).router();
        assert_eq!(call(&layer, "a", 200).await.unwrap(), 200);
        let told = act(&router, "open").await;
        assert_eq!(told, (json!("automatic"), json!("forced open")));
        assert!(call(&layer, "a", 200).await.is_err());
        assert!(call(&layer, "new", 200).await.is_err());
        let details = status(&rules).details;
        assert_eq!(details["states"], json!({ "forced open": 2 }));
        assert_eq!(details["by_hand"], "forced open");
        let told = act(&router, "reset").await;
        assert_eq!(told, (json!("forced open"), json!("automatic")));
        for host in ["a", "new", "newer"] {
            assert_eq!(call(&layer, host, 200).await.unwrap(), 200);
        }
        let details = status(&rules).details;
        assert_eq!(details["states"], json!({ "closed": 3 }));
        assert_eq!(details["by_hand"], Value::Null);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_disabling_and_counting_only_are_for_all_keys_too() {
        let rules = Rules::new(parse("consecutive_failures = 1")).unwrap();
        let layer = rules.upstream("one").unwrap();
        let router = Admin::new(rules.clone()).router();
        for (action, after, stays_open) in [
            ("close", "automatic", true),
            ("disable", "disabled", false),
            ("metrics_only", "metrics only", false),
        ] {
            act(&router, "reset").await;
            assert_eq!(call(&layer, "a", 500).await.unwrap(), 500);
            assert!(call(&layer, "a", 200).await.is_err());
            assert_eq!(act(&router, action).await.1, after);
            // It is let in now, and one failure opens it again, if anything does.
            for host in ["a", "new"] {
                assert_eq!(call(&layer, host, 500).await.unwrap(), 500, "{action}");
                let refused = call(&layer, host, 200).await.is_err();
                assert_eq!(refused, stays_open, "{action} {host}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_mode_by_hand_survives_reloads_for_keys_that_there_are_and_for_new_ones() {
        let rules = Rules::new(parse("consecutive_failures = 1")).unwrap();
        let layer = rules.upstream("one").unwrap();
        let router = Admin::new(rules.clone()).router();
        assert_eq!(call(&layer, "a", 200).await.unwrap(), 200);
        act(&router, "open").await;
        for changed in ["consecutive_failures = 2", "max_keys = 7"] {
            assert_eq!(rules.replace(parse(changed)), Ok(Reload::Changed));
            assert!(call(&layer, "a", 200).await.is_err(), "{changed}");
            assert!(call(&layer, changed, 200).await.is_err(), "{changed}");
            assert_eq!(status(&rules).details["by_hand"], "forced open");
        }
        act(&router, "metrics_only").await;
        assert_eq!(rules.replace(parse("probes = 2")), Ok(Reload::Changed));
        assert_eq!(status(&rules).details["by_hand"], "metrics only");
        assert_eq!(act(&router, "reset").await.1, "automatic");
        assert_eq!(call(&layer, "newest", 200).await.unwrap(), 200);
    }

    #[tokio::test(start_paused = true)]
    async fn a_mode_by_hand_survives_a_change_of_what_calls_are_told_apart_by() {
        let of = |by: &str| {
            let text =
                format!("[upstream.one]\nretry = false\ncircuit_breaker = {{ {by} probes = 1 }}");
            Document::parse("test", &text, Format::Toml).unwrap()
        };
        let keys = [
            "",
            "by = \"header:x-host\",",
            "by = \"header:x-status\",",
            "",
        ];
        for (action, state) in [("open", "forced open"), ("disable", "disabled")] {
            let rules = Rules::new(of(keys[0])).unwrap();
            let layer = rules.upstream("one").unwrap();
            let router = Admin::new(rules.clone()).router();
            act(&router, action).await;
            for by in &keys[1..] {
                assert_eq!(rules.replace(of(by)), Ok(Reload::Changed));
                let passes = call(&layer, "a", 200).await.is_ok();
                assert_eq!(passes, action == "disable", "{action} {by}");
                let details = status(&rules).details;
                let told = details.get("by_hand").or(details.get("state"));
                assert_eq!(told, Some(&json!(state)), "{by}");
            }
            assert_eq!(act(&router, "reset").await.1, "closed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn in_shadow_by_hand_a_policy_stays_until_the_file_says_something_about_it() {
        let rules = Rules::new(parse("consecutive_failures = 1")).unwrap();
        let router = Admin::new(rules.clone()).router();
        let enforced = |rules: &Rules| status(rules).enforced;
        let body = json!({ "policy": BREAKER, "shadow": true });
        post(&router, "/shadow", body).await;
        assert!(!enforced(&rules));
        // Neither a change of its settings, nor saying what is so anyway, nor a bar or a key.
        for text in [
            "consecutive_failures = 2",
            "consecutive_failures = 2, shadow = false",
            "consecutive_failures = 2, max_keys = 9",
        ] {
            assert_eq!(rules.replace(parse(text)), Ok(Reload::Changed));
            assert!(!enforced(&rules), "{text}");
        }
        // The file says that it is in shadow, and then that it is not.
        rules.replace(parse("shadow = true")).unwrap();
        assert!(!enforced(&rules));
        rules.replace(parse("probes = 1")).unwrap();
        assert!(enforced(&rules));
        // And the other way round.
        rules.replace(parse("shadow = true")).unwrap();
        let body = json!({ "policy": BREAKER, "shadow": false });
        post(&router, "/shadow", body).await;
        rules
            .replace(parse("shadow = true, probes = 2, consecutive_failures = 3"))
            .unwrap();
        assert!(enforced(&rules));
        rules.replace(parse("probes = 2")).unwrap();
        assert!(enforced(&rules));
        rules.replace(parse("shadow = true")).unwrap();
        assert!(!enforced(&rules));
    }
}
