//! Services and clients on this machine.

use axum::Router;
use bytes::Bytes;
use http::Uri;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpListener;
use tower::BoxError;

/// Serves on a port of its own for as long as the process runs, and returns the URL.
///
/// # Errors
///
/// There is no port to listen on.
pub async fn serve(app: Router) -> Result<Uri, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/", listener.local_addr()?).parse()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

/// hyper's client, without any layer.
pub fn connector<B>() -> Client<HttpConnector, B>
where
    B: http_body::Body<Data = Bytes> + Send,
{
    Client::builder(TokioExecutor::new()).build_http()
}
