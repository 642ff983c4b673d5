//! All that is wrong with a file is reported at once, each with its place.

use buttress_config::{Document, Format, Problems, Severity};

fn problems(text: &str) -> Problems {
    match Document::parse("bad.toml", text, Format::Toml) {
        Ok(document) => document.warnings().clone(),
        Err(problems) => problems,
    }
}

const BAD: &str = r#"
[server.defaults]
deadline = "5 lightyears"
tiemout = "2s"

[policy.pool]
bulkhead = 0

[policy.spare]
bulkhead = 8

[[server.route]]
match = { path = "/search", method = "get" }
use = ["pol"]

[[server.route]]
match = { path = "search" }
rate_limit = "100 pro Sekunde"

[[server.route]]
use = ["pool"]

[[server.route]]
match = { path = "/pay/{id}" }
bulkhead = { limit = 4, waiting_room = { places = 0, longest_wait = "50ms" } }
rate_limit = { rate = "10/s", by = "heeder:x-tenant" }
adaptive_limit = { algorithm = { vegas = { smoothing = 7 } }, max_keys = 10 }

[[server.route]]
match = { path = "/pay/{other}" }

[upstream.payments]
timeout = "1s"
attempt_timeout = "2s"
retry = { attempts = 30, backoff = { constant = "1s", base = "2s" } }
hedge = true
circuit_breaker = { failure_rate = 1.5, time_window = "3s", min_calls = 0 }

[upstream.search]
timeout = "2s"
attempt_timeout = "1s"
bulkhead = { limit = 10, waiting_room = { places = 5, longest_wait = "3s" } }
"#;

#[test]
fn each_mistake_is_reported_at_its_place() {
    let problems = problems(BAD);
    let found: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}:{} {}", problem.line, problem.column, problem.path))
        .collect();
    let expected = [
        "3:12 server.defaults.deadline.at_most",
        "4:1 server.defaults.tiemout",
        "7:12 policy.pool.bulkhead.limit",
        "9:9 policy.spare",
        "13:38 server.route[0].match.method",
        "14:8 server.route[0].use[0]",
        "17:18 server.route[1].match.path",
        "18:14 server.route[1].rate_limit.rate",
        "20:1 server.route[2].match",
        "25:51 server.route[3].bulkhead.waiting_room.places",
        "26:36 server.route[3].rate_limit.by",
        "27:56 server.route[3].adaptive_limit.algorithm.vegas.smoothing",
        "27:74 server.route[3].adaptive_limit.max_keys",
        "30:9 server.route[4]",
        "34:19 upstream.payments.attempt_timeout",
        "35:22 upstream.payments.retry.attempts",
        "35:62 upstream.payments.retry.backoff.base",
        "36:9 upstream.payments.hedge",
        "37:36 upstream.payments.circuit_breaker.failure_rate",
        "37:55 upstream.payments.circuit_breaker.time_window",
        "37:73 upstream.payments.circuit_breaker.min_calls",
        "41:19 upstream.search.attempt_timeout",
        "42:70 upstream.search.bulkhead.waiting_room.longest_wait",
    ];
    assert_eq!(found, expected, "{problems}");
    let mut problems = problems.iter();
    assert!(problems.all(|problem| problem.severity == Severity::Error));
}

#[test]
fn near_misses_are_suggested() {
    let problems = problems(BAD);
    let meant = problems
        .iter()
        .filter_map(|problem| problem.did_you_mean.as_deref());
    let meant: Vec<_> = meant.collect();
    assert_eq!(meant, ["timeout", "GET", "pool", "header:x-tenant"]);
}

#[test]
fn a_problem_is_shown_with_its_line() {
    let problems = problems("[server.defaults]\n\ttiemout = \"2s\"\n");
    let expected = "\
error: `server.defaults.tiemout` is not a field that there is here
  --> bad.toml:2:2
  |
2 | \ttiemout = \"2s\"
  | \t^^^^^^^
  = did you mean `timeout`?";
    assert_eq!(problems.to_string(), expected);
}

#[test]
fn who_means_no_field_that_there_is_is_told_which_there_are() {
    let problems = problems("[policy.pool]\nbulkhead = 1\ncircuit_breaker = true\n");
    let problem = problems
        .iter()
        .find(|problem| problem.path == "policy.pool.circuit_breaker")
        .unwrap();
    assert_eq!(
        problem.allowed.as_deref(),
        Some("one of rate_limit, fair_share, bulkhead, adaptive_limit, pace")
    );
    assert_eq!(problem.did_you_mean, None);
}

