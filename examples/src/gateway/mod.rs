//! A reverse proxy that is protected from a file.
//!
//! Which requests may come, how many, and how long they may take, the file says; and how the
//! upstreams are called. Of the fields that a file leaves to the application, this one has three:
//! `x-address`, where an upstream is, `x-prefix`, which paths are for it, and `x-http2`, whether it is
//! called over HTTP/2, which gRPC needs, or over HTTP/1.1. They are read once, all else whenever the
//! file changes. What HTTP demands of any proxy is in `message`.
//!
//! It speaks HTTP/1 and HTTP/2, without TLS. A client that takes too long over the head of a request
//! of HTTP/1 is left, and so is one of HTTP/2 that does not answer pings, and one that reads nothing:
//! the time that the file gives to a body is looked at when more of it is wanted, and for such a client
//! nothing is. Kept is one that says nothing at all, or no more than what HTTP/2 may begin with as well
//! (the `P` of a `POST`), and one of HTTP/2 that answers pings but opens no window. Nothing says how
//! many connections there may be: what is in front of it on the open network has to look after that.
//! Where the process may open no more, `accept error` is logged once a second, and new clients wait.

pub mod demo;
mod message;
mod upstream;

pub use upstream::Upstream;

use axum::body::{Body, HttpBody};
use axum::extract::ConnectInfo;
use axum::response::IntoResponse;
use axum::serve::Listener;
use buttress::repeat::ReplayBody;
use buttress::{BrokenRequest, Http, Protocol, Reject, Rejection};
use buttress_config::{Rules, UnknownUpstream};
use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::{conn::auto::Builder, graceful::GracefulShutdown};
use hyper_util::service::TowerToHyperService;
use message::Refusal;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_io_timeout::TimeoutWriter;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

/// Serves the upstreams of a file by rules that may change, until it is told to stop, and then what
/// is under way, for as long as that takes. The binary does not wait longer than two seconds for it:
/// calls that may take ten, as by `examples/gateway.toml`, can be cut off then.
///
/// # Errors
///
/// There are no rules for one of the upstreams, because they are of another file.
pub fn serve<F: Future<Output = ()> + Send>(
    mut listener: TcpListener,
    rules: &Rules,
    upstreams: Vec<Upstream>,
    stop: F,
) -> Result<impl Future<Output = ()> + Send + use<F>, UnknownUpstream> {
    let mut protected = Vec::new();
    for upstream in upstreams {
        let layer = rules.upstream(&upstream.name)?;
        let origin = Arc::new((upstream.clone(), connections(upstream.http2)));
        let origin = service_fn(move |mut request| {
            let (upstream, client) = &*origin;
            message::to_upstream(&mut request, upstream);
            client.request(request)
        });
        protected.push((upstream, layer.layer(origin.map_err(BoxError::from))));
    }
    let upstreams: Arc<[_]> = protected.into();
    // Without axum's router, which gives answers to `HEAD` a length that they don't have.
    let app = rules.server().layer(service_fn(move |request| {
        let answer = proxy(Arc::clone(&upstreams), request);
        answer.map(|answer| Ok::<_, Infallible>(answer.into_response()))
    }));
    let mut server = Builder::new(TokioExecutor::new());
    let mut http1 = server.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    let mut http2 = server.http2();
    http2.timer(TokioTimer::new()).keep_alive_timeout(PATIENCE);
    http2.keep_alive_interval(PATIENCE);
    Ok(async move {
        let (connections, mut stop) = (GracefulShutdown::new(), pin!(stop));
        loop {
            let (connection, peer) = tokio::select! {
                accepted = Listener::accept(&mut listener) => accepted,
                () = &mut stop => break,
            };
            // Parts of a stream must not wait for one another. If it fails, they may.
            let _ = connection.set_nodelay(true);
            let app = axum::Extension(ConnectInfo(peer)).layer(app.clone());
            let app = TowerToHyperService::new(app);
            let mut connection = TimeoutWriter::new(connection);
            connection.set_timeout(Some(PATIENCE));
            let connection = TokioIo::new(Box::pin(connection));
            let connection = server.serve_connection(connection, app);
            tokio::spawn(connections.watch(connection.into_owned()));
        }
        drop(listener);
        connections.shutdown().await;
    })
}

/// How long the head of a request may take, and a connection be without one or its client read
/// nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connections to an upstream.
fn connections(http2_only: bool) -> Client<HttpConnector, ReplayBody<Incoming>> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let mut client = Client::builder(TokioExecutor::new());
    client.pool_timer(TokioTimer::new()).http2_only(http2_only);
    client.build(connector)
}

async fn proxy<S, B>(
    upstreams: Arc<[(Upstream, S)]>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, Refusal>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = BoxError> + Clone,
    B: HttpBody<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    message::from_client(&mut request)?;
    let path = request.uri().path();
    let upstream = upstreams.iter().find(|(upstream, _)| upstream.has(path));
    let (to, upstream) = upstream.ok_or((StatusCode::NOT_FOUND, "no upstream has this path"))?;
    if message::needs_http2(request.headers()) && !to.http2 {
        return Ok(message::no_grpc());
    }
    let asked = Http::new().remember(&request);
    let error = match upstream.clone().oneshot(request).await {
        Ok(mut response) => {
            message::from_upstream(&mut response)?;
            return Ok(response.map(Body::new));
        }
        Err(error) => error,
    };
    match Rejection::find(&*error) {
        // As the layer of the server says it.
        Some(rejection) => {
            let http = Http::new();
            let Ok(answer) = Reject::<Request<()>, _, Infallible>::reject(&http, asked, *rejection);
            Ok(answer)
        }
        None => Err(match BrokenRequest::find(&*error) {
            Some(_) => (StatusCode::BAD_REQUEST, "the body broke off"),
            None => (StatusCode::BAD_GATEWAY, "the upstream does not answer"),
        }),
    }
}
