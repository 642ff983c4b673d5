mod any_input;
mod refused;

use super::*;
use serde_json::{Value, json};
use std::time::Duration;

fn read(value: &Value) -> Result<ServiceConfig, ServiceConfigError> {
    value.to_string().parse()
}

/// A whole one, in which a test changes something.
fn retry_policy() -> Value {
    json!({
        "maxAttempts": 4,
        "initialBackoff": "0.1s",
        "maxBackoff": "1s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    })
}

fn with(policy: &Value) -> Value {
    json!({ "methodConfig": [{ "name": [{}], "retryPolicy": policy }] })
}

fn first(config: &ServiceConfig) -> &RetryPolicy {
    config.methods()[0].retry().unwrap()
}

#[test]
fn a_whole_service_config_is_read() {
    let config = read(&json!({
        "loadBalancingConfig": [{ "round_robin": {} }],
        "methodConfig": [
            {
                "name": [{ "service": "shop.Orders", "method": "Find" }],
                "waitForReady": true,
                "timeout": "5s",
                "retryPolicy": retry_policy(),
            },
            {
                "name": [{ "service": "shop.Orders" }, { "service": "shop.Prices" }],
                "hedgingPolicy": {
                    "maxAttempts": 3,
                    "hedgingDelay": "0.025s",
                    "nonFatalStatusCodes": ["UNAVAILABLE", 13],
                },
            },
            { "name": [{}] },
        ],
        "retryThrottling": { "maxTokens": 10, "tokenRatio": 0.1 },
    }))
    .unwrap();
    let policy = first(&config);
    assert_eq!(policy.attempts(), 4);
    assert_eq!(policy.initial_backoff(), Duration::from_millis(100));
    assert_eq!(policy.max_backoff(), Duration::from_secs(1));
    assert!((policy.backoff_multiplier() - 2.0).abs() < 1e-9);
    assert!(policy.retryable_status_codes().contain(14));
    assert!(!policy.retryable_status_codes().contain(13));
    let hedging = config.methods()[1].hedging().unwrap();
    assert_eq!(hedging.attempts(), 3);
    assert_eq!(hedging.delay(), Duration::from_millis(25));
    assert_eq!(
        format!("{:?}", hedging.non_fatal_status_codes()),
        r#"{"INTERNAL", "UNAVAILABLE"}"#
    );
    let throttling = config.throttling().unwrap();
    assert_eq!(
        (throttling.max_tokens(), throttling.token_ratio()),
        (10_000, 100)
    );
}

#[test]
fn the_most_exact_name_counts() {
    let policy = |attempts| {
        let mut policy = retry_policy();
        policy["maxAttempts"] = json!(attempts);
        policy
    };
    let config = read(&json!({ "methodConfig": [
        { "name": [{}], "retryPolicy": policy(2) },
        { "name": [{ "service": "shop.Orders" }], "retryPolicy": policy(3) },
        { "name": [{ "service": "shop.Orders", "method": "Find" }], "retryPolicy": policy(4) },
        { "name": [{ "service": "shop.Orders", "method": "Pay" }] },
    ]}))
    .unwrap();
    let rules = config.rules();
    for (path, attempts) in [
        ("/shop.Orders/Find", Some(4)),
        ("/shop.Orders/List", Some(3)),
        // Named in order not to be retried.
        ("/shop.Orders/Pay", None),
        ("/shop.Order/Find", Some(2)),
        ("/other.Service/Find", Some(2)),
        ("/", Some(2)),
        ("", Some(2)),
    ] {
        let found = config.method(path).and_then(MethodConfig::retry);
        assert_eq!(found.map(RetryPolicy::attempts), attempts, "{path}");
        let path = path.trim_start_matches('/');
        let rules = rules.find(path).and_then(|index| rules.rules(index));
        assert_eq!(rules.map(|rules| rules.attempts), attempts, "{path}");
    }
}

#[test]
fn more_than_five_attempts_count_as_five() {
    for (given, counts) in [
        (json!(2), 2),
        (json!(5), 5),
        (json!(6), 5),
        (json!(4_294_967_296_u64), 5),
        (json!(3.0), 3),
        (json!("3"), 3),
    ] {
        let mut policy = retry_policy();
        policy["maxAttempts"] = given.clone();
        assert_eq!(
            first(&read(&with(&policy)).unwrap()).attempts(),
            counts,
            "{given}"
        );
    }
}

#[test]
fn status_codes_are_numbers_or_names_in_any_case() {
    for code in [
        json!(14),
        json!("unavailable"),
        json!("UnAvailable"),
        json!("14"),
        json!(14.0),
    ] {
        let mut policy = retry_policy();
        policy["retryableStatusCodes"] = json!([code]);
        let config = read(&with(&policy)).unwrap();
        assert!(
            first(&config).retryable_status_codes().contain(14),
            "{code}"
        );
    }
}

#[test]
fn three_decimals_of_a_token_count() {
    for (given, counts) in [
        (0.001, 1),
        (0.1, 100),
        (0.29, 290),
        (0.5559, 555),
        (1e30, u32::MAX),
    ] {
        let config = json!({ "retryThrottling": { "maxTokens": 10, "tokenRatio": given } });
        let throttling = read(&config).unwrap().throttling().unwrap();
        assert_eq!(throttling.token_ratio(), counts, "{given}");
    }
}
