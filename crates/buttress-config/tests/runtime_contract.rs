//! The layers that a file makes keep the contract.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::testing::{BrokenRule, Contract, Fixture};
use buttress_config::{PolicyStatus, Rules};

macro_rules! keeps_the_contract {
    ($($name:ident: $contract:expr;)*) => {$(
        #[test]
        fn $name() -> Result<(), BrokenRule> {
            $contract
        }
    )*};
}

/// How many calls the policies of these rules hold or make wait.
fn in_use(rules: &Rules) -> usize {
    let count = |status: &PolicyStatus, field: &str| {
        let value = status
            .details
            .get(field)
            .and_then(serde_json::Value::as_u64);
        usize::try_from(value.unwrap_or(0)).unwrap()
    };
    let policies = rules.policies();
    policies
        .iter()
        .map(|status| count(status, "in_flight") + count(status, "waiting"))
        .sum()
}

fn server(file: &str) -> Fixture<buttress_config::Server> {
    let rules = Rules::from_toml(file).unwrap();
    Fixture::new(rules.server()).in_use(move || in_use(&rules))
}

fn upstream(file: &str) -> Fixture<buttress_config::UpstreamLayer> {
    let rules = Rules::from_toml(file).unwrap();
    Fixture::new(rules.upstream("one").unwrap()).in_use(move || in_use(&rules))
}

/// Nothing at all.
const BARE: &str = r"
[server.defaults]
deadline = false
attempt = false
criticality = false
pressure = false
";

const BULKHEAD: &str = r"
[server.defaults]
pressure = false
bulkhead = 2
";

const ROOM: &str = r#"
[server.defaults]
pressure = false
bulkhead = { limit = 2, waiting_room = { places = 8, longest_wait = "1s" }, priority = true }
"#;

const ALL: &str = r#"
[policy.shared]
bulkhead = { limit = 2, shuffle_sharded = { compartments = 4, per_key = 2 }, by = "authority", missing_key = "shared" }
rate_limit = "1000000/s"

[server.defaults]
use = ["shared"]
pressure = false
deadline_shedder = true
rate_limit = { rate = "1000000/s", by = "method", announced = true }
fair_share = { limit = 100, by = "method" }
bulkhead = 50
adaptive_limit = { algorithm = "vegas" }
queue_delay = true
timeout = { headers = "2s", idle_body = "2s", whole_body = "3s" }
"#;

const SHADOW: &str = r"
[server.defaults]
pressure = false
bulkhead = { limit = 1, shadow = true }
";

const PLAIN_UPSTREAM: &str = r"
[upstream.one]
timeout = false
retry = false
circuit_breaker = false
attempt_timeout = false
";

const STANDARD: &str = "[upstream.one]";

const LIMITED: &str = r#"
[upstream.one]
retry = false
bulkhead = 2
rate_limit = "1000000/s"
throttle = true
coalesce = true
stale_if_error = true
deadline_header = "header:x-timeout-ms"
criticality_header = true
"#;

const HEDGED: &str = r#"
[upstream.one]
hedge = "1s"
"#;

keeps_the_contract! {
    a_server_without_anything: Contract::new(|| server(BARE)).check_http();
    the_standard_server: Contract::new(|| server("")).check_http();
    a_bulkhead_from_a_file: Contract::new(|| server(BULKHEAD)).limit(2).check_http();
    a_waiting_room_from_a_file: Contract::new(|| server(ROOM)).limit(2).waiting().check_http();
    a_bulkhead_in_shadow: Contract::new(|| server(SHADOW)).check_http();
    every_policy_at_once: Contract::new(|| server(ALL)).check_http();
    an_upstream_without_anything: Contract::new(|| upstream(PLAIN_UPSTREAM)).check_http();
    the_standard_upstream: Contract::new(|| upstream(STANDARD)).check_http();
    a_limited_upstream: Contract::new(|| upstream(LIMITED)).limit(2).check_http();
    a_hedged_upstream: Contract::new(|| upstream(HEDGED)).check_http();
}
