//! `cargo run --release --example gateway [-- FILE]`
//!
//! A reverse proxy whose routes and upstreams are protected from a file, `examples/gateway.toml`
//! unless another is given. Edit it while this runs. For the file beside it, it is its own upstream.
#![allow(clippy::print_stdout, reason = "it tells what to try")]

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use buttress_config::{Document, Rules};
use buttress_examples::{Stop, gateway, listen};
use std::net::TcpListener as StdListener;
use std::path::Path;
use std::time::Duration;
use std::{process, thread};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::StreamExt as _;
use tower::BoxError;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    if let Err(error) = run().await {
        eprintln!("{error}");
        // Whatever the other threads are at.
        process::exit(1);
    }
    println!("stopped");
}

async fn run() -> Result<(), BoxError> {
    tracing_subscriber::fmt().init();
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/gateway.toml");
    let given = std::env::args().nth(1);
    let name = given.as_deref().unwrap_or(beside);
    let rules = Rules::watch(name)?;
    let file = Document::load(Path::new(name))?;
    let listener = listen(8080).await?.into_std()?;
    let url = format!("http://{}", listener.local_addr()?);
    let stop = Stop::at_signal()?;
    // A thread for each core, as nginx has its workers: a request stays where it is, and its
    // connection to the upstream is there as well. They share the policies.
    let mut workers = JoinSet::new();
    for _ in 0..thread::available_parallelism()?.get() {
        let (listener, stop) = (listener.try_clone()?, stop.clone());
        let (rules, file) = (rules.clone(), file.clone());
        workers.spawn_blocking(move || work(listener, &rules, &file, stop));
    }
    drop(listener);
    let demo = given.is_none();
    if demo {
        let listener = TcpListener::bind(DEMO).await;
        let listener = listener.map_err(|error| format!("{DEMO}, for the demo: {error}"))?;
        tokio::spawn(axum::serve(listener, upstream()).into_future());
    }
    println!("listening on {url}, by {name}: edit it while this runs");
    if demo {
        println!(
            "
    curl -i {url}/hello
    curl -i {url}/slow        # more than the file gives it
    curl -i {url}/flaky       # tried again
    curl -N {url}/stream
"
        );
    }
    println!("Ctrl-C stops it.");
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn work(
    listener: StdListener,
    rules: &Rules,
    file: &Document,
    stop: Stop,
) -> Result<(), BoxError> {
    let listener = TcpListener::from_std(listener)?;
    tokio::select! {
        () = gateway::serve(listener, rules, file, stop.clone().asked())? => {}
        () = stop.overdue() => {}
    }
    Ok(())
}

/// Where the file beside this has its upstream.
const DEMO: &str = "127.0.0.1:8081";

/// An upstream to try it with.
fn upstream() -> Router {
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
