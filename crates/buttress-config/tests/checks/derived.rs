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
