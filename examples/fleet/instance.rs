//! One instance of the app.

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use axum::routing::get;
use buttress::{RateLimit, SettingError};
use buttress_redis::{BuildOn, Fleet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::Instant;
use tower::BoxError;

/// The variables by which it is told what it is.
pub(crate) const MODE: &str = "FLEET_MODE";
pub(crate) const URL: &str = "FLEET_URL";

/// Serves until it is killed.
pub(crate) async fn serve(mode: &str) -> Result<(), BoxError> {
    let fleet = Fleet::redis(std::env::var(URL)?).namespace("example");
    let fleet = fleet.connect().await?;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, app(mode, &fleet)?).await?;
    Ok(())
}

fn app(mode: &str, fleet: &Fleet) -> Result<Router, SettingError> {
    let share = match mode {
        "leased" => fleet.leased(),
        "synchronised" => fleet.synchronised(Duration::from_millis(100)),
        _ => fleet.exact(),
    };
    let limit = RateLimit::per_second(crate::LIMIT)
        .burst(crate::LIMIT / 10)
        .announced()
        // In one process: `.build()?`
        .build_on(share)?;
    let times = Times::of(fleet);
    let fleet = fleet.clone();
    let state = times.clone();
    Ok(Router::new()
        .route("/", get(async || "hello\n").layer(limit))
        // Around the limit: what it adds is all that there is to measure.
        .layer(from_fn_with_state(times, measure))
        .route(
            "/state",
            get(async move || {
                let (instances, degraded) = (fleet.instances(), fleet.is_degraded());
                let (p99, alone) = state.since();
                format!("instances {instances}\ndegraded {degraded}\np99 {p99}\nalone {alone}\n")
            }),
        ))
}

async fn measure(State(times): State<Times>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let response = next.run(request).await;
    times.add(start.elapsed());
    response
}

/// How long calls took since somebody asked, in microseconds, and whether any of them came while
/// the store was out of reach.
#[derive(Clone)]
struct Times(Arc<RwLock<(Vec<u32>, bool)>>, Fleet);

impl Times {
    fn of(fleet: &Fleet) -> Self {
        Self(Arc::default(), fleet.clone())
    }

    fn add(&self, took: Duration) {
        let alone = self.1.is_degraded();
        let mut times = self.0.write().unwrap_or_else(PoisonError::into_inner);
        times
            .0
            .push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
        times.1 |= alone;
    }

    fn since(&self) -> (u32, bool) {
        let mut times = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let (mut times, alone) = std::mem::take(&mut *times);
        times.sort_unstable();
        let last = times.len().saturating_sub(1);
        let p99 = times.get(last.min(times.len() * 99 / 100));
        (p99.copied().unwrap_or(0), alone)
    }
}
