//! What is logged of reloads by calls. Events go to one subscriber for the process, so it is alone in its
//! process.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

#[path = "common/log.rs"]
mod log;

use buttress_config::{Document, Format, Reload, Rules};
use log::Log;
use std::sync::mpsc::channel;

fn rules_of(number: u32) -> String {
    format!("[server.defaults]\nbulkhead = {number}\n")
}

/// With one that is followed, too: what a call has found is not told again.
#[test]
fn each_reload_that_comes_to_something_is_one_event() {
    let (heard, events) = channel();
    let log = Log(move |event| heard.send(event).unwrap());
    tracing::subscriber::set_global_default(log).unwrap();
    let directory = std::env::temp_dir().join(format!("buttress-log-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let (path, next) = (directory.join("rules.toml"), directory.join("next"));
    std::fs::write(&path, rules_of(1)).unwrap();
    let rules = Rules::load(&path).unwrap();
    let told = |parts: &[&str]| {
        let event = events.try_recv().unwrap();
        for part in ["who=\"call\""].iter().chain(parts) {
            assert!(event.contains(part), "{part} in {event}");
        }
        assert!(events.try_recv().is_err(), "once");
    };
    let nothing = || assert!(events.try_recv().is_err());

    assert_eq!(rules.reload(), Ok(Reload::Unchanged));
    nothing();
    std::fs::write(&path, rules_of(2)).unwrap();
    assert_eq!(rules.reload(), Ok(Reload::Changed));
    let change = "bulkhead { limit = 1 } -> { limit = 2 }";
    told(&[
        "INFO",
        "new rules are in force",
        "rules.toml",
        "before=1 after=2",
        change,
    ]);

    std::fs::write(&path, "nonsense = 1").unwrap();
    assert!(rules.reload().is_err());
    told(&[
        "ERROR",
        "the rules stay as they are",
        "rules.toml",
        "nonsense",
    ]);
    assert!(rules.reload().is_err());
    nothing();
    std::fs::remove_file(&path).unwrap();
    assert!(rules.reload().is_err());
    told(&[
        "WARN",
        "the rules stay as they are",
        "rules.toml",
        "cannot be read",
    ]);
    for _ in 0..3 {
        assert!(rules.reload().is_err());
        nothing();
    }
    std::fs::write(&path, rules_of(2)).unwrap();
    assert_eq!(rules.reload(), Ok(Reload::Unchanged));
    told(&["INFO", "the file is well again", "rules.toml"]);

    let document = |number| Document::parse("by hand", &rules_of(number), Format::Toml).unwrap();
    assert_eq!(rules.replace(document(2)), Ok(Reload::Unchanged));
    nothing();
    assert_eq!(rules.replace(document(3)), Ok(Reload::Changed));
    told(&["INFO", "file=by hand", "before=2 after=3", "{ limit = 3 }"]);

    // The same text may be a trouble that it was not before.
    let nothing_in_it = Document::parse("by hand", "", Format::Toml).unwrap();
    assert_eq!(rules.replace(nothing_in_it), Ok(Reload::Changed));
    told(&["before=3 after=4"]);
    std::fs::write(&path, "").unwrap();
    assert_eq!(rules.reload(), Ok(Reload::Unchanged));
    nothing();
    assert_eq!(rules.replace(document(3)), Ok(Reload::Changed));
    told(&["before=4 after=5"]);
    assert!(rules.reload().is_err());
    told(&["ERROR", "is empty"]);
    std::fs::write(&path, rules_of(3)).unwrap();
    assert_eq!(rules.reload(), Ok(Reload::Unchanged));
    told(&["INFO", "the file is well again"]);

    // One from nowhere has nothing to tell of.
    assert!(Rules::from_toml("").unwrap().reload().is_err());
    nothing();

    let rules = Rules::watch(&path).unwrap();
    for number in 4..9 {
        std::fs::write(&next, rules_of(number)).unwrap();
        std::fs::rename(&next, &path).unwrap();
        // Whoever is first tells it.
        let _ = rules.reload();
        let event = events.recv().unwrap();
        assert!(
            event.contains(&format!("{{ limit = {number} }}")),
            "{event}"
        );
    }
    nothing();
    std::fs::remove_dir_all(&directory).unwrap();
}
