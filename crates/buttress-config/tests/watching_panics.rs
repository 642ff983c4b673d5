//! Watching goes on when a look at the file panics. Events go to one subscriber for the process, so
//! it is alone in its process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

#[path = "common/log.rs"]
mod log;

use buttress_config::Rules;
use log::Log;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

#[test]
fn a_look_that_panics_is_told_and_watching_goes_on() {
    let (heard, events) = channel();
    // It panics at the first event, and at the one that tells of that, too.
    let told = AtomicU32::new(0);
    let log = Log(move |event| {
        heard.send(event).unwrap();
        let panics = told.fetch_add(1, Ordering::Relaxed) < 2;
        assert!(!panics, "the disk of the log is full");
    });
    tracing::subscriber::set_global_default(log).unwrap();
    let next = |beginning: &str| {
        let event = events.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(event.starts_with(beginning), "{event}");
        event
    };
    let rules_of = |limit: u32| format!("[server.defaults]\nbulkhead = {limit}\n");
    let path = std::env::temp_dir().join(format!("buttress-panics-{}.toml", std::process::id()));
    std::fs::write(&path, rules_of(1)).unwrap();
    let rules = Rules::watch(&path).unwrap();
    for limit in 2..5 {
        std::fs::write(&path, rules_of(limit)).unwrap();
        next("new rules are in force");
        assert_eq!(rules.generation(), u64::from(limit));
        if limit == 2 {
            let event = next("a look at the file panicked");
            assert!(event.contains("the disk of the log is full"), "{event}");
        }
    }
    std::fs::remove_file(&path).unwrap();
}
