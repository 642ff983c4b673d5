//! Watching goes on when a look at the file panics. Events go to one subscriber for the process, so
//! it is alone in its process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use buttress_config::Rules;
use parking_lot::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// A subscriber that panics at the first event, and at the one that tells of that, too.
struct Fragile {
    heard: Sender<String>,
    panics: Mutex<u32>,
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

impl Subscriber for Fragile {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("buttress_config")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut message = Message(String::new());
        event.record(&mut message);
        self.heard.send(message.0).unwrap();
        let mut panics = self.panics.lock();
        if *panics > 0 {
            *panics -= 1;
            panic!("the disk of the log is full");
        }
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn a_look_that_panics_is_told_and_watching_goes_on() {
    let (heard, events) = channel();
    let panics = Mutex::new(2);
    tracing::subscriber::set_global_default(Fragile { heard, panics }).unwrap();
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
            assert!(event.ends_with("the disk of the log is full"), "{event}");
        }
    }
    std::fs::remove_file(&path).unwrap();
}
