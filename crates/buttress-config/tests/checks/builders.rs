//! Values that builders refuse, and settings that say nothing.

use super::{refused, wrong};

#[test]
fn settings_that_say_nothing_are_refused() {
    let route = |policy: &str| format!("[[server.route]]\nmatch = {{ path = '/' }}\n{policy}\n");
    let cases = [
        (
            "rate_limit = { rate = '5/s', max_keys = 5 }",
            "rate_limit.max_keys says nothing",
        ),
        (
            "bulkhead = { limit = 5, missing_key = 'shared' }",
            "bulkhead.missing_key says nothing",
        ),
        (
            "bulkhead = { limit = 5, discipline = 'codel' }",
            "bulkhead.discipline is CoDel",
        ),
        (
            "bulkhead = { limit = 5, shuffle_sharded = { compartments = 8, per_key = 2 } }",
            "bulkhead.shuffle_sharded needs `by`",
        ),
        (
            "rate_limit = { rate = '5/s', by = 'header' }",
            "rate_limit.by says nothing without a value",
        ),
    ];
    for (policy, what) in cases {
        refused(&route(policy), &format!("server.route[0].{what}"));
    }
    refused(
        "[upstream.u]\nretry = { budget = { share = 0.1, tokens = { most = 10, ratio = 0.1 } } }\n",
        "upstream.u.retry.budget.share says nothing beside `tokens`",
    );
}

/// Each kind of policy, with a value that its builder refuses, and the place of it.
#[test]
#[expect(clippy::too_many_lines, reason = "it is a list")]
fn what_builders_refuse_is_reported_at_its_field() {
    let route = |policy: &str| format!("[[server.route]]\nmatch = {{ path = '/' }}\n{policy}\n");
    let of_routes = [
        ("deadline = '400d'", "deadline.at_most is"),
        (
            "criticality = { trusting = { peers_in = ['10.0.0.0/99'] } }",
            "criticality.trusting is",
        ),
        ("pressure = { every = '1ms' }", "pressure.every is 1"),
        ("pressure = { cpu = { from = 2, to = 3 } }", "pressure.cpu"),
        (
            "deadline_shedder = { quantile = 2 }",
            "deadline_shedder.quantile is 2",
        ),
        ("rate_limit = { rate = '0/s' }", "rate_limit.rate is 0"),
        (
            "rate_limit = { rate = '5/s', burst = 0 }",
            "rate_limit.burst is 0",
        ),
        (
            "rate_limit = { rate = '5/s', cost = 9 }",
            "rate_limit.cost is 9",
        ),
        (
            "rate_limit = { rate = '5/s', burst = 3, algorithm = 'sliding_window' }",
            "rate_limit.burst is 3",
        ),
        (
            "rate_limit = { rate = '5/s', by = { peer = { ipv6_prefix = 0 } } }",
            "rate_limit.by.peer.ipv6_prefix is 0",
        ),
        (
            "rate_limit = { rate = '5/s', by = { client_addr = { trusted_hops = 99 } } }",
            "rate_limit.by.client_addr.trusted_hops is 99",
        ),
        (
            "rate_limit = { rate = '5/s', by = 'peer', max_keys = 0 }",
            "rate_limit.max_keys is 0",
        ),
        (
            "fair_share = { limit = 9, by = 'peer', largest_share = 2 }",
            "fair_share.largest_share is 2",
        ),
        ("bulkhead = 0", "bulkhead.limit is 0"),
        (
            "bulkhead = { limit = 9, by = 'peer', shuffle_sharded = { compartments = 1, per_key = 1 } }",
            "bulkhead.shuffle_sharded.compartments is 1",
        ),
        (
            "bulkhead = { limit = 9, waiting_room = { places = 1, longest_wait = '1s' }, discipline = { codel = { target = '0s' } } }",
            "bulkhead.discipline.codel.target is 0",
        ),
        (
            "bulkhead = { limit = 9, priority = { window = '0s' } }",
            "bulkhead.priority.window is 0",
        ),
        (
            "adaptive_limit = { algorithm = { aimd = { min = 9, max = 3 } } }",
            "adaptive_limit.algorithm.aimd.max is 3",
        ),
        (
            "adaptive_limit = { algorithm = { gradient2 = { tolerance = 0.5 } } }",
            "adaptive_limit.algorithm.gradient2.tolerance is 0.5",
        ),
        ("pace = '0/s'", "pace.rate is 0"),
        ("queue_delay = { target = '0s' }", "queue_delay.target is 0"),
        ("timeout = '0s'", "timeout.headers is 0"),
        (
            "timeout = { headers = '1s', whole_body = '500ms' }",
            "timeout.whole_body is 500ms",
        ),
    ];
    let mut bad = Vec::new();
    for (policy, what) in of_routes {
        let wrong = wrong(&route(policy));
        if wrong.len() != 1 || !wrong[0].starts_with(&format!("server.route[0].{what}")) {
            bad.push((what, wrong));
        }
    }
    let of_upstreams = [
        ("coalesce = { max_body = 0 }", "coalesce.max_body is 0"),
        (
            "stale_if_error = { max_entries = 0 }",
            "stale_if_error.max_entries is 0",
        ),
        ("retry = { replay_limit = '1GiB' }", "retry.replay_limit is"),
        (
            "retry = { backoff = { base = '1s', cap = '1ms' } }",
            "retry.backoff.cap is 1ms",
        ),
        (
            "retry = { budget = { share = 7 } }",
            "retry.budget.share is 7",
        ),
        (
            "retry = { budget = { tokens = { most = 0, ratio = 1 } } }",
            "retry.budget.tokens.most is 0",
        ),
        ("hedge = { attempts = 1 }", "hedge.attempts is 1"),
        ("hedge = { extra_load = 9 }", "hedge.extra_load is 9"),
        (
            "circuit_breaker = { slow_calls = { duration = '1s', rate = 0 } }",
            "circuit_breaker.slow_calls.rate is 0",
        ),
        (
            "circuit_breaker = { probes = 99 }",
            "circuit_breaker.probes is 99",
        ),
        (
            "circuit_breaker = { open_time = { first = '2s', longest = '1s' } }",
            "circuit_breaker.open_time is 2s",
        ),
        ("throttle = { multiplier = 0 }", "throttle.multiplier is 0"),
    ];
    for (policy, what) in of_upstreams {
        refused(
            &format!("[upstream.u]\n{policy}\n"),
            &format!("upstream.u.{what}"),
        );
    }
}

