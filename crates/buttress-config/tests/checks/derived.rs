//! How long an attempt may take that nothing is said of.

use super::{fine, refused, wrong};
use buttress_config::{Document, Format};
use proptest::prelude::*;

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
        ("timeout = '250ms'\nretry = 2", true, 100),
        ("retry = 5", true, 1_850),
        (
            "timeout = '2s'\nretry = { attempts = 2, backoff = { constant = '1s' } }",
            true,
            500,
        ),
        // The waits that the file speaks of, in queues and after an overload, have their time too.
        (
            "timeout = '2s'\nbulkhead = { limit = 9, waiting_room = { places = 9, longest_wait = '20ms' } }",
            true,
            596,
        ),
        (
            "timeout = '5s'\nretry = { backoff = { base_if_overloaded = '1s' } }",
            true,
            1_000,
        ),
        // One attempt alone has all of the call's time.
        (
            "timeout = '2s'\nretry = 1\nrate_limit = { rate = '9/s', wait_at_most = '1s' }",
            true,
            2_000,
        ),
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
        "upstream.u.retry.attempts leaves each of 3 attempts 0s of the call's 100ms, after waits between them of up to 150ms",
    );
    refused(
        "[upstream.u]\ntimeout = '2s'\nretry = { backoff = { constant = '1s' } }\n",
        "upstream.u.timeout leaves each of 3 attempts 0s of the call's 2s, after waits between them of up to 2s",
    );
    refused(
        "[upstream.u]\ntimeout = '760ms'\nretry = 5\n",
        "upstream.u.retry.attempts leaves each of 5 attempts 2ms of the call's 760ms, after waits between them of up to 750ms",
    );
    refused(
        "[upstream.u]\ntimeout = '249ms'\nretry = 2\n",
        "upstream.u.retry.attempts leaves each of 2 attempts 99ms",
    );
    // The policies could not be made of it.
    refused(
        "[upstream.u]\ntimeout = '2ns'\nretry = { attempts = 3, backoff = { constant = '0s' } }\n",
        "upstream.u.retry.attempts leaves each of 3 attempts 0s",
    );
    refused(
        "[upstream.u]\nrate_limit = { rate = '9/s', wait_at_most = '4s' }\n",
        "upstream.u leaves each of 3 attempts 0s of the call's 10s, after waits between them of up to 150ms and up to 4s in queues before each",
    );
}

#[test]
fn what_is_to_be_done_about_attempts_without_time_is_said() {
    let text = "[upstream.u]\ntimeout = '760ms'\nretry = 5\n";
    let problems = Document::parse("test.toml", text, Format::Toml).unwrap_err();
    let allowed = problems.iter().next().unwrap().allowed.clone();
    assert_eq!(
        allowed.as_deref(),
        Some(
            "100ms at least: by fewer attempts, a shorter `backoff`, a longer `timeout`, or an `attempt_timeout` that is written"
        )
    );
    // Which is what then holds.
    fine(&format!("{text}attempt_timeout = '2ms'\n"));
}

#[test]
fn a_default_that_a_window_does_not_see_twice_is_said_to_be_one() {
    let file = |rest: &str| format!("[upstream.u]\n{rest}\n");
    let path = "upstream.u.circuit_breaker.time_window";
    refused(
        &file("timeout = '10s'\ncircuit_breaker = { time_window = '100ms' }"),
        &format!(
            "{path} makes the breaker's window of 100ms shorter than two timeouts of 2s500ms, which is the default of `attempt_timeout`"
        ),
    );
    refused(
        &file("timeout = '2s'\ncircuit_breaker = { time_window = '1s' }"),
        &format!(
            "{path} makes the breaker's window of 1s shorter than two timeouts of 616ms, which is what the call's time leaves each attempt"
        ),
    );
    let text = file("circuit_breaker = { time_window = '3s' }");
    let problems = Document::parse("test.toml", &text, Format::Toml).unwrap_err();
    let allowed = problems.iter().next().unwrap().allowed.clone();
    assert_eq!(
        allowed.as_deref(),
        Some("5s at least, unless an `attempt_timeout` of 1s500ms at most is written")
    );
    fine(&format!("{text}attempt_timeout = '1500ms'\n"));
}

/// Also the retry that is left out, which would be there if an attempt's time is written.
#[test]
fn what_is_shown_can_be_written_and_means_the_same() {
    for upstream in [
        "",
        "timeout = '900ms'",
        "timeout = '2s'",
        "timeout = '2s'\nretry = 2",
        "timeout = '2s'\nretry = false",
        "timeout = '2s'\nhedge = '50ms'",
        "timeout = '900ms'\nhedge = '50ms'",
        "timeout = false\ncircuit_breaker = false",
        "timeout = '5s'\nretry = { backoff = { base_if_overloaded = '1s' } }",
        "timeout = '2s'\nretry = 1\nrate_limit = { rate = '9/s', wait_at_most = '1s' }",
        "timeout = '2s'\nbulkhead = { limit = 9, waiting_room = { places = 9, longest_wait = '20ms' } }",
    ] {
        let text = format!("[upstream.u]\n{upstream}\n");
        let document = Document::parse("test.toml", &text, Format::Toml).unwrap();
        let effective = document.settings().effective_upstream("u").unwrap();
        let shown = format!(r#"{{ "upstream": {{ "u": {} }} }}"#, effective.to_json());
        let again = Document::parse("shown.json", &shown, Format::Json).unwrap();
        assert!(again.warnings().is_empty(), "{}", again.warnings());
        let again = again.settings().effective_upstream("u").unwrap();
        assert_eq!(again, effective, "{upstream}");
    }
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
        // As much as is worth it for each.
        if attempts == 1 || retries * wait + u64::from(attempts) * 100 <= call {
            prop_assert_eq!(wrong, Vec::<String>::new());
        } else {
            prop_assert_eq!(wrong.len(), 1);
            prop_assert!(wrong[0].contains("leaves each of"), "{:?}", wrong);
        }
    }
}
