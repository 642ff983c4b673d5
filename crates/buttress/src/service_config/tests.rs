use super::*;
use proptest::prelude::*;
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
fn nonsense_is_refused_with_its_place() {
    for (field, value, expected) in [
        (
            "maxAttempts",
            json!(1),
            "is 1, but must be a whole number above 1",
        ),
        (
            "maxAttempts",
            json!(2.5),
            "is 2.5, but must be a whole number above 1",
        ),
        (
            "maxAttempts",
            json!(-3),
            "is -3, but must be a whole number above 1",
        ),
        (
            "maxAttempts",
            json!(true),
            "is true, but must be a whole number above 1",
        ),
        ("maxAttempts", Value::Null, "is missing"),
        (
            "initialBackoff",
            json!("0s"),
            r#"is "0s", but must be a time above 0 such as "0.5s""#,
        ),
        (
            "initialBackoff",
            json!("-1s"),
            r#"is "-1s", but must be a time above 0 such as "0.5s""#,
        ),
        (
            "initialBackoff",
            json!(1),
            r#"is 1, but must be a time above 0 such as "0.5s""#,
        ),
        ("initialBackoff", Value::Null, "is missing"),
        (
            "maxBackoff",
            json!("1m"),
            r#"is "1m", but must be a time above 0 such as "0.5s""#,
        ),
        (
            "maxBackoff",
            json!("0.0000000001s"),
            r#"is "0.0000000001s", but must be a time above 0 such as "0.5s""#,
        ),
        (
            "backoffMultiplier",
            json!(0),
            "is 0, but must be a number above 0",
        ),
        (
            "backoffMultiplier",
            json!("NaN"),
            r#"is "NaN", but must be a number above 0"#,
        ),
        (
            "retryableStatusCodes",
            json!([]),
            "is [], but must be at least one status code",
        ),
        (
            "retryableStatusCodes",
            json!("UNAVAILABLE"),
            r#"is "UNAVAILABLE", but must be an array"#,
        ),
        ("retryableStatusCodes", Value::Null, "is missing"),
    ] {
        let mut policy = retry_policy();
        policy[field] = value;
        let error = read(&with(&policy)).unwrap_err();
        assert_eq!(
            error.place(),
            format!("methodConfig[0].retryPolicy.{field}")
        );
        assert_eq!(error.problem(), expected);
    }
    let mut policy = retry_policy();
    policy["retryableStatusCodes"] = json!(["UNAVAILABLE", 17]);
    assert_eq!(
        read(&with(&policy)).unwrap_err().to_string(),
        "methodConfig[0].retryPolicy.retryableStatusCodes[1] is 17, but must be a status code: its \
         number, 0 to 16, or its name"
    );
}

#[test]
fn so_is_what_does_not_fit_together() {
    let hedging = json!({ "maxAttempts": 2 });
    for (config, expected) in [
        (json!([]), "the service config is [], but must be an object"),
        (
            json!({ "methodConfig": {} }),
            "methodConfig is {}, but must be an array",
        ),
        (
            json!({ "methodConfig": [7] }),
            "methodConfig[0] is 7, but must be an object",
        ),
        (
            json!({ "methodConfig": [{ "retryPolicy": retry_policy(), "hedgingPolicy": hedging }] }),
            "methodConfig[0] has a retryPolicy and a hedgingPolicy, but must have one of them",
        ),
        (
            json!({ "methodConfig": [{ "name": [{ "method": "Find" }] }] }),
            "methodConfig[0].name[0] has a method, but no service",
        ),
        (
            json!({ "methodConfig": [{ "name": [{ "service": 7 }] }] }),
            "methodConfig[0].name[0].service is 7, but must be a string",
        ),
        (
            json!({ "methodConfig": [{ "name": [{ "service": "a" }] }, { "name": [{ "service": "a" }] }] }),
            "methodConfig[1].name[0] names what has been named before",
        ),
        (
            json!({ "methodConfig": [{ "hedgingPolicy": {} }] }),
            "methodConfig[0].hedgingPolicy.maxAttempts is missing",
        ),
        (
            json!({ "methodConfig": [{ "hedgingPolicy": { "maxAttempts": 2, "hedgingDelay": "x" } }] }),
            "methodConfig[0].hedgingPolicy.hedgingDelay is \"x\", but must be a time such as \"0.5s\"",
        ),
        (
            json!({ "retryThrottling": { "maxTokens": 1001, "tokenRatio": 1 } }),
            "retryThrottling.maxTokens is 1001, but must be more than 0 and at most 1000",
        ),
        (
            json!({ "retryThrottling": { "maxTokens": 10, "tokenRatio": 0.0004 } }),
            "retryThrottling.tokenRatio is 0.0004, but must be a number above 0, of which three \
             decimals count",
        ),
        (
            json!({ "retryThrottling": { "maxTokens": 10 } }),
            "retryThrottling.tokenRatio is missing",
        ),
    ] {
        assert_eq!(read(&config).unwrap_err().to_string(), expected);
    }
    let error = "{\"methodConfig\": [}"
        .parse::<ServiceConfig>()
        .unwrap_err();
    assert!(error.problem().ends_with("at line 1 column 19"), "{error}");
    let endless = " "
        .repeat((1 << 20) + 1)
        .parse::<ServiceConfig>()
        .unwrap_err();
    assert_eq!(
        endless.problem(),
        "has 1048577 bytes, but must have at most 1048576"
    );
    assert!("[".repeat(100_000).parse::<ServiceConfig>().is_err());
}

