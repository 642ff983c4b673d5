use crate::asking::{BREAKER, ask, get, post, with_token};
use axum::Router;
use axum::body::Body;
use buttress_config::{Admin, Rules};
use http::{Request, header};
use serde_json::json;

const FILE: &str = r#"
[[server.route]]
match = { method = "GET", path = "/search" }
bulkhead = 7

[upstream.payments]
retry = { attempts = 2 }
"#;

fn router() -> Router {
    Admin::new(Rules::from_toml(FILE).unwrap()).router()
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
    let (status, answer) = ask(&router, post("/reload", json!({}))).await;
    assert_eq!((status.as_u16(), &answer["changed"]), (200, &json!(false)));
    std::fs::write(&path, "# nothing").unwrap();
    let (status, answer) = ask(&router, post("/reload", json!({}))).await;
    assert_eq!((status.as_u16(), &answer["changed"]), (200, &json!(true)));
    std::fs::write(&path, "nonsense = 1").unwrap();
    let (status, answer) = ask(&router, post("/reload", json!({}))).await;
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
                json!({ "policy": BREAKER, "action": "explode" }),
            ),
            400,
        ),
        (post("/breaker", json!({ "action": "open" })), 400),
        (
            post(
                "/breaker",
                json!({ "policy": "route GET /search/bulkhead", "action": "open" }),
            ),
            404,
        ),
        (post("/shadow", json!({ "policy": BREAKER })), 400),
        (post("/breaker", &long), 413),
        (post("/reload", json!({})), 422),
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
    let open = json!({ "policy": BREAKER, "action": "open" });
    for token in [None, Some("secre"), Some("secrets"), Some("")] {
        for request in [get("/policies"), get("/nothing"), post("/breaker", &open)] {
            let request = match token {
                None => request,
                Some(token) => with_token(token, request),
            };
            assert_eq!(ask(&router, request).await.0, 401, "{token:?}");
        }
    }
    let request = with_token("secret", post("/breaker", &open));
    let (status, answer) = ask(&router, request).await;
    assert_eq!(
        (status.as_u16(), &answer["before"]),
        (200, &json!("closed"))
    );
}

/// Who opens one in an emergency must see that it does nothing.
#[tokio::test]
async fn a_breaker_in_shadow_says_that_it_is_not_obeyed() {
    let router = router();
    for (shadow, enforced) in [(true, false), (false, true)] {
        let body = json!({ "policy": BREAKER, "shadow": shadow });
        assert_eq!(ask(&router, post("/shadow", body)).await.0, 200);
        let body = json!({ "policy": BREAKER, "action": "open" });
        let (_, answer) = ask(&router, post("/breaker", body)).await;
        assert_eq!(answer["after"], "forced open");
        assert_eq!(answer["enforced"], enforced);
    }
}

/// A page whose name is made to point here is of this very origin, and its browser says the name.
#[tokio::test]
async fn without_a_token_only_addresses_and_names_that_are_said_are_answered() {
    let admin = || Admin::new(Rules::from_toml(FILE).unwrap());
    let open = json!({ "policy": BREAKER, "action": "open" });
    let to = |host: &str, mut request: Request<Body>| {
        request
            .headers_mut()
            .insert(header::HOST, host.parse().unwrap());
        request
    };
    let named = || admin().hosts(["admin.internal"]).unwrap();
    let with_token_too = || admin().token("oncall", "secret").unwrap();
    for (router, host, expected) in [
        (admin().router(), "evil.test:9090", 421),
        (admin().router(), "admin.internal", 421),
        (admin().router(), "127.0.0.1:9090", 200),
        (admin().router(), "localhost:9090", 200),
        (named().router(), "evil.test", 421),
        (named().router(), "admin.internal:9090", 200),
        (named().router(), "[::1]:9090", 200),
        (with_token_too().router(), "admin.internal", 200),
    ] {
        for request in [get("/policies"), post("/breaker", &open)] {
            let request = with_token("secret", to(host, request));
            assert_eq!(ask(&router, request).await.0, expected, "{host}");
        }
    }
    assert!(admin().hosts(["admin.internal:9090"]).is_err());
}
