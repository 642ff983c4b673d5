//! The example `fleet`: what it says, and that its limits keep to their formulas.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use common::process::built;
use std::process::Stdio;

const INSTANCES: f64 = 4.0;
const LIMIT: f64 = 1_000.0;
const BURST: f64 = 100.0;
const SECONDS: f64 = 1.0;

/// The most that may be admitted beyond the limit's rate. While Redis is up, as `Fleet` says of
/// each mode; while it is gone, each instance has its part of the burst, which an instance that
/// comes late may still have.
fn free(mode: &str, phase: &str) -> f64 {
    let deadline = 0.020;
    match (mode, phase) {
        (_, "down") | ("exact", _) => BURST,
        ("leased", _) => BURST + 0.020 * LIMIT + INSTANCES,
        _ => BURST + (INSTANCES - 1.0) * (BURST + LIMIT * (0.100 + deadline)),
    }
}

fn number(line: &serde_json::Value, field: &str) -> f64 {
    line[field].as_f64().unwrap()
}

#[tokio::test]
async fn each_mode_keeps_to_its_formula_in_each_phase() {
    let redis = std::process::Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !redis.is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: there is no `redis-server` (Debian's package has that name)");
        return;
    }
    let mut example = built("fleet");
    let seconds = SECONDS.to_string();
    let output = example.arg("--json").env("SECONDS", seconds).output().await;
    let output = output.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let lines: Vec<serde_json::Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["mode"].as_str().unwrap(),
                line["phase"].as_str().unwrap(),
            )
        })
        .collect();
    let modes = ["exact", "leased", "synchronised"];
    let expected = modes.map(|mode| ["up", "down", "back"].map(|phase| (mode, phase)));
    assert_eq!(told, expected.as_flattened());
    for (line, (mode, phase)) in lines.iter().zip(told) {
        assert_eq!(line["limit"], 1_000);
        assert!(number(line, "added_p99_us") >= 0.0);
        // A machine that is too busy for Redis to answer in time has limits decided locally
        // meanwhile, which may begin with a burst once more.
        if line["degraded"].as_bool().unwrap() != (phase == "down") {
            eprintln!("{mode}, {phase}: the machine was too busy for its Redis");
            continue;
        }
        // What was admitted, in the time that it took.
        let took = number(line, "seconds");
        let admitted = number(line, "admitted_per_s") * took;
        let most = LIMIT * took + free(mode, phase) + 0.5 * took + 1.0;
        assert!(admitted <= most, "{line}, but {most} in {took} s");
        assert!(admitted > 0.0, "{line}");
    }
}
