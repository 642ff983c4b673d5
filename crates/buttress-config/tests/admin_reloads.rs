//! What operators change while the file changes too.
#![cfg(feature = "admin")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use axum::body::{Body, to_bytes};
use buttress_config::{Admin, Document, Format, Reload, Rules};
use http::{Request, header};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tower::ServiceExt;

const FILE: &str = "[upstream.payments]\n";

const BREAKER: &str = "upstream.payments/circuit_breaker";

#[tokio::test]
async fn a_change_by_hand_survives_reloads_at_the_same_time() {
    let rules = Rules::from_toml(FILE).unwrap();
    let router = Admin::new(rules.clone()).router();
    let done = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&done);
    let reloads = std::thread::spawn(move || {
        let mut number = 1;
        while !until.load(Ordering::Relaxed) {
            number = number % 50 + 1;
            let breaker = format!("circuit_breaker = {{ consecutive_failures = {number} }}");
            let text = format!("{FILE}{breaker}");
            let document = Document::parse("test", &text, Format::Toml).unwrap();
            assert_eq!(rules.replace(document), Ok(Reload::Changed));
        }
    });
    let mut lost = 0;
    for _ in 0..300 {
        for (action, before) in [("open", "closed"), ("close", "forced open")] {
            let body = json!({ "policy": BREAKER, "action": action });
            let request = Request::post("/breaker")
                .header(header::CONTENT_TYPE, "application/json")
                .body(Body::from(body.to_string()))
                .unwrap();
            let response = router.clone().oneshot(request).await.unwrap();
            let answer = to_bytes(response.into_body(), 1 << 20).await.unwrap();
            let answer: Value = serde_json::from_slice(&answer).unwrap();
            lost += u32::from(answer["before"] != before);
        }
    }
    done.store(true, Ordering::Relaxed);
    reloads.join().unwrap();
    assert_eq!(lost, 0);
}
