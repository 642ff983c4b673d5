//! What makes no sense, and how that is said.

use super::*;

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