#[test]
fn a_value_that_a_policy_cannot_do_without_hides_no_other() {
    for (policy, fields) in [
        (
            "bulkhead = { limit = 0, waiting_room = { places = 0, longest_wait = '0s' } }",
            &["limit", "waiting_room.places", "waiting_room.longest_wait"][..],
        ),
        (
            "rate_limit = { rate = '0/s', by = { peer = { ipv6_prefix = 0 } } }",
            &["rate", "by.peer.ipv6_prefix"],
        ),
        (
            "timeout = { headers = '0s', idle_body = '0s' }",
            &["headers", "idle_body"],
        ),
        // Also if it cannot be read at all.
        (
            "bulkhead = { limit = 'many', waiting_room = { places = 0, longest_wait = 'long' } }",
            &["limit", "waiting_room.places", "waiting_room.longest_wait"],
        ),
        (
            "rate_limit = { rate = 'often', burst = 0, max_keys = 1 }",
            &["rate", "burst", "max_keys"],
        ),
        (
            "timeout = { headers = 5, idle_body = '0s' }",
            &["headers", "idle_body"],
        ),
        (
            "deadline = { at_most = 'far', header = 'no header' }",
            &["at_most", "header"],
        ),
    ] {
        let wrong = wrong(&format!("[[server.route]]\nmatch = {{}}\n{policy}\n"));
        // Each of them once, and nothing that is not so.
        assert_eq!(wrong.len(), fields.len(), "{wrong:#?}");
        for field in fields {
            // It needs `by`, which is not there.
            let said = if *field == "max_keys" {
                "says nothing"
            } else {
                "is "
            };
            let said = format!(".{field} {said}");
            assert!(
                wrong.iter().any(|wrong| wrong.contains(&said)),
                "{said}: {wrong:#?}"
            );
        }
    }
}
