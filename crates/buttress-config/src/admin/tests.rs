use super::Admin;
use crate::Rules;
use axum::Router;
use axum::body::Body;
use http::{Request, StatusCode, header};
use serde_json::json;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tower::ServiceExt;

const FILE: &str = "[server.defaults]\nbulkhead = 7";
const BULKHEAD: &str = "server.defaults/bulkhead";

/// A reload that is putting something into force, and ends when it is told.
fn busy(rules: &Rules) -> (Sender<()>, JoinHandle<bool>) {
    let rules = rules.clone();
    let (end, told) = channel();
    let (begun, begins) = channel();
    let thread = std::thread::spawn(move || {
        rules.by_hand(|_| {
            begun.send(()).unwrap();
            // Whether it was told, or nobody could.
            told.recv_timeout(Duration::from_secs(60)).is_ok()
        })
    });
    begins.recv().unwrap();
    (end, thread)
}

fn shadow(router: &Router) -> impl Future<Output = StatusCode> + Send + 'static {
    let body = json!({ "policy": BULKHEAD, "shadow": true });
    let request = Request::post("/shadow")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap();
    let answer = router.clone().oneshot(request);
    async move { answer.await.unwrap().status() }
}

fn is_enforced(rules: &Rules) -> bool {
    let policies = rules.policies();
    let mut policies = policies.iter();
    policies
        .find(|policy| policy.policy == BULKHEAD)
        .unwrap()
        .enforced
}

/// The runtime has one thread. If that waited for the lock, nobody would tell the reload to end.
#[tokio::test]
async fn a_change_by_hand_that_waits_for_a_reload_keeps_no_request_waiting() {
    let rules = Rules::from_toml(FILE).unwrap();
    let router = Admin::new(rules.clone()).router();
    let (end, reload) = busy(&rules);
    let change = tokio::spawn(shadow(&router));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!change.is_finished(), "it has to wait");
    end.send(()).unwrap();
    assert_eq!(change.await.unwrap(), 200);
    assert!(reload.join().unwrap(), "it was told in time");
    assert!(!is_enforced(&rules));
}

#[tokio::test]
async fn a_change_by_hand_is_made_although_who_asked_has_gone() {
    let rules = Rules::from_toml(FILE).unwrap();
    let router = Admin::new(rules.clone()).router();
    let (end, reload) = busy(&rules);
    let change = tokio::spawn(shadow(&router));
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    change.abort();
    assert!(change.await.unwrap_err().is_cancelled());
    end.send(()).unwrap();
    assert!(reload.join().unwrap());
    while is_enforced(&rules) {
        tokio::task::yield_now().await;
    }
}
