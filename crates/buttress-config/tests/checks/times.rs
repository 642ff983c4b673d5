//! Times that don't fit into each other.

use super::{fine, refused, warned, wrong};
use buttress_config::{Document, Format, Severity};

#[test]
fn attempts_and_waits_must_fit_into_the_call() {
    let upstream = |timeout: &str| {
        format!(
            "[upstream.u]\ntimeout = '{timeout}'\nattempt_timeout = '1s'\n\
             retry = {{ attempts = 3, backoff = {{ base = '100ms', base_if_overloaded = '100ms' }} }}\n"
        )
    };
    fine(&upstream("3300ms"));
    refused(
        &upstream("3299ms"),
        "upstream.u.retry.attempts lets 3 attempts of 1s and the waits between them take 3s300ms",
    );
}

#[test]
fn the_longest_waits_that_the_backoff_has_are_counted() {
    let upstream = |backoff: &str, timeout: &str| {
        format!(
            "[upstream.u]\ntimeout = '{timeout}'\nattempt_timeout = '1s'\n\
             retry = {{ attempts = 4, backoff = {{ {backoff} }} }}\n"
        )
    };
    let beginning = "upstream.u.retry.attempts lets 4 attempts of 1s and the waits between them";
    for (backoff, milliseconds) in [
        ("constant = '1s'", 7_000),
        ("base = '100ms', cap = '150ms'", 4_400),
        ("base = '100ms', factor = 3", 5_300),
        ("base = '100ms', jitter = 'grpc'", 4_840),
        (
            "base = '100ms', jitter = 'decorrelated', cap = '500ms'",
            5_300,
        ),
    ] {
        let backoff = if backoff.starts_with("constant") {
            backoff.to_owned()
        } else {
            format!("{backoff}, base_if_overloaded = '1ms'")
        };
        let backoff = &backoff;
        fine(&upstream(backoff, &format!("{milliseconds}ms")));
        refused(
            &upstream(backoff, &format!("{}ms", milliseconds - 1)),
            beginning,
        );
    }
}

/// By the formulas of the backoff, if the callee says each time that it has too much to do, or
/// something else, whichever takes longer.
#[test]
fn waits_after_an_overload_that_a_file_asks_for_are_warned_of() {
    let upstream = |backoff: &str, timeout: &str| {
        format!(
            "[upstream.u]\ntimeout = '{timeout}'\nattempt_timeout = '1s'\n\
             retry = {{ attempts = 4, backoff = {{ {backoff} }} }}\n"
        )
    };
    let beginning = "upstream.u.retry.attempts lets 4 attempts, with the waits after an overload,";
    for (backoff, milliseconds) in [
        ("base_if_overloaded = '1s'", 7_000),
        ("base_if_overloaded = '1s', cap = '150ms'", 7_000),
        (
            "base_if_overloaded = '1s', cap = '3s'",
            4_000 + 1_000 + 2_000 + 3_000,
        ),
        ("base_if_overloaded = '1s', jitter = 'grpc'", 7_600),
        (
            "base = '100ms', jitter = 'decorrelated', cap = '9s', base_if_overloaded = '200ms'",
            4_000 + 600 + 1_800 + 5_400,
        ),
        (
            "base = '100ms', cap = '2s', base_if_overloaded = '10ms', factor = 10",
            4_000 + 100 + 1_000 + 2_000,
        ),
    ] {
        fine(&upstream(backoff, &format!("{milliseconds}ms")));
        let overloaded = upstream(backoff, &format!("{}ms", milliseconds - 1));
        if backoff.contains("factor") {
            refused(
                &overloaded,
                "upstream.u.retry.attempts lets 4 attempts of 1s",
            );
        } else {
            warned(&overloaded, beginning);
        }
    }
}

#[test]
fn no_wait_is_longer_than_the_longest_that_is_worth_it() {
    let upstream = |timeout: &str| {
        format!(
            "[upstream.u]\ntimeout = '{timeout}'\nattempt_timeout = '1s'\n\
             retry = {{ attempts = 3, longest_wait = '300ms', backoff = {{ constant = '5s' }} }}\n"
        )
    };
    fine(&upstream("3600ms"));
    refused(
        &upstream("3599ms"),
        "upstream.u.retry.attempts lets 3 attempts",
    );
}

#[test]
fn an_attempt_is_no_longer_than_the_call() {
    let upstream = |each: &str| {
        format!("[upstream.u]\ntimeout = '2s'\nattempt_timeout = '{each}'\nretry = false\n")
    };
    fine(&upstream("2s"));
    refused(
        &upstream("2001ms"),
        "upstream.u.attempt_timeout lets an attempt take 2s1ms",
    );
}

