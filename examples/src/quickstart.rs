//! An axum service whose routes are protected.

use axum::Router;
use axum::routing::get;
use buttress::{Bulkhead, RateLimit, SettingError, Timeout, key::peer};
use std::time::Duration;

/// The routes.
///
/// # Errors
///
/// A setting makes no sense.
pub fn app() -> Result<Router, SettingError> {
    // Each client 100 calls a second; the response says how many are left.
    let per_client = RateLimit::per_second(100)
        .named("per-client")
        .announced()
        .by(peer())
        .build()?;
    // Five at once, and then one every ten seconds.
    let scarce = RateLimit::per_minute(6)
        .burst(5)
        .named("scarce")
        .announced()
        .build()?;
    // Two at once, over all connections: the clones of a handle share.
    let slots = Bulkhead::new(2)?;
    let in_a_second = Timeout::new(Duration::from_secs(1))?;

    Ok(Router::new()
        .route("/hello", get(hello).layer((per_client, in_a_second)))
        .route("/limited", get(hello).layer(scarce))
        .route("/slow", get(slow).layer(in_a_second))
        .route("/busy", get(busy).layer((slots, in_a_second))))
}

async fn hello() -> &'static str {
    "hello\n"
}

async fn slow() -> &'static str {
    tokio::time::sleep(Duration::from_secs(60)).await;
    "at last\n"
}

async fn busy() -> &'static str {
    tokio::time::sleep(Duration::from_millis(500)).await;
    "done\n"
}
