//! What is logged of changes by hand. Events are the process's, so nothing else may be logged beside
//! a test, and one comes after the other.
#![cfg(feature = "admin")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

#[path = "admin/asking.rs"]
mod asking;
#[path = "common/log.rs"]
mod log;

use asking::{BREAKER, with_token};
use axum::Router;
use axum::body::Body;
use buttress_config::{Admin, Rules};
use http::{Request, StatusCode, header};
use log::Log;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::path::PathBuf;

const FILE: &str = r#"
[[server.route]]
match = { method = "GET", path = "/search" }
bulkhead = 7

[upstream.payments]
"#;

static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static EVENTS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// What is logged while `work` is done.
async fn logged<T>(work: impl Future<Output = T>) -> (T, Vec<String>) {
    static LISTENING: std::sync::Once = std::sync::Once::new();
    let _alone = ONE_AT_A_TIME.lock().await;
    LISTENING.call_once(|| {
        tracing::subscriber::set_global_default(Log(|event| EVENTS.lock().push(event))).unwrap();
    });
    EVENTS.lock().clear();
    let done = work.await;
    (done, std::mem::take(&mut *EVENTS.lock()))
}

fn router(rules: Rules) -> Router {
    let admin = Admin::new(rules).token("oncall", "t0ken").unwrap();
    admin.router()
}

fn post(path: &str, body: impl ToString) -> Request<Body> {
    with_token("t0ken", asking::post(path, body))
}

async fn status(router: &Router, request: Request<Body>) -> StatusCode {
    asking::ask(router, request).await.0
}

/// The one event of a request that changes something, which must have all of these parts.
async fn event_of(router: &Router, path: &str, body: Value, parts: &[&str]) {
    let (status, events) = logged(status(router, post(path, body))).await;
    assert_eq!(status, 200);
    told(&events, parts);
}

fn told(events: &[String], parts: &[&str]) {
    let [event] = events else {
        panic!("{events:?}");
    };
    for part in ["who=oncall", "what=\""].iter().chain(parts) {
        assert!(event.contains(part), "{part} in {event}");
    }
    assert!(!event.contains("t0ken"), "{event}");
}

#[tokio::test]
async fn a_breaker_forced_and_a_policy_put_in_shadow_are_told() {
    let router = router(Rules::from_toml(FILE).unwrap());
    for (action, before, after) in [
        ("open", "before=closed", "after=forced open"),
        ("reset", "before=forced open", "after=closed"),
    ] {
        let body = json!({ "policy": BREAKER, "action": action });
        let what = ["INFO", "what=\"breaker\"", BREAKER, before, after];
        event_of(&router, "/breaker", body, &what).await;
    }
    for (shadow, before, after) in [
        (true, "before=enforced", "after=shadow"),
        (false, "before=shadow", "after=enforced"),
    ] {
        let body = json!({ "policy": "route GET /search/bulkhead", "shadow": shadow });
        let what = ["what=\"shadow\"", "search/bulkhead", before, after];
        event_of(&router, "/shadow", body, &what).await;
    }
}

#[tokio::test]
async fn what_changes_nothing_is_not_told() {
    let router = router(Rules::from_toml(FILE).unwrap());
    let change = |path: &'static str, body: Value| {
        let router = router.clone();
        async move { logged(status(&router, post(path, body))).await }
    };
    let action = |action: &str| json!({ "policy": BREAKER, "action": action });
    let shadow = |shadow: bool| json!({ "policy": BREAKER, "shadow": shadow });
    for (path, body, told) in [
        ("/breaker", action("open"), 1),
        ("/breaker", action("open"), 0),
        ("/breaker", action("disable"), 1),
        ("/breaker", action("disable"), 0),
        ("/shadow", shadow(false), 0),
        ("/shadow", shadow(true), 1),
        ("/shadow", shadow(true), 0),
    ] {
        let (status, events) = change(path, body.clone()).await;
        assert_eq!(
            (status.as_u16(), events.len()),
            (200, told),
            "{body}: {events:?}"
        );
    }
    // It begins to count anew, though it is in no other state.
    assert_eq!(change("/breaker", action("close")).await.1.len(), 1);
    for again in ["close", "reset"] {
        let (_, events) = change("/breaker", action(again)).await;
        self::told(&events, &["begun anew by hand", BREAKER, "INFO"]);
    }
}

