//! Waits in queues that leave no time for the work.

use super::{fine, refused, warned, wrong};

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
    fine(&upstream("2s"));
    refused(
        &upstream("7s"),
        "upstream.u.timeout leaves each of 3 attempts 0s",
    );
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
    // In all of them, one waits in each.
    assert!(
        both[0].ends_with("in all the queues in turn for up to 2s"),
        "{both:#?}"
    );
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
fn a_queue_that_is_too_long_hides_nothing() {
    let wrong = wrong(
        "[upstream.u]\nretry = 4\nattempt_timeout = '4s'\ncircuit_breaker = { time_window = '7s' }\n\
         rate_limit = { rate = '5/s', wait_at_most = '10s' }\n",
    );
    assert_eq!(wrong.len(), 3, "{wrong:#?}");
}

/// Something else stands in for it, which nobody wrote.
#[test]
fn nothing_is_said_about_a_queue_that_could_not_be_read() {
    let rooms = [
        "bulkhead = { limit = 4, waiting_room = { places = 3 } }",
        "bulkhead = { limit = 4, waiting_room = { places = 3, longest_wait = 'long' } }",
        "adaptive_limit = { waiting_room = { places = 3 } }",
        "pace = { rate = '5/s', waiting_room = { places = 3 } }",
        "rate_limit = { rate = '5/s', wait_at_most = 'long' }",
    ];
    let route = "[[server.route]]\nmatch = {}\ndeadline = '5ms'";
    let upstream = "[upstream.u]\nretry = 3\nattempt_timeout = '1s'\ntimeout";
    for stack in [
        route.to_owned(),
        format!("{upstream} = '3151ms'"),
        "[upstream.u]\ntimeout = '1s'\nretry = 2\ncircuit_breaker = { time_window = '900ms' }"
            .to_owned(),
    ] {
        for room in rooms {
            let own = wrong(&format!("{stack}\n{room}\n"));
            assert_eq!(own.len(), 1, "{stack} {room}: {own:#?}");
            let shared = wrong(&format!("{stack}\nuse = 'pool'\n[policy.pool]\n{room}\n"));
            assert_eq!(shared.len(), 1, "{stack} {room}: {shared:#?}");
        }
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
