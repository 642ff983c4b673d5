//! What is wrong with a file as a whole: each check with a file that it refuses, and one like it
//! that is fine.

use buttress_config::{Document, Format, Severity};

/// What is wrong, as `path what`.
fn wrong(text: &str) -> Vec<String> {
    match Document::parse("test.toml", text, Format::Toml) {
        Ok(document) => {
            assert!(document.warnings().is_empty(), "{}", document.warnings());
            Vec::new()
        }
        Err(problems) => {
            let problems = problems.iter();
            problems
                .map(|problem| format!("{} {}", problem.path, problem.what))
                .collect()
        }
    }
}

/// One thing is wrong, of which this is the beginning.
fn refused(text: &str, beginning: &str) {
    let wrong = wrong(text);
    assert_eq!(wrong.len(), 1, "{wrong:#?}");
    assert!(wrong[0].starts_with(beginning), "{wrong:#?}");
}

fn fine(text: &str) {
    assert_eq!(wrong(text), Vec::<String>::new());
}

#[test]
fn an_empty_file_is_fine() {
    fine("");
    fine("[server.defaults]\n[upstream.some]\n");
}

#[test]
fn fields_of_the_application_are_left_alone() {
    fine(
        "x-mine = 1\n[server]\nx-more = { anything = [1, 2] }\n[upstream.some]\nx-url = 'http://a'\n",
    );
    refused("mine = 1\n", "mine is not a field that there is here");
}

