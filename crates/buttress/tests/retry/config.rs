//! Retries as a gRPC service config has them.

use crate::script::{Callee, grpc_trailers};
use buttress::Retry;
use buttress::retry::Everything;
use buttress::service_config::ServiceConfig;
use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use tower::{Layer, ServiceExt};

const CONFIG: &str = r#"{
    "methodConfig": [
        {
            "name": [{ "service": "shop.Orders", "method": "Find" }],
            "retryPolicy": {
                "maxAttempts": 9,
                "initialBackoff": "0.1s",
                "maxBackoff": "0.3s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", 10]
            }
        },
        {
            "name": [{ "service": "shop.Orders" }],
            "hedgingPolicy": { "maxAttempts": 2 }
        }
    ]
}"#;

fn retry() -> Retry<Everything> {
    CONFIG.parse::<ServiceConfig>().unwrap().retry()
}

async fn asked(retry: &Retry<Everything>, path: &str, code: &'static str) -> Callee {
    let callee = Callee::new().then(move || Ok(grpc_trailers(&[("grpc-status", code)])));
    let request = Request::post(format!("http://example.com{path}"))
        .header("content-type", "application/grpc")
        .body(Empty::<Bytes>::new());
    let _ = retry.layer(callee.clone()).oneshot(request.unwrap()).await;
    callee
}

#[tokio::test(start_paused = true)]
async fn each_method_is_retried_after_its_codes_only() {
    for (path, code, expected) in [
        ("/shop.Orders/Find", "14", 5),
        ("/shop.Orders/Find", "10", 5),
        ("/shop.Orders/Find", "8", 1),
        ("/shop.Orders/Find", "0", 1),
        ("/shop.Orders/List", "14", 1),
        ("/shop.Other/Find", "14", 1),
    ] {
        let callee = asked(&retry(), path, code).await;
        assert_eq!(callee.times(), expected, "{path} {code}");
    }
}

#[tokio::test(start_paused = true)]
async fn waits_are_within_a_fifth_of_what_the_config_says() {
    for _ in 0..50 {
        let instants = asked(&retry(), "/shop.Orders/Find", "14").await.instants();
        let waits = instants.windows(2).map(|pair| pair[1] - pair[0]);
        for (wait, exact) in waits.zip([100, 200, 300, 300]) {
            // Timers are rounded up to the next millisecond.
            assert!(
                (exact * 8 / 10..=exact * 12 / 10 + 2).contains(&wait),
                "{instants:?}"
            );
        }
    }
}

/// Also where the code says that the callee is well.
#[tokio::test(start_paused = true)]
async fn a_pushback_counts_with_every_code() {
    for (pushback, expected) in [("-1", 1), ("20", 5)] {
        let fields = move || [("grpc-status", "10"), ("grpc-retry-pushback-ms", pushback)];
        let callee = Callee::new().then(move || Ok(grpc_trailers(&fields())));
        let request = Request::post("http://example.com/shop.Orders/Find")
            .header("content-type", "application/grpc")
            .body(Empty::<Bytes>::new());
        let _ = retry()
            .layer(callee.clone())
            .oneshot(request.unwrap())
            .await;
        assert_eq!(callee.times(), expected);
        let instants = callee.instants();
        for pair in instants.windows(2) {
            assert!((20..23).contains(&(pair[1] - pair[0])), "{instants:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_configs_throttle_is_the_budget() {
    let throttled = CONFIG.trim_end().trim_end_matches('}');
    let throttled =
        format!("{throttled}, \"retryThrottling\": {{\"maxTokens\": 4, \"tokenRatio\": 0.1}} }}");
    let config: ServiceConfig = throttled.parse().unwrap();
    let retry = config.retry();
    // Four tokens: the second failure leaves two, which is no more than half.
    assert_eq!(asked(&retry, "/shop.Orders/Find", "14").await.times(), 2);
    assert_eq!(asked(&retry, "/shop.Orders/Find", "14").await.times(), 1);
    let builder = Retry::builder().repeats_all().attempts(10).no_budget();
    let retry = config.retry_with(builder).unwrap();
    assert_eq!(asked(&retry, "/shop.Orders/Find", "14").await.times(), 2);
    let nonsense = config.retry_with(Retry::builder().replay_limit(usize::MAX));
    assert_eq!(nonsense.unwrap_err().field(), "replay_limit");
}
