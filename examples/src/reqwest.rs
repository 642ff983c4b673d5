//! reqwest behind the layers.
//!
//! The layers know `http`'s requests and responses, into which and from which reqwest's convert. So
//! reqwest is made a service of those, in one place, and everything else is as with any client.

use buttress::repeat::ReplayBody;
use buttress::{Bulkhead, CircuitBreaker, Retry, SettingError, Timeout};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use reqwest::{Body, Client};
use std::time::Duration;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceBuilder, ServiceExt, service_fn};

/// A client of one upstream.
pub type ReqwestClient = BoxCloneSyncService<Request<Full<Bytes>>, Response<Body>, BoxError>;

/// Retries, a breaker, a bulkhead and timeouts around reqwest.
///
/// # Errors
///
/// A setting makes no sense.
pub fn protected(client: Client, breaker: CircuitBreaker) -> Result<ReqwestClient, SettingError> {
    let send = service_fn(move |request: Request<ReplayBody<Full<Bytes>>>| {
        let client = client.clone();
        async move {
            let request = reqwest::Request::try_from(request.map(Body::wrap))?;
            let response = client.execute(request).await?;
            Ok::<Response<Body>, BoxError>(response.into())
        }
    });
    let service = ServiceBuilder::new()
        .layer(Timeout::new(Duration::from_secs(3))?.sets_deadline())
        .layer(Retry::new())
        .layer(breaker)
        .layer(Bulkhead::new(64)?)
        .layer(Timeout::per_attempt(Duration::from_millis(800))?)
        .service(send)
        .map_response(|response| response.map(Body::wrap));
    Ok(BoxCloneSyncService::new(service))
}
