//! What operators see and change.
#![cfg(feature = "admin")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::{Body, to_bytes};
use buttress_config::{Admin, Rules};
use http::{Request, StatusCode, header};
use serde_json::{Value, json};
use tower::ServiceExt;

const FILE: &str = r#"
[[server.route]]
match = { method = "GET", path = "/search" }
bulkhead = 7

[upstream.payments]
retry = { attempts = 2 }
"#;

const BREAKER: &str = "upstream.payments/circuit_breaker";

fn router() -> Router {
    Admin::new(Rules::from_toml(FILE).unwrap()).router()
}

async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .unwrap()
        .clone();
    let expected = if status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    assert_eq!(kind, expected, "{status}");
    let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn post(path: &str, body: &Value) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

#[tokio::test]
async fn policies_are_listed_with_how_they_do() {
    let (status, answer) = ask(&router(), get("/policies")).await;
    assert_eq!(status, 200);
    let policies = answer["policies"].as_array().unwrap();
    let of = |name: &str| {
        policies
            .iter()
            .find(|policy| policy["policy"] == name)
            .unwrap()
    };
    let bulkhead = of("route GET /search/bulkhead");
    assert_eq!(
        (&bulkhead["limit"], &bulkhead["in_flight"]),
        (&json!(7), &json!(0))
    );
    assert_eq!(of(BREAKER)["state"], "closed");
    assert_eq!(of("server.defaults/pressure")["kind"], "pressure");
}

#[tokio::test]
async fn the_effective_configuration_has_the_defaults_filled_in() {
    let (status, answer) = ask(&router(), get("/config")).await;
    assert_eq!(status, 200);
    assert_eq!(answer["routes"][0]["policies"]["bulkhead"]["limit"], 7);
    assert_eq!(
        answer["routes"][0]["policies"]["deadline"]["at_most"],
        "30s"
    );
    assert_eq!(answer["upstreams"]["payments"]["retry"]["attempts"], 2);
    assert_eq!(answer["upstreams"]["payments"]["timeout"]["headers"], "10s");
}

#[tokio::test]
async fn a_breaker_is_opened_and_closed_by_hand() {
    let router = router();
    for (action, before, after) in [
        ("open", "closed", "forced open"),
        ("close", "forced open", "closed"),
        ("metrics_only", "closed", "metrics only"),
        ("disable", "metrics only", "disabled"),
        ("reset", "disabled", "closed"),
    ] {
        let body = json!({ "policy": BREAKER, "action": action });
        let (status, answer) = ask(&router, post("/breaker", &body)).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["before"], &answer["after"]),
            (&json!(before), &json!(after))
        );
    }
}

#[tokio::test]
async fn a_policy_is_put_in_shadow_and_out_of_it() {
    let router = router();
    for (shadow, before, after) in [(true, "enforced", "shadow"), (false, "shadow", "enforced")] {
        let body = json!({ "policy": "route GET /search/bulkhead", "shadow": shadow });
        let (status, answer) = ask(&router, post("/shadow", &body)).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(
            (&answer["before"], &answer["after"]),
            (&json!(before), &json!(after))
        );
    }
}

#[tokio::test]
async fn reloading_reads_the_file_again() {
    let path = std::env::temp_dir().join(format!("buttress-admin-{}.toml", std::process::id()));
    std::fs::write(&path, FILE).unwrap();
    let router = Admin::new(Rules::load(&path).unwrap()).router();
    let (status, answer) = ask(&router, post("/reload", &json!({}))).await;
    assert_eq!((status.as_u16(), &answer["changed"]), (200, &json!(false)));
    std::fs::write(&path, "# nothing").unwrap();
    let (status, answer) = ask(&router, post("/reload", &json!({}))).await;
    assert_eq!((status.as_u16(), &answer["changed"]), (200, &json!(true)));
    std::fs::write(&path, "nonsense = 1").unwrap();
    let (status, answer) = ask(&router, post("/reload", &json!({}))).await;
    assert_eq!(status, 422);
    assert!(
        answer["detail"].as_str().unwrap().contains("nonsense"),
        "{answer}"
    );
    std::fs::remove_file(&path).unwrap();
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_said() {
    let router = router();
    let open = json!({ "policy": BREAKER, "action": "open" });
    let plain = Request::post("/breaker")
        .body(Body::from(open.to_string()))
        .unwrap();
    let long = json!({ "policy": "x".repeat(5_000), "action": "open" });
    for (request, expected) in [
        (get("/breaker"), 405),
        (get("/nothing"), 404),
        (
            Request::delete("/policies").body(Body::empty()).unwrap(),
            405,
        ),
        (plain, 415),
        (
            post(
                "/breaker",
                &json!({ "policy": BREAKER, "action": "explode" }),
            ),
            400,
        ),
        (post("/breaker", &json!({ "action": "open" })), 400),
        (
            post(
                "/breaker",
                &json!({ "policy": "route GET /search/bulkhead", "action": "open" }),
            ),
            404,
        ),
        (post("/shadow", &json!({ "policy": BREAKER })), 400),
        (post("/breaker", &long), 413),
        (post("/reload", &json!({})), 422),
    ] {
        let shown = format!("{request:?}");
        let (status, answer) = ask(&router, request).await;
        assert_eq!(status.as_u16(), expected, "{shown}: {answer}");
        assert_eq!(answer["status"], expected);
    }
    let near = json!({ "policy": "upstream.payment/circuit_breaker", "action": "open" });
    let (_, answer) = ask(&router, post("/breaker", &near)).await;
    assert!(
        answer["detail"].as_str().unwrap().contains(BREAKER),
        "{answer}"
    );
    let (_, policies) = ask(&router, get("/policies")).await;
    assert!(
        !policies.to_string().contains("forced open"),
        "nothing of it did anything"
    );
}

#[tokio::test]
async fn with_a_token_nobody_gets_in_without_it() {
    let admin = Admin::new(Rules::from_toml(FILE).unwrap());
    let router = admin.token("oncall", "secret").unwrap().router();
    let with = |token: Option<&str>, mut request: Request<Body>| {
        if let Some(token) = token {
            let value = format!("Bearer {token}").parse().unwrap();
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        request
    };
    let open = json!({ "policy": BREAKER, "action": "open" });
    for token in [None, Some("secre"), Some("secrets"), Some("")] {
        for request in [get("/policies"), get("/nothing"), post("/breaker", &open)] {
            let response = router.clone().oneshot(with(token, request)).await.unwrap();
            assert_eq!(response.status(), 401, "{token:?}");
            assert_eq!(response.headers()[header::WWW_AUTHENTICATE], "Bearer");
        }
    }
    let (status, answer) = ask(&router, with(Some("secret"), post("/breaker", &open))).await;
    assert_eq!(
        (status.as_u16(), &answer["before"]),
        (200, &json!("closed"))
    );
}