struct File(PathBuf);

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[tokio::test]
async fn a_reload_tells_what_it_changed_or_what_was_wrong_and_that_it_is_well_again() {
    let name = format!("buttress-admin-log-{}.toml", std::process::id());
    let file = File(std::env::temp_dir().join(&name));
    std::fs::write(&file.0, FILE).unwrap();
    let router = router(Rules::load(&file.0).unwrap());

    nothing_of(&router).await;

    let other = FILE.replace("= 7", "= 9").replace("payments", "orders");
    std::fs::write(&file.0, &other).unwrap();
    let changed = [
        "INFO",
        "what=\"reload\"",
        &name,
        "before=1",
        "after=2",
        "changed route GET /search: bulkhead { limit = 7 } -> { limit = 9 }",
        "added upstream.orders",
        "removed upstream.payments",
    ];
    event_of(&router, "/reload", json!({}), &changed).await;

    let lines: Vec<_> = (0..1_000).map(|n| format!("nonsense{n} = 1\n")).collect();
    std::fs::write(&file.0, lines.concat()).unwrap();
    let (status, events) = logged(status(&router, post("/reload", "{}"))).await;
    assert_eq!(status, 422);
    let failed = [
        "WARN",
        "what=\"reload\"",
        &name,
        "nonsense0",
        "and 995 more",
    ];
    told(&events, &failed);
    assert!(events[0].len() < 4_000, "{}", events[0].len());
    assert_eq!(events[0].matches("`nonsense0`").count(), 1);

    std::fs::write(&file.0, other).unwrap();
    let well = ["INFO", "what=\"reload\"", &name, "the file is well again"];
    event_of(&router, "/reload", json!({}), &well).await;
    nothing_of(&router).await;
}

/// A reload that changes nothing tells nothing.
async fn nothing_of(router: &Router) {
    let (status, events) = logged(status(router, post("/reload", "{}"))).await;
    assert_eq!((status.as_u16(), events), (200, vec![]));
}

/// Who may change nothing may not fill the log either, and neither may who is mistaken.
#[tokio::test]
async fn a_request_that_is_refused_changes_nothing_and_logs_nothing() {
    let rules = Rules::from_toml(FILE).unwrap();
    let router = router(rules.clone());
    let open = json!({ "policy": BREAKER, "action": "open" }).to_string();
    let refused = [
        (post("/breaker", open.clone()), Some("Bearer wrong"), 401),
        (post("/reload", "{}"), Some(""), 401),
        (post("/shadow", open.clone()), Some("Basic t0ken"), 401),
        (post("/breaker", "{"), None, 400),
        (post("/breaker", "[]"), None, 400),
        (post("/breaker", "x".repeat(5_000)), None, 413),
        (post("/breaker", open.replace("open", "explode")), None, 400),
        (
            post("/breaker", open.replace("payments", "nobody")),
            None,
            404,
        ),
        (post("/shadow", open), None, 400),
        (post("/nothing", "{}"), None, 404),
    ];
    let before = rules.policies();
    let (statuses, events) = logged(async {
        let mut statuses = Vec::new();
        for (mut request, token, expected) in refused {
            if let Some(token) = token {
                let token = token.parse().unwrap();
                request.headers_mut().insert(header::AUTHORIZATION, token);
            }
            statuses.push((status(&router, request).await.as_u16(), expected));
        }
        statuses
    })
    .await;
    for (status, expected) in statuses {
        assert_eq!(status, expected);
    }
    assert_eq!(events, Vec::<String>::new());
    let state = |policies: Vec<buttress_config::PolicyStatus>| {
        let state = policies.into_iter();
        let state = state.map(|policy| (policy.enforced, policy.details.get("state").cloned()));
        state.collect::<Vec<_>>()
    };
    assert_eq!(state(rules.policies()), state(before));
}
