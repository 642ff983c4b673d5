//! How long a file is followed. It counts threads, so it is alone in its process.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use buttress_config::Rules;

#[test]
fn watching_ends_with_the_last_who_goes_by_the_rules() {
    let path = std::env::temp_dir().join(format!("buttress-ends-{}.toml", std::process::id()));
    std::fs::write(&path, "").unwrap();
    let rules = Rules::watch(&path).unwrap();
    let server = rules.server();
    drop(rules);
    wait_for(1, "a layer is enough");
    drop(server);
    wait_for(0, "the thread goes on");
    std::fs::remove_file(&path).unwrap();
}

/// Waits until so many threads follow files.
fn wait_for(wanted: usize, otherwise: &str) {
    // The thread ends in its own time.
    for _ in 0..1_000_000 {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks.filter_map(|task| {
            let name = task.ok()?.path().join("comm");
            std::fs::read_to_string(name).ok()
        });
        if names
            .filter(|name| name.trim() == "buttress-config")
            .count()
            == wanted
        {
            return;
        }
        std::thread::yield_now();
    }
    panic!("{otherwise}");
}
