//! Requests to the router for operators.
#![allow(dead_code, reason = "not every test uses all of it")]

use axum::Router;
use axum::body::{Body, to_bytes};
use http::{Request, StatusCode, header};
use serde_json::Value;
use tower::ServiceExt;

pub(crate) const BREAKER: &str = "upstream.payments/circuit_breaker";

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

/// One whose body is JSON, or says so.
#[expect(
    clippy::needless_pass_by_value,
    reason = "what is sent is written where it is sent"
)]
pub(crate) fn post(path: &str, body: impl ToString) -> Request<Body> {
    Request::post(path)
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body.to_string()))
        .unwrap()
}

pub(crate) fn with_token(token: &str, mut request: Request<Body>) -> Request<Body> {
    let token = format!("Bearer {token}").parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, token);
    request
}

/// Every answer is JSON, and is not kept.
pub(crate) async fn ask(router: &Router, request: Request<Body>) -> (StatusCode, Value) {
    let response = router.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let expected = if head.status.is_success() {
        "application/json"
    } else {
        "application/problem+json"
    };
    assert_eq!(head.headers[header::CONTENT_TYPE], expected, "{head:?}");
    let kept = head.headers.get(header::CACHE_CONTROL);
    assert_eq!(kept.unwrap(), "no-store", "{head:?}");
    let challenge = head.headers.get(header::WWW_AUTHENTICATE);
    assert_eq!(challenge.is_some(), head.status == StatusCode::UNAUTHORIZED);
    let body = to_bytes(body, 1 << 20).await.unwrap();
    (head.status, serde_json::from_slice(&body).unwrap())
}
