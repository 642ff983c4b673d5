//! The quickstart over real sockets.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_examples::quickstart::app;
use common::{get, serve_with_peers};
use reqwest::{Response, StatusCode};

async fn serve() -> String {
    serve_with_peers(app().unwrap()).await
}

fn field<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

#[tokio::test]
async fn hello_tells_how_much_is_left() {
    let url = serve().await;
    let response = get(&format!("{url}/hello")).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(
        field(&response, "ratelimit-policy"),
        Some("\"per-client\";q=100;w=1")
    );
    let left = field(&response, "ratelimit").unwrap();
    assert!(left.starts_with("\"per-client\";r=99;t="), "{left}");
}

#[tokio::test]
async fn limited_lets_five_pass_and_refuses_the_sixth() {
    let url = format!("{}/limited", serve().await);
    for _ in 0..5 {
        assert_eq!(get(&url).await.status(), StatusCode::OK);
    }
    let refused = get(&url).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u32 = field(&refused, "retry-after").unwrap().parse().unwrap();
    assert!((1..=10).contains(&wait), "{wait}");
    assert_eq!(
        field(&refused, "content-type"),
        Some("application/problem+json")
    );
    let body = refused.text().await.unwrap();
    assert!(body.contains("\"status\":429"), "{body}");
    assert!(
        body.contains("\"violated-policies\":[\"scarce\"]"),
        "{body}"
    );
}

#[tokio::test]
async fn slow_is_answered_with_504() {
    let response = get(&format!("{}/slow", serve().await)).await;
    assert_eq!(response.status(), StatusCode::GATEWAY_TIMEOUT);
}

/// What the third call at once gets is in `processes.rs`.
#[tokio::test]
async fn busy_is_served_on_a_free_slot() {
    let url = format!("{}/busy", serve().await);
    assert_eq!(get(&url).await.status(), StatusCode::OK);
}
