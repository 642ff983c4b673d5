//! Three tiers, the lowest of which fails: how often is it called?
//!
//! Where each of three callers makes three attempts, the lowest tier sees 27 for each call, at the
//! very moment when it can bear least. Here the caller right above it retries, within a budget; when
//! that is of no use, the failure says that it must not be retried, and passes through the tiers as
//! it is.

use crate::local::{connector, serve};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use buttress::{Attempt, Backoff, IncomingAttempt, Retry, SettingError};
use bytes::Bytes;
use http::{StatusCode, Uri};
use http_body_util::{BodyExt, Empty};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

/// Attempts at each tier.
const ATTEMPTS: u32 = 3;

/// The header in which retries say what they are.
const PREVIOUS: &str = "x-previous-attempts";

/// How one tier calls the next.
pub type TierClient = BoxCloneSyncService<http::Request<Empty<Bytes>>, Response, BoxError>;

/// A client that retries within bounds.
///
/// # Errors
///
/// A setting makes no sense.
pub fn protected() -> Result<TierClient, SettingError> {
    let retry = Retry::builder()
        .attempts(ATTEMPTS)
        .backoff(Backoff::exponential(
            Duration::from_millis(1),
            Duration::from_millis(10),
        )?)
        .attempt_header(PREVIOUS)
        .not_of_retries()
        .build()?;
    let service = ServiceBuilder::new()
        .layer(retry)
        .map_err(BoxError::from)
        .service(connector())
        .map_response(|response| response.map(Body::new));
    Ok(BoxCloneSyncService::new(service))
}

/// A client that makes three attempts, whatever the answer says.
pub fn naive() -> TierClient {
    let client = connector();
    BoxCloneSyncService::new(service_fn(move |request: http::Request<Empty<Bytes>>| {
        let client = client.clone();
        async move {
            for _ in 1..ATTEMPTS {
                let response = client.request(request.clone()).await?;
                if response.status().is_success() {
                    return Ok(response.map(Body::new));
                }
            }
            Ok(client.request(request).await?.map(Body::new))
        }
    }))
}

/// The lowest tier. It has failed, and counts who calls all the same.
#[derive(Clone, Debug, Default)]
pub struct Bottom {
    calls: Arc<AtomicU64>,
}

impl Bottom {
    /// How often it has been called.
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn app(&self) -> Router {
        let calls = Arc::clone(&self.calls);
        let fail = move || async move {
            calls.fetch_add(1, Ordering::Relaxed);
            StatusCode::SERVICE_UNAVAILABLE
        };
        Router::new().fallback(any(fail))
    }
}

/// A tier in the middle: it does its work by calling the next one.
fn tier(client: TierClient, next: Uri) -> Result<Router, SettingError> {
    let forward = move |State(client): State<TierClient>, incoming: Request| async move {
        let mut request = http::Request::new(Empty::new());
        *request.uri_mut() = next;
        // Part of the same attempt, so that retries are known as such further down, and what is
        // learnt there comes back.
        if let Some(attempt) = Attempt::of(incoming.extensions()) {
            attempt.put(request.extensions_mut());
        }
        match client.oneshot(request).await {
            // An answer of its own, as most services make it: it has no header of the callee's.
            Ok(response) if !response.status().is_success() => {
                (StatusCode::BAD_GATEWAY, "the next tier failed").into_response()
            }
            Ok(response) => response,
            Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
        }
    };
    Ok(Router::new()
        .fallback(any(forward))
        .with_state(client)
        .layer(IncomingAttempt::new().header(PREVIOUS)?))
}

/// What came of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The calls that users made.
    pub top_calls: u64,
    /// The calls that the lowest tier saw.
    pub bottom_calls: u64,
}

/// Makes so many calls of the highest of three tiers, 16 at a time. `client` makes one for each
/// hop: from the user to the first tier, and on to the second and the third.
///
/// # Errors
///
/// There is no port to listen on, or a setting makes no sense.
pub async fn run(
    calls: u64,
    client: impl Fn() -> Result<TierClient, SettingError>,
) -> Result<Report, BoxError> {
    let bottom = Bottom::default();
    let third = serve(bottom.app()).await?;
    let second = serve(tier(client()?, third)?).await?;
    let first = serve(tier(client()?, second)?).await?;
    let user = client()?;
    let at_once = Arc::new(Semaphore::new(16));
    let mut tasks = JoinSet::new();
    for _ in 0..calls {
        let turn = Arc::clone(&at_once).acquire_owned().await?;
        let mut request = http::Request::new(Empty::new());
        *request.uri_mut() = first.clone();
        let call = user.clone().oneshot(request);
        tasks.spawn(async move {
            let answer = call.await;
            if let Ok(response) = answer {
                // To its end, so that the connection is used again.
                let _ = response.into_body().collect().await;
            }
            drop(turn);
        });
    }
    tasks.join_all().await;
    Ok(Report {
        top_calls: calls,
        bottom_calls: bottom.calls(),
    })
}
