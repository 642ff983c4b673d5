//! A task of the router for operators that panics. Events go to one subscriber for the process, so it is
//! alone in its process.
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

use asking::{BREAKER, ask, post};
use buttress_config::{Admin, Rules};
use log::Log;
use serde_json::json;
use std::sync::mpsc::channel;

#[tokio::test]
async fn what_failed_is_in_the_log() {
    let (heard, events) = channel();
    // It panics when it is told of the change.
    let log = Log(move |event: String| {
        let panics = event.starts_with("changed by hand");
        heard.send(event).unwrap();
        assert!(!panics, "the disk of the log is full");
    });
    tracing::subscriber::set_global_default(log).unwrap();
    let rules = Rules::from_toml("[upstream.payments]").unwrap();
    let router = Admin::new(rules).router();
    let open = json!({ "policy": BREAKER, "action": "open" });
    let (status, answer) = ask(&router, post("/breaker", open)).await;
    assert_eq!(
        (status.as_u16(), &answer["title"]),
        (500, &json!("it failed"))
    );
    assert!(events.recv().unwrap().starts_with("changed by hand"));
    let event = events.recv().unwrap();
    for part in [
        "a request to the router for operators failed",
        "the disk of the log",
        "ERROR",
    ] {
        assert!(event.contains(part), "{part} in {event}");
    }
}
