//! Whatever comes in.

use super::*;
use proptest::prelude::*;

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
