//! `cargo run --release --example gateway [-- FILE [NAME=HOST:PORT]...]`
//!
//! A reverse proxy whose routes and upstreams are protected from a file, `examples/gateway.toml`
//! unless another is given. Edit it while this runs. Without an upstream there is one in the same
//! process.
#![allow(clippy::print_stdout, reason = "it tells what to try")]

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use buttress_config::Rules;
use buttress_examples::{gateway, listen};
use http::uri::Authority;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tower::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args().skip(1);
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let file = arguments.next().unwrap_or_else(|| beside.to_owned());
    let mut upstreams = Vec::new();
    for argument in arguments {
        let Some((name, address)) = argument.split_once('=') else {
            return Err(format!("{argument:?} must be NAME=HOST:PORT").into());
        };
        upstreams.push((name.to_owned(), address.parse::<Authority>()?));
    }
    if upstreams.is_empty() {
        upstreams.push(("demo".to_owned(), demo().await?));
    }
    let rules = Rules::watch(&file)?;
    let app = gateway::app(&rules, &upstreams)?;
    let listener = listen(8080).await?;
    println!(
        "listening on http://{}, by {file}: edit it while this runs

    curl -i localhost:8080/hello
    curl -i localhost:8080/slow        # more than the file gives it
    curl -i localhost:8080/flaky       # tried again
    curl -N localhost:8080/stream",
        listener.local_addr()?
    );
    gateway::serve(listener, app).await?;
    Ok(())
}

/// An upstream to try it with.
async fn demo() -> Result<Authority, BoxError> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string().parse()?;
    let slow = || async { tokio::time::sleep(Duration::from_secs(3)).await };
    let flaky = || async {
        // Every other second it is not well.
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        match now.map_or(0, |now| now.subsec_millis()) {
            0..500 => http::StatusCode::SERVICE_UNAVAILABLE,
            _ => http::StatusCode::OK,
        }
    };
    let stream = || async {
        let ticks = tokio_stream::iter(1..=10).map(|tick| Ok::<_, BoxError>(format!("{tick}\n")));
        let ticks = tokio_stream::StreamExt::throttle(ticks, Duration::from_millis(500));
        Body::from_stream(ticks)
    };
    let app = Router::new()
        .route("/slow", any(slow))
        .route("/flaky", any(flaky))
        .route("/stream", get(stream))
        .fallback(|| async { "hello\n" });
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}
