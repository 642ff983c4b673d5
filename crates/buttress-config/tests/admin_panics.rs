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
use parking_lot::Mutex;
use serde_json::json;
use std::sync::mpsc::{TryRecvError, channel};
use std::time::Duration;
use tower::ServiceExt;

#[tokio::test]
async fn what_failed_is_in_the_log_also_if_who_asked_has_left() {
    let (heard, events) = channel();
    let (go_on, told) = channel();
    let told = Mutex::new(told);
    // It panics when it is told of the change, as soon as it may.
    let log = Log(move |event: String| {
        let panics = event.starts_with("changed by hand");
        heard.send(event).unwrap();
        if panics {
            // Whether it was told, or nobody could.
            let _ = told.lock().recv_timeout(LONG);
            panic!("the disk of the log is full");
        }
    });
    tracing::subscriber::set_global_default(log).unwrap();
    let failed = || {
        let event = events.recv_timeout(LONG).unwrap();
        for part in [
            "a request to the router for operators failed",
            "the disk of the log",
            "ERROR",
        ] {
            assert!(event.contains(part), "{part} in {event}");
        }
        assert_eq!(events.try_recv(), Err(TryRecvError::Empty), "once");
    };
    let rules = Rules::from_toml("[upstream.payments]").unwrap();
    let router = Admin::new(rules).router();
    let action = |action: &str| post("/breaker", json!({ "policy": BREAKER, "action": action }));

    go_on.send(()).unwrap();
    let (status, answer) = ask(&router, action("open")).await;
    assert_eq!(
        (status.as_u16(), &answer["title"]),
        (500, &json!("it failed"))
    );
    assert!(events.recv().unwrap().starts_with("changed by hand"));
    failed();

    let asked = tokio::spawn(router.oneshot(action("close")));
    let change = loop {
        match events.try_recv() {
            Ok(event) => break event,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(change.starts_with("changed by hand"), "{change}");
    asked.abort();
    assert!(asked.await.unwrap_err().is_cancelled());
    go_on.send(()).unwrap();
    failed();
}

/// For what is waited for, so that a test ends.
const LONG: Duration = Duration::from_secs(60);
