//! The program, as a shell runs it.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]
#![cfg(feature = "cli")]

use std::path::PathBuf;
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_buttress-config"));
    command.args(arguments).output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file that is there for as long as a test runs.
struct File(PathBuf);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

const ROUTES: &str = "
[server.defaults]
deadline = '10s'
[policy.pool]
bulkhead = { limit = 64, waiting_room = { places = 16, longest_wait = '50ms' } }
[[server.route]]
match = { method = 'GET', path = '/users/{id}' }
use = ['pool']
timeout = '2s'
[[server.route]]
match = { path = '/users/me', host = 'api.example.com' }
pressure = false
[[server.route]]
match = { grpc = 'shop.Orders' }
[[server.route]]
match = { path = '/users/{id}' }
[upstream.payments]
timeout = '5s'
attempt_timeout = '900ms'
";

#[test]
fn check_prints_every_stack_in_order_with_its_worst_case() {
    let file = File::new("check.toml", ROUTES);
    let output = run(&["check", file.path()]);
    assert!(output.status.success(), "{}", err(&output));
    assert_eq!(err(&output), "");
    let text = out(&output);
    let first = "\
server.route[0]: GET /users/{id}
  criticality        by its defaults
  deadline           at_most = \"10s\"
  attempt            by its defaults
  pressure           priority = true
  bulkhead           limit = 64, waiting_room = { longest_wait = \"50ms\", places = 16 }  (shared: policy.pool)
  timeout            headers = \"2s\"
  worst case: 1 attempt, 2s50ms to the response's headers
";
    assert!(text.starts_with(first), "{text}");
    let last = "\
upstream.payments
  timeout            headers = \"5s\"
  retry              by its defaults
  circuit_breaker    by its defaults
  attempt_timeout    headers = \"900ms\"
  worst case: 3 attempts, 5s to the response's headers, 4s700ms unless the callee asks for longer waits
";
    assert!(text.trim_end().ends_with(last.trim_end()), "{text}");
}

#[test]
fn check_says_what_it_makes_of_a_call_of_which_only_the_time_is_said() {
    let text = "[upstream.a]\ntimeout = '900ms'\n[upstream.b]\ntimeout = '2s'\n";
    let file = File::new("derived.toml", text);
    let text = out(&run(&["check", file.path()]));
    let upstreams = "\
upstream.a
  timeout            headers = \"900ms\"
  retry              false  (calls of less than 1s are made once, unless the file says `retry`)
  circuit_breaker    by its defaults
  attempt_timeout    headers = \"900ms\"  (what the call's time leaves each attempt)
  worst case: 1 attempt, 900ms to the response's headers

upstream.b
  timeout            headers = \"2s\"
  retry              by its defaults
  circuit_breaker    by its defaults
  attempt_timeout    headers = \"616ms\"  (what the call's time leaves each attempt)
  worst case: 3 attempts, 2s to the response's headers
";
    assert!(text.trim_end().ends_with(upstreams.trim_end()), "{text}");
}

#[test]
fn check_reports_problems_and_fails() {
    let file = File::new(
        "bad.toml",
        "[server.defaults]\ntiemout = '1s'\ndeadline = 3\n",
    );
    let output = run(&["check", file.path()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(out(&output), "");
    let text = err(&output);
    assert!(
        text.contains(":2:1\n") && text.contains(":3:12\n"),
        "{text}"
    );
    assert!(text.contains("= did you mean `timeout`?"), "{text}");
    assert!(text.trim_end().ends_with("has 2 problems"), "{text}");
}

#[test]
fn explain_says_which_rule_applies_and_why() {
    let file = File::new("explain.toml", ROUTES);
    let explain = |rest: &[&str]| {
        let output = run(&[&["explain", file.path()], rest].concat());
        assert!(output.status.success(), "{}", err(&output));
        out(&output)
    };
    let text = explain(&["GET", "/users/me"]);
    assert!(
        text.starts_with("server.route[0] applies: GET /users/{id}\n"),
        "{text}"
    );
    assert!(text.contains("server.route[1] does not apply: its path fits, but not the host"));
    assert!(text.contains("server.route[2] does not apply: its path is another one"));
    assert!(text.contains("server.route[3] does not apply: it would, but server.route[0]"));

    let text = explain(&["GET", "/users/me", "--host", "api.example.com"]);
    assert!(text.starts_with("server.route[1] applies"), "{text}");

    let text = explain(&["GET", "/shop.Orders/Find", "--grpc"]);
    assert!(
        text.starts_with("no route matches, so the defaults apply\n"),
        "{text}"
    );
    assert!(text.contains("not the method, which is always POST in gRPC"));
    for how in [&[][..], &["--grpc"]] {
        let text = explain(&[&["POST", "/shop.Orders/Find"], how].concat());
        assert!(
            text.starts_with("server.route[2] applies: gRPC shop.Orders\n"),
            "{text}"
        );
    }
}

#[test]
fn explain_takes_methods_as_they_are() {
    let file = File::new("case.toml", ROUTES);
    let output = run(&["explain", file.path(), "get", "/users/7"]);
    assert!(output.status.success());
    let note = "methods are case-sensitive: did you mean GET?";
    assert!(err(&output).starts_with(note), "{}", err(&output));
    let text = out(&output);
    assert!(text.starts_with("server.route[3] applies"), "{text}");
    let output = run(&["explain", file.path(), "purge", "/users/7"]);
    assert_eq!(err(&output), "");
}

#[test]
fn schema_is_json() {
    let output = run(&["schema"]);
    assert!(output.status.success());
    let schema: serde_json::Value = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!(schema, buttress_config::schema());
}

#[test]
fn wrong_calls_are_told_apart_from_wrong_files() {
    for wrong in [
        &[][..],
        &["check"],
        &["chekc", "a"],
        &["check", "a", "--loud"],
        &["explain", "a", "GET", "no path"],
        &["explain", "a", "GET", "/", "--header", "none"],
    ] {
        let output = run(wrong);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
        assert!(err(&output).contains("Usage:"), "{wrong:?}");
    }
    assert_eq!(run(&["check", "does/not/exist"]).status.code(), Some(1));
    assert!(out(&run(&["--help"])).starts_with("Usage:"));
}