#[test]
fn an_attempt_that_is_too_long_does_not_hide_that_all_of_them_are() {
    let text = "[upstream.u]\ntimeout = '1s'\nattempt_timeout = '2s'\nretry = 3\n";
    let wrong = wrong(text);
    assert_eq!(wrong.len(), 2, "{wrong:#?}");
    assert!(wrong[0].starts_with("upstream.u.attempt_timeout lets an attempt take 2s"));
    assert!(wrong[1].starts_with("upstream.u.retry.attempts lets 3 attempts of 2s"));
}

/// Neither by a default, which is not what the file says either.
#[test]
fn nothing_is_said_about_times_that_could_not_be_read() {
    for text in [
        "[upstream.u]\ntimeout = 'long'\nattempt_timeout = '12s'\n",
        "[upstream.u]\ntimeout = '6s'\nattempt_timeout = 'short'\nretry = 3\n",
        "[upstream.u]\ntimeout = '6s'\nattempt_timeout = '3s'\nretry = { attempts = 'two' }\n",
        "[upstream.u]\nattempt_timeout = '20s'\ntimeout = '1m'\nretry = 2\ncircuit_breaker = { time_window = 'wide' }\n",
        "[upstream.u]\ntimeout = { headers = 'long', idle_body = '1s' }\nattempt_timeout = '12s'\n",
        "[upstream.u]\ntimeout = { idle_body = '1s' }\nattempt_timeout = '12s'\n",
        "[upstream.u]\ntimeout = '6s'\nattempt_timeout = { headers = 'short' }\nretry = 3\n",
        "[upstream.u]\nattempt_timeout = 'short'\ncircuit_breaker = { time_window = '15s' }\n",
        "[upstream.u]\ntimeout = 'long'\ncircuit_breaker = { time_window = '3s' }\n",
        "[upstream.u]\nretry = 'many'\ncircuit_breaker = { time_window = '3s' }\n",
        "[server.defaults]\ntimeout = 'long'\ndeadline = '1ms'\n",
        "[server.defaults]\ndeadline = { at_most = 'far' }\ntimeout = '40s'\n",
        "[server.defaults]\ndeadline = 'far'\n[[server.route]]\nmatch = {}\n\
         rate_limit = { rate = '5/s', wait_at_most = '40s' }\n",
        "[[server.route]]\nmatch = { path = '/', method = 'get' }\n[[server.route]]\nmatch = { path = '/' }\n",
    ] {
        let wrong = wrong(text);
        assert_eq!(wrong.len(), 1, "{text}: {wrong:#?}");
    }
}

/// It will be another value.
#[test]
fn nothing_is_said_because_of_a_value_that_is_refused_itself() {
    for text in [
        "[upstream.u]\nretry = { backoff = { factor = -1.0 } }\n",
        "[upstream.u]\nretry = { backoff = { factor = 1e9 } }\n",
        "[upstream.u]\nretry = 99\n",
        "[upstream.u]\nretry = 99\nattempt_timeout = '1s'\n",
        "[upstream.u]\nretry = { longest_wait = '900d', backoff = { constant = '12s' } }\n",
        "[upstream.u]\nretry = { backoff = { constant = '900d' } }\n",
        "[upstream.u]\ntimeout = '0s'\n",
        "[upstream.u]\ntimeout = '0s'\nretry = 3\n",
        "[upstream.u]\ntimeout = '0s'\nattempt_timeout = '1s'\nretry = 3\n",
        "[upstream.u]\nattempt_timeout = '900d'\n",
        "[upstream.u]\nhedge = '900d'\n",
        "[upstream.u]\ncircuit_breaker = { time_window = '1ns' }\n",
        "[upstream.u]\ncircuit_breaker = { slow_calls = { duration = '900d', rate = 0.5 } }\n",
        "[upstream.u]\nrate_limit = { rate = '5/s', wait_at_most = '900d' }\n",
        "[server.defaults]\nbulkhead = { limit = 1, waiting_room = { places = 1, longest_wait = '900d' } }\n",
        "[server.defaults]\ndeadline = '0s'\ntimeout = '1s'\n",
        "[server.defaults]\ndeadline = '1s'\ntimeout = '900d'\n",
    ] {
        let wrong = wrong(text);
        assert_eq!(wrong.len(), 1, "{text}: {wrong:#?}");
        assert!(wrong[0].contains(" is "), "{text}: {wrong:#?}");
    }
}

#[test]
fn a_breaker_sees_two_timeouts_in_its_window() {
    let upstream = |window: &str| {
        format!(
            "[upstream.u]\ntimeout = '20s'\nattempt_timeout = '5s'\ncircuit_breaker = {{ {window} }}\n"
        )
    };
    fine(&upstream("time_window = '10s'"));
    fine(&upstream("time_window = false"));
    refused(
        &upstream("time_window = '9s'"),
        "upstream.u.circuit_breaker.time_window makes the breaker's window of 9s shorter than two timeouts of 5s",
    );
    refused(
        "[upstream.u]\ntimeout = '60s'\nattempt_timeout = '16s'\n",
        "upstream.u.attempt_timeout makes the breaker's window of 30s shorter than two timeouts",
    );
}

