//! A short run of the example about overload, over real sockets. What it reaches depends on the
//! machine, so that is tested on virtual time, in the layers' own tests.
#![cfg(unix)]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use common::process::built;
use serde_json::Value;
use std::collections::BTreeSet;

const LOADS: [f64; 5] = [0.5, 1.0, 2.0, 5.0, 10.0];

#[tokio::test]
async fn a_run_says_what_came_of_it_at_each_load() {
    let name = format!("buttress-overload-{}.svg", std::process::id());
    let svg = std::env::temp_dir().join(name);
    let output = built("overload")
        .args(["--seconds", "10", "--json", "--svg"])
        .arg(&svg)
        .output()
        .await
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let picture = std::fs::read_to_string(&svg).unwrap();
    std::fs::remove_file(&svg).unwrap();
    assert!(picture.starts_with("<svg ") && picture.trim_end().ends_with("</svg>"));
    assert!(
        !picture.contains("NaN") && !picture.contains("inf"),
        "{picture}"
    );

    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter(|line| line.starts_with('{'));
    let runs: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let of = |run: &Value| (run["load"].as_f64(), run["protected"].as_bool());
    let expected = [false, true].map(|layers| LOADS.map(|load| (Some(load), Some(layers))));
    assert_eq!(runs.iter().map(of).collect::<Vec<_>>(), expected.concat());
    let fields = [
        "load",
        "protected",
        "goodput_of_peak",
        "p99_of_unloaded",
        "refusal_us",
    ];
    for run in &runs {
        let object = run.as_object().unwrap();
        let names: BTreeSet<&str> = object.keys().map(String::as_str).collect();
        assert_eq!(names, BTreeSet::from(fields));
        let goodput = run["goodput_of_peak"].as_f64().unwrap();
        assert!((0.0..=1.0).contains(&goodput), "{run}");
    }
    assert_eq!(runs[4]["refusal_us"], Value::Null, "nobody refuses");
}

#[tokio::test]
async fn what_it_does_not_know_it_refuses_by_name() {
    for arguments in [["--seconds", "4"], ["--seconds", "long"], ["--fast", "1"]] {
        let output = built("overload").args(arguments).output().await.unwrap();
        assert!(!output.status.success());
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(message.contains(arguments[0]), "{message}");
    }
}
