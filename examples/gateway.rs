//! `cargo run --release --example gateway [-- FILE]`
//!
//! A reverse proxy whose routes and upstreams are protected from a file, `examples/gateway.toml`
//! unless another is given. Edit it while this runs. For the file beside it, it is its own upstream.
#![allow(clippy::print_stdout, reason = "it tells what to try")]

use buttress_config::{Document, Rules};
use buttress_examples::gateway::{self, Upstream, demo};
use buttress_examples::{Stop, listen};
use std::net::TcpListener as StdListener;
use std::path::Path;
use std::{process, thread};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
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
    let upstreams = Upstream::all_of(&Document::load(Path::new(name))?)?;
    let listener = listen(8080).await?.into_std()?;
    let url = format!("http://{}", listener.local_addr()?);
    let stop = Stop::at_signal()?;
    // A thread for each core, as nginx has its workers: a request stays where it is, and its
    // connection to the upstream is there as well. They share the policies.
    let mut workers = JoinSet::new();
    for _ in 0..thread::available_parallelism()?.get() {
        let (listener, stop) = (listener.try_clone()?, stop.clone());
        let (rules, upstreams) = (rules.clone(), upstreams.clone());
        workers.spawn_blocking(move || work(listener, &rules, upstreams, stop));
    }
    drop(listener);
    let mut hints = String::new();
    if given.is_none() {
        let listener = TcpListener::bind(demo::ADDRESS).await;
        let listener = listener.map_err(|error| format!("{}: {error}", demo::ADDRESS))?;
        tokio::spawn(axum::serve(listener, demo::app()).into_future());
        hints = format!(
            "
    curl -i {url}/hello
    curl -i {url}/slow        # more than the file gives it
    curl -i {url}/flaky       # tried again
    curl -N {url}/stream

"
        );
    }
    println!("listening on {url}, by {name}: edit it while this runs\n{hints}Ctrl-C stops it.");
    while let Some(ended) = workers.join_next().await {
        ended??;
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn work(
    listener: StdListener,
    rules: &Rules,
    upstreams: Vec<Upstream>,
    stop: Stop,
) -> Result<(), BoxError> {
    let listener = TcpListener::from_std(listener)?;
    tokio::select! {
        () = gateway::serve(listener, rules, upstreams, stop.clone().asked())? => {}
        // A stream that goes on is cut off then.
        () = stop.overdue() => {}
    }
    Ok(())
}