#[test]
fn attempts_and_waits_must_fit_into_the_call() {
    let upstream = |timeout: &str| {
        format!(
            "[upstream.u]\ntimeout = '{timeout}'\nattempt_timeout = '1s'\n\
             retry = {{ attempts = 3, backoff = {{ base = '100ms' }} }}\n"
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
    let beginning = "upstream.u.retry.attempts lets 4 attempts";
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
        fine(&upstream(backoff, &format!("{milliseconds}ms")));
        refused(
            &upstream(backoff, &format!("{}ms", milliseconds - 1)),
            beginning,
        );
    }
}

#[test]
fn standard_retries_must_fit_into_a_shorter_call() {
    fine("[upstream.u]\ntimeout = '8s'\n");
    refused(
        "[upstream.u]\ntimeout = '7s'\n",
        "upstream.u.timeout lets 3 attempts of 2s500ms",
    );
    fine("[upstream.u]\ntimeout = '3s'\nretry = false\n");
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
    fine(&upstream("7s"));
    refused(
        &upstream("8s"),
        "upstream.u.bulkhead.waiting_room.longest_wait is 8s",
    );
}

#[test]
fn a_route_that_another_hides_can_never_match() {
    let routes = |first: &str, second: &str| {
        format!(
            "[[server.route]]\nmatch = {{ {first} }}\n[[server.route]]\nmatch = {{ {second} }}\n"
        )
    };
    let hidden = "server.route[1] can never match: `server.route[0]` comes first";
    refused(&routes("path = '/a/{x}'", "path = '/a/{y}'"), hidden);
    refused(&routes("host = 'a'", "host = 'A'"), hidden);
    refused(&routes("", ""), hidden);
    fine(&routes("path = '/a/{x}'", "path = '/a/b'"));
    fine(&routes("path = '/a'", "path = '/a', method = 'GET'"));
    fine(&routes(
        "path = '/a', method = 'POST'",
        "path = '/a', method = 'GET'",
    ));
}

#[test]
fn a_route_that_several_others_hide_together_can_never_match() {
    let routes = |last: &str| {
        let wanted = ["method = 'GET'", "method = ['POST', 'PUT']", last];
        let routes =
            wanted.map(|wanted| format!("[[server.route]]\nmatch = {{ path = '/a', {wanted} }}\n"));
        routes.concat()
    };
    refused(
        &routes("method = ['PUT', 'GET']"),
        "server.route[2] can never match: one of `server.route[0]`, `server.route[1]` comes first",
    );
    fine(&routes("method = ['PUT', 'GET', 'PATCH']"));
    fine(&routes("method = 'HEAD'"));
}

#[test]
fn a_route_whose_conditions_contradict_can_never_match() {
    let route = |wanted: &str| format!("[[server.route]]\nmatch = {{ {wanted} }}\n");
    let cases = [
        (
            "grpc = 'a.B', method = 'GET'",
            "method can never match: gRPC is always POST",
        ),
        ("path = '/search?q=1'", "path can never match"),
        ("host = 'https://a'", "host can never match"),
        (
            "grpc = 'a.B', header = { content-type = 'text/html' }",
            "header can never match",
        ),
        (
            "host = 'a', header = { host = 'b' }",
            "header can never match",
        ),
        (
            "path = '/a', grpc = 'a.B'",
            "grpc is \"a.B\": a rule has a path or a gRPC method",
        ),
        (
            "path = '/{a}b'",
            "path is \"/{a}b\": a parameter is a whole segment",
        ),
        ("grpc = 'a/b/c'", "grpc is \"a/b/c\": a gRPC method is"),
    ];
    for (wanted, what) in cases {
        refused(&route(wanted), &format!("server.route[0].match.{what}"));
    }
    fine(&route("grpc = 'a.B', method = ['POST', 'GET']"));
    fine(&route("host = '*.example.com', header = { x-a = true }"));
    fine(&route("host = 'a.test', header = { host = 'A.test.:80' }"));
}

#[test]
fn policies_must_be_used_and_known() {
    let file = |uses: &str| {
        format!("[policy.pool]\nbulkhead = 4\n[[server.route]]\nmatch = {{ path = '/' }}\n{uses}\n")
    };
    fine(&file("use = ['pool']"));
    fine(&file("use = 'pool'"));
    refused(&file(""), "policy.pool is used by no route and no upstream");
    refused(
        &file("use = ['pool', 'pool']"),
        "server.route[0].use[1] is \"pool\", which is there twice",
    );
    assert_eq!(
        wrong(&file("use = ['poll']")),
        [
            "policy.pool is used by no route and no upstream",
            "server.route[0].use[0] is \"poll\", and there is no policy of that name",
        ]
    );
    fine("[policy.pool]\nbulkhead = 4\n[server.defaults]\nuse = ['pool']\n");
    fine("[policy.pool]\nbulkhead = 4\n[upstream.u]\nuse = ['pool']\n");
    refused(
        "[policy.pool]\n[upstream.u]\nuse = ['pool']\n",
        "policy.pool has no policy that could be shared",
    );
}

#[test]
fn names_are_such_that_refusals_can_carry_them() {
    fine("[upstream.'the payments, mostly']\n");
    let long = "x".repeat(65);
    for bad in ["''", "\"a\\nb\"", "'häuser'", &long] {
        let wrong = wrong(&format!("[upstream.{bad}]\n"));
        assert!(
            wrong.len() == 1 && wrong[0].contains("has a name that"),
            "{wrong:?}"
        );
    }
}

#[test]
fn what_is_for_servers_is_not_shared_with_upstreams() {
    refused(
        "[policy.fair]\nfair_share = { limit = 4, by = 'peer' }\n[upstream.u]\nuse = ['fair']\n",
        "upstream.u.use names \"fair\", whose `fair_share` is for servers",
    );
}

#[test]
fn what_could_not_be_read_may_be_what_uses_a_policy() {
    refused(
        "[policy.pool]\nbulkhead = 4\n[[server.route]]\nuse = ['pool']\n",
        "server.route[0].match is missing",
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
fn a_retry_that_never_comes_is_hardly_meant() {
    let text = "[upstream.u]\nattempt_timeout = false\n";
    let document = Document::parse("test.toml", text, Format::Toml).unwrap();
    let warnings: Vec<_> = document.warnings().iter().collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert_eq!(warnings[0].severity, Severity::Warning);
    assert_eq!((warnings[0].line, warnings[0].column), (2, 19));
    fine("[upstream.u]\nattempt_timeout = false\nretry = 1\n");
}

#[test]
fn an_upstream_retries_or_hedges() {
    refused(
        "[upstream.u]\nretry = 2\nhedge = '50ms'\n",
        "upstream.u.hedge stands beside `retry`",
    );
    fine("[upstream.u]\nhedge = '50ms'\n");
    fine("[upstream.u]\nretry = false\nhedge = '50ms'\n");
}

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
