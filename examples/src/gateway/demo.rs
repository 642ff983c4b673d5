//! An upstream to try the gateway with.

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use http::StatusCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::sleep;
use tokio_stream::{StreamExt as _, iter};
use tower::BoxError;

/// Where `examples/gateway.toml` has it.
pub const ADDRESS: &str = "127.0.0.1:8081";

/// A path that is slow, one that fails now and then, one that streams, and others.
pub fn app() -> Router {
    Router::new()
        .route("/slow", any(|| sleep(Duration::from_secs(3))))
        .route("/flaky", any(flaky))
        .route("/stream", get(stream))
        .fallback(|| async { "hello\n" })
}

/// Every other half of a second it is not well.
async fn flaky() -> StatusCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    match now.map_or(0, |now| now.subsec_millis()) {
        0..500 => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::OK,
    }
}

async fn stream() -> Body {
    let ticks = iter(1..=10).map(|tick| Ok::<_, BoxError>(format!("{tick}\n")));
    Body::from_stream(ticks.throttle(Duration::from_millis(500)))
}
