//! `cargo run --release --example gateway [-- FILE]`
//!
//! A reverse proxy whose routes and upstreams are protected from a file, `examples/gateway.toml`
//! unless another is given. Edit it while this runs. For the file beside it, it is its own upstream.
#![allow(clippy::print_stdout, reason = "it tells what to try")]

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use buttress_config::{Document, Rules};
use buttress_examples::{gateway, listen};
use std::net::TcpListener as StdListener;
use std::path::Path;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_stream::StreamExt as _;
use tower::BoxError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().init();
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let given = std::env::args().nth(1);
    let name = given.as_deref().unwrap_or(beside);
    let rules = Rules::watch(name)?;
    let file = Document::load(Path::new(name))?;
    let listener = listen(8080).await?.into_std()?;
    let url = format!("http://{}", listener.local_addr()?);
    let first = TcpListener::from_std(listener.try_clone()?)?;
    let first = gateway::serve(first, &rules, &file)?;
    // A thread for each core, as nginx has its workers: a request stays where it is, and its
    // connection to the upstream is there as well. They share the policies.
    for _ in 1..thread::available_parallelism()?.get() {
        let (listener, rules, file) = (listener.try_clone()?, rules.clone(), file.clone());
        thread::spawn(move || work(listener, &rules, &file));
    }
    println!("listening on {url}, by {name}: edit it while this runs");
    if given.is_none() {
        tokio::spawn(axum::serve(TcpListener::bind(DEMO).await?, demo()).into_future());
        println!(
            "
    curl -i {url}/hello
    curl -i {url}/slow        # more than the file gives it
    curl -i {url}/flaky       # tried again
    curl -N {url}/stream"
        );
    }
    Ok(first.await?)
}

#[tokio::main(flavor = "current_thread")]
async fn work(listener: StdListener, rules: &Rules, file: &Document) -> Result<(), BoxError> {
    Ok(gateway::serve(TcpListener::from_std(listener)?, rules, file)?.await?)
}

/// Where the file beside this has its upstream.
const DEMO: &str = "127.0.0.1:8081";

/// An upstream to try it with.
fn demo() -> Router {
    let slow = || tokio::time::sleep(Duration::from_secs(3));
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
        Body::from_stream(ticks.throttle(Duration::from_millis(500)))
    };
    Router::new()
        .route("/slow", any(slow))
        .route("/flaky", any(flaky))
        .route("/stream", get(stream))
        .fallback(|| async { "hello\n" })
}
