//! The layers in axum, where they are meant to be.
#![cfg(feature = "axum")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use axum::Router;
use axum::body::Body;
use axum::handler::Handler;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use buttress::{Bulkhead, RateLimit, Timeout, guard};
use http_body_util::BodyExt;
use std::time::Duration;
use tower::ServiceExt;

async fn status(app: &Router, path: &str) -> StatusCode {
    let request = Request::get(path).body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap().status()
}

#[tokio::test(start_paused = true)]
async fn layers_go_where_axum_takes_layers() {
    let slots = Bulkhead::new(2).unwrap();
    let timeout = Timeout::new(Duration::from_secs(1)).unwrap();
    let limit = RateLimit::per_second(1).build().unwrap();
    let app = Router::new()
        .route(
            "/method",
            get(|| async { "ok" }).layer((limit.clone(), slots.clone(), timeout)),
        )
        .route("/handler", get((|| async { "ok" }).layer(limit.clone())))
        .route("/slow", get(std::future::pending::<&str>).layer(timeout))
        .route(
            "/guard",
            get(|| async { "ok" }).layer(guard((limit.clone(), slots.clone()))),
        )
        .layer(slots.clone())
        .layer(timeout);
    assert_eq!(status(&app, "/method").await, StatusCode::OK);
    assert_eq!(
        status(&app, "/handler").await,
        StatusCode::TOO_MANY_REQUESTS
    );
    assert_eq!(status(&app, "/guard").await, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(status(&app, "/slow").await, StatusCode::GATEWAY_TIMEOUT);
    let request = Request::get("/handler").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.is_empty() || body == "ok" || body.starts_with(b"{"));
    assert_eq!(slots.in_flight(), 0);
}
