//! Times that don't fit into each other.

use super::{fine, refused, warned, wrong};
use buttress_config::{Document, Format, Severity};
use proptest::prelude::*;

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
fn queues_in_front_of_each_attempt_are_warned_of() {
    let upstream = |timeout: &str, shadow: bool| {
        format!(
            "[policy.p]\npace = {{ rate = '9/s', waiting_room = {{ places = 9, longest_wait = '50ms' }} }}\n\
             [upstream.u]\ntimeout = '{timeout}'\nattempt_timeout = '1s'\nuse = 'p'\n\
             rate_limit = {{ rate = '9/s', wait_at_most = '200ms', shadow = {shadow} }}\n\
             retry = {{ attempts = 2, backoff = {{ constant = '100ms' }} }}\n"
        )
    };
    fine(&upstream("2600ms", false));
    warned(
        &upstream("2599ms", false),
        "upstream.u.retry.attempts lets 2 attempts, with up to 250ms in queues before each, take 2s600ms",
    );
    // In shadow, nobody waits.
    fine(&upstream("2200ms", true));
}

/// What a file with this upstream comes to: whether it retries, and how long an attempt takes.
fn effective(upstream: &str) -> (bool, u64) {
    let text = format!("[upstream.u]\n{upstream}\n");
    fine(&text);
    let document = Document::parse("test.toml", &text, Format::Toml).unwrap();
    let policies = document.settings().effective_upstream("u").unwrap();
    let each = policies.attempt_timeout.as_deref().unwrap().on().unwrap();
    let retries = policies
        .retry
        .as_deref()
        .is_some_and(|it| it.on().is_some());
    (retries, each.headers.as_millis().try_into().unwrap())
}

#[test]
fn an_attempt_that_nothing_is_said_of_has_its_share_of_a_shorter_call() {
    for (upstream, retries, milliseconds) in [
        ("", true, 2_500),
        ("timeout = '1m'", true, 2_500),
        ("timeout = '7650ms'", true, 2_500),
        ("timeout = '7s'", true, 2_283),
        ("timeout = '2s'", true, 616),
        ("timeout = '1s'", true, 283),
        // Shorter calls are made once.
        ("timeout = '999ms'", false, 999),
        ("timeout = '1ms'", false, 1),
        ("timeout = '2s'\nretry = false", false, 2_000),
        ("timeout = '3s'\nretry = 1", true, 2_500),
        ("timeout = '2s'\nhedge = '50ms'", false, 2_000),
        ("timeout = '300ms'\nretry = 2", true, 125),
        ("retry = 5", true, 1_850),
        (
            "timeout = '2s'\nretry = { attempts = 2, backoff = { constant = '1s' } }",
            true,
            500,
        ),
        // So much that a breaker sees two of them in its window.
        ("circuit_breaker = { time_window = '3s' }", true, 1_500),
        ("timeout = false", true, 2_500),
        ("timeout = '500ms'\nattempt_timeout = '100ms'", true, 100),
    ] {
        assert_eq!(effective(upstream), (retries, milliseconds), "{upstream}");
    }
}

#[test]
fn attempts_for_which_the_waits_leave_no_time_are_refused_for_the_waits() {
    refused(
        "[upstream.u]\ntimeout = '100ms'\nretry = 3\n",
        "upstream.u.retry.attempts leaves no time for 3 attempts: the waits between them take up to 150ms, and the whole call 100ms",
    );
    refused(
        "[upstream.u]\ntimeout = '2s'\nretry = { backoff = { constant = '1s' } }\n",
        "upstream.u.timeout leaves no time for 3 attempts: the waits between them take up to 2s",
    );
}

#[test]
fn a_default_that_does_not_fit_is_said_to_be_one() {
    refused(
        "[upstream.u]\ntimeout = '500ms'\nattempt_timeout = '200ms'\n",
        "upstream.u.attempt_timeout lets 3 attempts of 200ms and the waits between them take 750ms, \
         which is longer than the whole call: it may take 500ms (3 attempts are the default, and `retry` says another number)",
    );
}