#[test]
fn the_manual_says_what_may_stand_where() {
    let manual = include_str!("../../../docs/configuration.md");
    for (place, table) in [
        ("a route, `[server.defaults]`", "server.defaults"),
        ("an upstream", "upstream.some"),
        ("a policy that is shared", "policy.some"),
    ] {
        let row = format!("| {place} | `");
        let (_, row) = manual.split_once(&row).unwrap();
        let (names, _) = row.split_once("` |").unwrap();
        let names = names.replace('`', "");
        let problems = problems(&format!("[{table}]\nqqqqqqqq = 1\n"));
        let allowed = problems.iter().find_map(|problem| problem.allowed.clone());
        assert_eq!(allowed.unwrap(), format!("one of {names}"), "{place}");
    }
}

#[test]
fn a_terminal_is_not_told_what_to_do() {
    let text = "{ \"x-a\": \"\u{9b}2J\", \"b\u{1b}\": 1 }";
    let problems = Document::parse("bad.json", text, Format::Json).unwrap_err();
    let shown = problems.to_string();
    let controls = shown.chars().filter(|c| c.is_control() && *c != '\n');
    assert_eq!(controls.count(), 0, "{shown:?}");
}

#[test]
fn a_file_with_a_million_mistakes_is_not_a_million_problems() {
    use std::fmt::Write;
    let mut text = String::new();
    for number in 0..20_000 {
        writeln!(text, "mistake{number} = 1").unwrap();
    }
    let problems = problems(&text);
    assert_eq!(problems.len(), 1_001);
    let first = problems.iter().next().unwrap();
    assert_eq!(first.what, "more problems than are shown: 19000");
}

/// To look for what each may be meant to be would take hours: 20 000 names are compared.
#[test]
fn what_is_meant_is_looked_for_a_bounded_number_of_times() {
    use std::fmt::Write;
    let mut text = String::new();
    for number in 0..3_000 {
        writeln!(text, "[policy.the-policy-number-{number}]\nbulkhead = 1").unwrap();
        writeln!(
            text,
            "[upstream.u{number}]\nuse = 'the-policy-nomber-{number}'"
        )
        .unwrap();
    }
    let problems = problems(&text);
    assert_eq!(problems.len(), 1_001);
    let meant = problems
        .iter()
        .filter(|problem| problem.did_you_mean.is_some());
    assert_eq!(meant.count(), 20_000 / 3_000);
}

#[test]
fn all_syntax_errors_are_found_at_once() {
    let problems = problems("one = = 1\ntwo = \"open\nthree = nothing\n");
    let lines: Vec<_> = problems.iter().map(|problem| problem.line).collect();
    assert!(
        lines.contains(&1) && lines.contains(&2) && lines.contains(&3),
        "{problems}"
    );
}

#[test]
fn lines_may_end_as_on_windows() {
    let problems = problems("[server.defaults]\r\ntiemout = '2s'\r\n\r\n\"häßlich\" = 1\r\n");
    let places: Vec<_> = problems
        .iter()
        .map(|problem| (problem.line, problem.column))
        .collect();
    assert_eq!(places, [(2, 1), (4, 1)]);
    let shown = problems.to_string();
    assert!(shown.contains("2 | tiemout = '2s'\n"), "{shown:?}");
    // As many marks as there are characters, whatever their bytes.
    assert!(shown.contains("| ^^^^^^^^^"), "{shown}");
    assert!(shown.contains("server.defaults.\"häßlich\""), "{shown}");
}

#[test]
fn a_file_with_many_warnings_is_as_good_as_one_with_few() {
    let each = |number| format!("[upstream.a{number}]\nattempt_timeout = false\n");
    let mut text: String = (0..1_100).map(each).collect();
    let document = Document::parse("test", &text, Format::Toml).unwrap();
    let warnings = document.warnings().iter().count();
    assert_eq!(warnings, 1_001);
    // But no error gets lost among them.
    text += "[policy.unused]\nbulkhead = 1\n";
    assert!(Document::parse("test", &text, Format::Toml).is_err());
}

#[test]
fn what_was_meant_is_found_whatever_its_letters_are() {
    let text = "[policy.Payments-DB]\nbulkhead = 1\n[[server.route]]\nuse = [\"Payment-DB\"]\n\
                match = { path = \"/\" }";
    let problems = Document::parse("test", text, Format::Toml).unwrap_err();
    let meant = problems
        .iter()
        .find_map(|problem| problem.did_you_mean.clone());
    assert_eq!(meant.as_deref(), Some("Payments-DB"));
}

/// The tree of paths would be as deep, and whoever searches it has only so much stack.
#[test]
fn a_path_of_any_length_is_read_or_refused() {
    for (segments, well) in [(256, true), (257, false), (100_000, false)] {
        let text = format!(
            "[[server.route]]\nmatch = {{ path = \"{}\" }}",
            "/a".repeat(segments)
        );
        let document = Document::parse("test", &text, Format::Toml);
        assert_eq!(document.is_ok(), well, "{segments}");
    }
}
