//! What a client's layers do for a service and for what it calls, over real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::routing::get;
use buttress::CircuitBreaker;
use buttress::circuit_breaker::CircuitState;
use buttress_examples::downstream::{self, Plan, UpstreamClient};
use buttress_examples::grpc::greeter::HelloRequest;
use buttress_examples::grpc_client::{self, Unreliable};
use buttress_examples::{local, reqwest, tiers};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tonic::transport::Endpoint;
use tower::ServiceExt;

/// Calls the service in front so many times, of an upstream that always fails, and returns how often
/// that was called.
async fn attempts(client: UpstreamClient, calls: u32) -> u32 {
    let attempts = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&attempts);
    let fail = move || async move {
        seen.fetch_add(1, Ordering::Relaxed);
        StatusCode::SERVICE_UNAVAILABLE
    };
    let upstream = Router::new().route("/", get(fail));
    let upstream = local::serve(upstream).await.unwrap();
    let front = downstream::front(client, upstream);
    let front = local::serve(front).await.unwrap();
    let user = local::connector::<Full<bytes::Bytes>>();
    for _ in 0..calls {
        let response = user.get(front.clone()).await.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        response.into_body().collect().await.unwrap();
    }
    attempts.load(Ordering::Relaxed)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_fails_is_left_alone() {
    const CALLS: u32 = 100;
    let naive = attempts(downstream::naive(), CALLS).await;
    assert_eq!(naive, 4 * CALLS);
    // The first few open the breaker. From then on at most one call in 200 ms is let through, however
    // slow this machine is.
    let protected = attempts(downstream::protected().unwrap(), CALLS).await;
    assert!(protected < 2 * CALLS, "{protected} attempts");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_makes_the_calls_of_its_plan() {
    let plan = Plan {
        rate: 100,
        well_slow_well: [200, 100, 200].map(Duration::from_millis),
    };
    let protected = downstream::protected().unwrap();
    let report = downstream::run(protected, plan).await.unwrap();
    assert_eq!(report.calls, 50);
    assert!(report.succeeded <= report.calls);
    assert!(report.attempts > 0);
}

/// Three tiers of three attempts: 27 calls of the lowest without bounds, and not more than 1.2 with
/// them.
#[tokio::test(flavor = "multi_thread")]
async fn a_failing_tier_is_not_called_many_times_for_one_call() {
    let naive = tiers::run(100, || Ok(tiers::naive())).await.unwrap();
    assert_eq!(naive.bottom_calls, 27 * naive.top_calls);
    let protected = tiers::run(1_000, tiers::protected).await.unwrap();
    assert!(protected.bottom_calls >= protected.top_calls);
    assert!(
        5 * protected.bottom_calls <= 6 * protected.top_calls,
        "{protected:?}"
    );
}

async fn greeter(
    server: &Unreliable,
    breaker: &CircuitBreaker,
) -> grpc_client::GreeterClient<grpc_client::Protected> {
    let address = server.serve().await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let channel = endpoint.connect().await.unwrap();
    grpc_client::client(channel, breaker).unwrap()
}

fn hello() -> HelloRequest {
    HelloRequest {
        name: "test".to_owned(),
        delay_ms: 0,
    }
}

#[tokio::test]
async fn tonic_calls_are_retried_as_the_service_config_says() {
    let server = Unreliable::new(3);
    let breaker = CircuitBreaker::new("greeter").unwrap();
    let mut client = greeter(&server, &breaker).await;
    let reply = client.say_hello(hello()).await.unwrap().into_inner();
    assert_eq!(reply.message, "hello, test");
    assert_eq!(server.calls(), 4);
}

/// The status of a stream is in its trailers, where the breaker finds it.
#[tokio::test]
async fn failures_in_trailers_open_the_breaker() {
    let server = Unreliable::new(1_000);
    let breaker = CircuitBreaker::new("greeter").unwrap();
    let mut client = greeter(&server, &breaker).await;
    for _ in 0..5 {
        // Whether the failure is seen with the headers, and retried, is a matter of packets.
        if let Ok(stream) = client.keep_saying_hello(hello()).await {
            assert!(stream.into_inner().message().await.is_err());
        }
    }
    assert_eq!(breaker.state(), CircuitState::Open);
    let calls = server.calls();
    let refused = client.say_hello(hello()).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(refused.message(), "the service is recovering");
    assert_eq!(server.calls(), calls);
}

#[tokio::test]
async fn reqwest_is_retried_with_its_body() {
    let calls = Arc::new(AtomicU32::new(0));
    let seen = Arc::clone(&calls);
    let echo = move |body: String| async move {
        match seen.fetch_add(1, Ordering::Relaxed) {
            0 => Err(StatusCode::SERVICE_UNAVAILABLE),
            _ => Ok(body),
        }
    };
    let app = Router::new().route("/", get("").put(echo));
    let url = local::serve(app).await.unwrap();
    let breaker = CircuitBreaker::new("upstream").unwrap();
    let client = reqwest::protected(::reqwest::Client::new(), breaker).unwrap();
    let request = Request::put(url).body(Full::from("the body")).unwrap();
    let response = client.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "the body");
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