proptest! {
    #[test]
    fn an_attempt_that_nothing_is_said_of_fits_if_there_is_time_for_it(
        call in 1_u64..20_000,
        attempts in 1_u32..11,
        wait in 1_u64..3_000,
    ) {
        let text = format!(
            "[upstream.u]\ntimeout = '{call}ms'\nretry = {{ attempts = {attempts}, backoff = {{ constant = '{wait}ms' }} }}\n"
        );
        let wrong = wrong(&text);
        let retries = u64::from(attempts) - 1;
        // At least a millisecond for each.
        if attempts == 1 || retries * wait + u64::from(attempts) <= call {
            prop_assert_eq!(wrong, Vec::<String>::new());
        } else {
            prop_assert_eq!(wrong.len(), 1);
            prop_assert!(wrong[0].contains("leaves no time for"), "{:?}", wrong);
        }
    }
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
fn a_queue_is_shorter_than_the_deadline() {
    let route = |policy: &str| {
        format!(
            "[server.defaults]\ndeadline = '1s'\n[[server.route]]\nmatch = {{ path = '/' }}\n{policy}\n"
        )
    };
    let room = |kind: &str, rest: &str, wait: &str| {
        route(&format!(
            "{kind} = {{ {rest} waiting_room = {{ places = 1, longest_wait = '{wait}' }} }}"
        ))
    };
    for (kind, rest) in [
        ("bulkhead", "limit = 1,"),
        ("adaptive_limit", ""),
        ("pace", "rate = '5/s',"),
    ] {
        fine(&room(kind, rest, "999ms"));
        let path = format!("server.route[0].{kind}.waiting_room.longest_wait is 1s");
        refused(&room(kind, rest, "1s"), &path);
    }
    fine(&route(
        "rate_limit = { rate = '5/s', wait_at_most = '999ms' }",
    ));
    refused(
        &route("rate_limit = { rate = '5/s', wait_at_most = '1s' }"),
        "server.route[0].rate_limit.wait_at_most is 1s",
    );
}

#[test]
fn a_shared_queue_is_shorter_than_the_deadline_of_each_that_uses_it() {
    let file = |deadline: &str| {
        format!(
            "[policy.pool.bulkhead]\nlimit = 4\nwaiting_room = {{ places = 9, longest_wait = '1s' }}\n\
             [[server.route]]\nmatch = {{ path = '/' }}\nuse = ['pool']\ndeadline = '{deadline}'\n"
        )
    };
    fine(&file("1001ms"));
    refused(
        &file("1s"),
        "server.route[0].use names \"pool\", in which calls wait for up to 1s",
    );
}

#[test]
fn a_queue_before_an_upstream_is_shorter_than_the_call() {
    let upstream = |wait: &str| {
        format!(
            "[upstream.u]\ntimeout = '8s'\n\
             bulkhead = {{ limit = 4, waiting_room = {{ places = 9, longest_wait = '{wait}' }} }}\n"
        )
    };
    warned(&upstream("7s"), "upstream.u.timeout lets 3 attempts");
    refused(
        &upstream("8s"),
        "upstream.u.bulkhead.waiting_room.longest_wait is 8s",
    );
}

#[test]
fn queues_in_which_a_request_waits_in_turn_are_together_shorter_than_the_deadline() {
    let route = |shared: &str, own: &str| {
        format!(
            "[policy.pool]\nbulkhead = {{ limit = 4, waiting_room = {{ places = 9, longest_wait = '{shared}' }} }}\n\
             [[server.route]]\nmatch = {{ path = '/' }}\nuse = 'pool'\ndeadline = '1s'\n\
             rate_limit = {{ rate = '5/s', wait_at_most = '300ms' }}\n\
             pace = {{ rate = '5/s', waiting_room = {{ places = 9, longest_wait = '{own}' }} }}\n"
        )
    };
    fine(&route("300ms", "399ms"));
    refused(
        &route("300ms", "400ms"),
        "server.route[0].pace.waiting_room.longest_wait is 400ms, with which calls wait in all the queues in turn for up to 1s",
    );
    refused(
        &route("699ms", "1ms"),
        "server.route[0].use names \"pool\", in which calls wait for up to 699ms, with which calls wait in all the queues in turn for up to 1s",
    );
    // One that is too long alone is said to be, and no more if the others are fine.
    refused(
        &route("300ms", "1s"),
        "server.route[0].pace.waiting_room.longest_wait is 1s",
    );
    let both = wrong(&route("700ms", "1s"));
    assert_eq!(both.len(), 2, "{both:#?}");
    assert!(both[0].contains("names \"pool\""), "{both:#?}");
    assert!(both[1].contains("longest_wait is 1s"), "{both:#?}");
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

#[test]
fn queues_before_an_upstream_are_together_shorter_than_the_call() {
    let upstream = |wait: &str, shadow: bool| {
        format!(
            "[upstream.u]\ntimeout = '1s'\nattempt_timeout = '1s'\nretry = false\n\
             bulkhead = {{ limit = 4, waiting_room = {{ places = 9, longest_wait = '500ms' }} }}\n\
             rate_limit = {{ rate = '5/s', wait_at_most = '{wait}', shadow = {shadow} }}\n"
        )
    };
    fine(&upstream("499ms", false));
    fine(&upstream("500ms", true));
    refused(
        &upstream("500ms", false),
        "upstream.u.bulkhead.waiting_room.longest_wait is 500ms, with which calls wait in all the queues in turn for up to 1s",
    );
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
fn nobody_waits_in_a_queue_in_shadow() {
    let route = |shadow: bool| {
        format!(
            "[[server.route]]\nmatch = {{}}\ndeadline = '1s'\n\
             bulkhead = {{ limit = 1, waiting_room = {{ places = 9, longest_wait = '2s' }}, shadow = {shadow} }}\n"
        )
    };
    fine(&route(true));
    refused(
        &route(false),
        "server.route[0].bulkhead.waiting_room.longest_wait is 2s",
    );
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
        &format!("{}{defaults}", route("deadline = '2s'")),
        "server.route[0].deadline lets the work take 3s",
    );
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