#[test]
fn a_breaker_that_looks_at_no_rates_needs_no_window() {
    let upstream = |rates: &str| {
        format!(
            "[upstream.u]\nattempt_timeout = '2s'\ncircuit_breaker = {{ time_window = '3s', {rates} }}\n"
        )
    };
    fine(&upstream("failure_rate = false"));
    for rates in [
        "",
        "failure_rate = false, slow_calls = { duration = '1s', rate = 0.5 }",
    ] {
        refused(
            &upstream(rates),
            "upstream.u.circuit_breaker.time_window makes the breaker's window of 3s",
        );
    }
}

#[test]
fn slow_calls_that_cannot_come_are_hardly_meant() {
    let upstream = |slow: &str, rest: &str| {
        format!(
            "[upstream.u]\ncircuit_breaker = {{ slow_calls = {{ duration = '{slow}', rate = 0.5 }} }}\n{rest}\n"
        )
    };
    let path = "upstream.u.circuit_breaker.slow_calls.duration";
    fine(&upstream("999ms", "attempt_timeout = '1s'"));
    warned(
        &upstream("1s", "attempt_timeout = '1s'"),
        &format!("{path} is 1s, and an attempt without an answer is over after 1s: none can be"),
    );
    fine(&upstream("2499ms", ""));
    warned(
        &upstream("2500ms", ""),
        &format!(
            "{path} is 2s500ms, and an attempt without an answer is over after 2s500ms, which is the default of `attempt_timeout`"
        ),
    );
    warned(
        &upstream("1s", "timeout = '2s'"),
        &format!(
            "{path} is 1s, and an attempt without an answer is over after 616ms, which is what the call's time leaves each attempt"
        ),
    );
    fine(&upstream("1h", "attempt_timeout = false\nretry = false"));
    // A breaker counts the wait in a queue as well.
    fine(&upstream(
        "1s",
        "attempt_timeout = '1s'\nrate_limit = { rate = '9/s', wait_at_most = '1ms' }",
    ));
}

#[test]
fn a_timeout_that_comes_after_the_deadline_is_warned_of() {
    let route = |policies: &str| format!("[[server.route]]\nmatch = {{}}\n{policies}\n");
    fine(&route("deadline = '2s'\ntimeout = '2s'"));
    fine(&route("deadline = false\ntimeout = '1h'"));
    warned(
        &route("deadline = '2s'\ntimeout = '3s'"),
        "server.route[0].timeout lets the work take 3s, but the deadline ends every call after 2s",
    );
    warned(
        &route("timeout = '1m'"),
        "server.route[0].timeout lets the work take 1m, but the deadline ends every call after 30s by default",
    );
    // Once, where it is said.
    let defaults = "[server.defaults]\ntimeout = '3s'\n";
    warned(
        &format!("{}{defaults}deadline = '2s'\n", route("")),
        "server.defaults.timeout lets the work take 3s",
    );
    warned(
        "[server.defaults]\ntimeout = '1m'\n",
        "server.defaults.timeout lets the work take 1m, but the deadline ends every call after 30s by default",
    );
    // A route may have less time than others.
    fine(&format!("{}{defaults}", route("deadline = '2s'")));
}

#[test]
fn a_hedge_that_never_comes_is_hardly_meant() {
    let upstream = |after: &str, rest: &str| {
        format!("[upstream.u]\nattempt_timeout = '1s'\n{rest}\nhedge = '{after}'\n")
    };
    fine(&upstream("999ms", ""));
    warned(
        &upstream("1s", ""),
        "upstream.u.hedge.after sends a copy of a call that has been out for 1s, and each attempt is over after 1s",
    );
    // A failure sends the copy at once.
    fine("[upstream.u]\nattempt_timeout = '1s'\nhedge = { after = '1s', non_fatal = [14] }\n");
    let call = "[upstream.u]\nattempt_timeout = false\ntimeout = '2s'\nhedge = '3s'\n";
    warned(
        call,
        "upstream.u.hedge.after sends a copy of a call that has been out for 3s, and each call is over after 2s",
    );
}

#[test]
fn a_retry_that_never_comes_is_hardly_meant() {
    let text = "[upstream.u]\nattempt_timeout = false\n";
    let document = Document::parse("test.toml", text, Format::Toml).unwrap();
    let warnings: Vec<_> = document.warnings().iter().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!((warnings[0].line, warnings[0].column), (2, 19));
    fine("[upstream.u]\nattempt_timeout = false\nretry = 1\n");
}
