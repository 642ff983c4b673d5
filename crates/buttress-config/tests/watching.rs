//! A file that is followed while it changes. What is seen of it is what is logged, which is for the
//! process as a whole, so there is one test for each way of changing it, one after the other.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

#[path = "common/log.rs"]
mod log;

use buttress_config::Rules;
use log::Log;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        let path = std::env::temp_dir().join(format!("buttress-watching-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn rules_of(number: u32) -> String {
    format!("[server.defaults]\nbulkhead = {number}\n")
}

/// The next event, which must begin like this. A condition on a real file system: it is waited for
/// as long as it may take.
fn heard(events: &Receiver<String>, beginning: &str) -> String {
    let event = events.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(event.starts_with(beginning), "{event}");
    event
}

#[test]
fn a_file_is_followed_however_it_changes() {
    let (sender, events) = channel();
    tracing::subscriber::set_global_default(Log(move |event| {
        let _ = sender.send(event);
    }))
    .unwrap();
    let directory = Directory::new();
    let path = directory.file("rules.toml");
    std::fs::write(&path, rules_of(1)).unwrap();
    let rules = Rules::watch(&path).unwrap();
    let in_force = |generation| {
        let event = heard(&events, "new rules are in force");
        assert_eq!(rules.generation(), generation);
        // The file's numbers are the rules'.
        let before = generation - 1;
        for part in [
            format!("before={before} after={generation}"),
            format!(
                "server.defaults: bulkhead {{ limit = {before} }} -> {{ limit = {generation} }}"
            ),
            "rules.toml".to_owned(),
        ] {
            assert!(event.contains(&part), "{part} in {event}");
        }
    };

    // Written in place.
    std::fs::write(&path, rules_of(2)).unwrap();
    in_force(2);

    // As editors do it.
    let other = directory.file(".rules.toml.swp");
    std::fs::write(&other, rules_of(3)).unwrap();
    std::fs::rename(&other, &path).unwrap();
    in_force(3);

    // Something bad is told once, however often the directory changes. Watching goes on.
    for bad in ["nonsense = 1", "nonsense = 2"] {
        std::fs::write(&path, bad).unwrap();
        heard(&events, "the rules stay as they are: error: `nonsense`");
        assert_eq!(rules.generation(), 3);
        std::fs::write(directory.file("another"), bad).unwrap();
    }
    // So is nothing at all, which may be what somebody is about to fill.
    std::fs::write(&path, "").unwrap();
    heard(&events, "the rules stay as they are: error: is empty");
    std::fs::write(directory.file("another"), "").unwrap();
    std::fs::write(&path, rules_of(4)).unwrap();
    in_force(4);

    // Taken away, and brought back.
    std::fs::remove_file(&path).unwrap();
    heard(&events, "the rules stay as they are: error: cannot be read");
    std::fs::write(&path, rules_of(5)).unwrap();
    in_force(5);

    // Well again, with nothing new.
    std::fs::remove_file(&path).unwrap();
    heard(&events, "the rules stay as they are: error: cannot be read");
    std::fs::write(&other, rules_of(5)).unwrap();
    std::fs::rename(&other, &path).unwrap();
    heard(&events, "the file is well again, and says what is in force");

    // A text that says the same is no news.
    std::fs::write(&path, format!("# a comment\n{}", rules_of(5))).unwrap();
    std::fs::write(&other, rules_of(6)).unwrap();
    std::fs::rename(&other, &path).unwrap();
    in_force(6);
    drop(rules);
    follows_a_config_map(&directory, &events);
}

/// Kubernetes exchanges a `ConfigMap` by renaming a symbolic link to the directory that has it.
fn follows_a_config_map(directory: &Directory, events: &Receiver<String>) {
    let version = |number: u32| {
        let data = directory.file(&format!("..version{number}"));
        std::fs::create_dir_all(&data).unwrap();
        std::fs::write(data.join("map.toml"), rules_of(number)).unwrap();
        data
    };
    let link = |target: &Path, name: &str| {
        let name = directory.file(name);
        std::os::unix::fs::symlink(target, &name).unwrap();
        name
    };
    link(&version(1), "..data");
    let path = link(Path::new("..data/map.toml"), "map.toml");
    let rules = Rules::watch(&path).unwrap();
    for number in 2..5 {
        let next = link(&version(number), "..data_tmp");
        std::fs::rename(next, directory.file("..data")).unwrap();
        heard(events, "new rules are in force");
        assert_eq!(rules.generation(), u64::from(number));
    }
}
