//! Hedging by a service config.

use crate::callee::{Body, call_of, grpc, grpc_request};
use buttress::Hedge;
use buttress::service_config::ServiceConfig;
use http::Request;

fn config(throttling: &str) -> ServiceConfig {
    let text = r#"{
        "methodConfig": [
            {
                "name": [{ "service": "shop.Prices" }],
                "hedgingPolicy": {
                    "maxAttempts": 3,
                    "hedgingDelay": "0.05s",
                    "nonFatalStatusCodes": ["UNAVAILABLE"]
                }
            },
            {
                "name": [{ "service": "shop.Prices", "method": "Set" }]
            },
            {
                "name": [{ "service": "shop.Prices", "method": "All" }],
                "hedgingPolicy": { "maxAttempts": 9 }
            },
            {
                "name": [{ "service": "shop.Prices", "method": "Slow" }],
                "hedgingPolicy": { "maxAttempts": 2, "hedgingDelay": "999999999999s" }
            }
        ]THROTTLING
    }"#;
    text.replace("THROTTLING", throttling).parse().unwrap()
}

fn method(name: &str) -> Request<Body> {
    let mut request = grpc_request();
    let uri = format!("http://example.com/shop.Prices/{name}");
    *request.uri_mut() = uri.parse().unwrap();
    request
}

#[tokio::test(start_paused = true)]
async fn each_method_is_hedged_as_the_config_says() {
    let hedge = config("").hedge();
    let slow = [grpc(1_000, "0")];
    for (name, times) in [
        ("Get", vec![0, 50, 100]),
        ("Set", vec![0]),
        ("All", vec![0; 5]),
        ("Slow", vec![0]),
    ] {
        let (log, status, took) = call_of(&hedge, &slow, method(name)).await;
        assert_eq!((log.times(), status.as_str(), took), (times, "0", 1_000));
    }
    let acts = [grpc(10, "14"), grpc(10, "0")];
    let (log, status, _) = call_of(&hedge, &acts, method("Get")).await;
    assert_eq!((log.times(), status.as_str()), (vec![0, 10], "0"));
    // There every code is fatal.
    let (_, status, took) = call_of(&hedge, &acts, method("All")).await;
    assert_eq!((status.as_str(), took), ("14", 10));
    let (log, status, _) = call_of(&hedge, &acts, method("Set")).await;
    assert_eq!((log.all().len(), status.as_str()), (1, "14"));
}

#[tokio::test(start_paused = true)]
async fn its_throttle_stops_hedges_and_may_be_shared() {
    let throttling = r#", "retryThrottling": { "maxTokens": 4, "tokenRatio": 1 }"#;
    let config = config(throttling);
    let fails = [grpc(10, "14")];
    let hedge = config.hedge();
    // Four tokens: the second failure leaves two, which are no more than half.
    let (log, ..) = call_of(&hedge, &fails, method("Get")).await;
    assert_eq!(log.all().len(), 2);
    let (log, ..) = call_of(&hedge, &fails, method("Get")).await;
    assert_eq!(log.all().len(), 1);
    let retry = config.retry();
    let budget = retry.budget().unwrap();
    let builder = Hedge::builder().repeats_all().extra_load(4.0);
    let shares = config.hedge_with(builder.budget(budget.clone())).unwrap();
    budget.failed();
    budget.failed();
    let slow = [grpc(1_000, "0")];
    let (log, ..) = call_of(&shares, &slow, method("Get")).await;
    assert_eq!(log.all().len(), 1);
    let nonsense = Hedge::builder().repeats_all().extra_load(9.0);
    let error = config.hedge_with(nonsense).unwrap_err();
    assert_eq!(error.field(), "extra_load");
}