#[test]
fn a_long_value_is_not_shown_whole() {
    let mut policy = retry_policy();
    policy["maxAttempts"] = json!("ä".repeat(10_000));
    let error = read(&with(&policy)).unwrap_err();
    assert!(error.to_string().len() < 250, "{error}");
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

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[-0-9.eEs]{0,16}".prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
        Just(json!("UNAVAILABLE")),
        Just(json!("0.1s")),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        // The names that are read, and one that is not.
        let name = proptest::sample::select(vec![
            "methodConfig",
            "name",
            "service",
            "method",
            "retryPolicy",
            "hedgingPolicy",
            "retryThrottling",
            "maxAttempts",
            "initialBackoff",
            "maxBackoff",
            "backoffMultiplier",
            "retryableStatusCodes",
            "hedgingDelay",
            "nonFatalStatusCodes",
            "maxTokens",
            "tokenRatio",
            "other",
        ]);
        let fields = proptest::collection::vec((name, inner.clone()), 0..8);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            fields.prop_map(|fields| fields.into_iter().collect()),
        ]
    })
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text: String) {
        let _ = text.parse::<ServiceConfig>();
    }

    #[test]
    fn no_json_makes_it_panic_and_what_is_read_makes_sense(value in any_json()) {
        if let Ok(config) = read(&value) {
            for policy in config.methods().iter().filter_map(MethodConfig::retry) {
                prop_assert!((2..=5).contains(&policy.attempts()));
                prop_assert!(!policy.initial_backoff().is_zero());
                prop_assert!(!policy.retryable_status_codes().is_empty());
            }
            let _ = config.retry();
        }
    }

    #[test]
    fn a_policy_with_any_values_is_read_or_refused(
        field in proptest::sample::select(vec![
            "maxAttempts",
            "initialBackoff",
            "maxBackoff",
            "backoffMultiplier",
            "retryableStatusCodes",
        ]),
        value in any_json(),
    ) {
        let mut policy = retry_policy();
        policy[field] = value;
        if let Err(error) = read(&with(&policy)) {
            prop_assert!(error.place().starts_with("methodConfig[0].retryPolicy."), "{}", error);
        }
    }

    #[test]
    fn times_are_read_as_they_are_written(seconds in 0_u64..1_000_000_000, decimals in "[0-9]{1,9}") {
        let mut policy = retry_policy();
        policy["maxBackoff"] = json!(format!("{seconds}.{decimals}s"));
        let nanoseconds: u32 = format!("{decimals:0<9}").parse().unwrap();
        let time = Duration::new(seconds, nanoseconds);
        match read(&with(&policy)) {
            Ok(config) => prop_assert_eq!(first(&config).max_backoff(), time),
            Err(_) => prop_assert!(time.is_zero()),
        }
    }
}
