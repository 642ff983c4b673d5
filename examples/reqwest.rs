//! `cargo run --release --example reqwest`
//!
//! Calls a service that fails every other time, and then one that is not there, through reqwest
//! behind the layers.
#![allow(clippy::print_stdout, reason = "it tells what happens")]

use axum::Router;
use axum::routing::get;
use buttress::{CircuitBreaker, Rejection};
use buttress_examples::local::serve;
use buttress_examples::reqwest::protected;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use std::sync::atomic::{AtomicU32, Ordering};
use tower::{BoxError, ServiceExt};

static CALLS: AtomicU32 = AtomicU32::new(0);

async fn flaky() -> Result<&'static str, StatusCode> {
    match CALLS.fetch_add(1, Ordering::Relaxed) % 2 {
        0 => Err(StatusCode::SERVICE_UNAVAILABLE),
        _ => Ok("hello"),
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let flaky = serve(Router::new().route("/", get(flaky))).await?;
    let breaker = CircuitBreaker::new("upstream")?;
    let client = protected(reqwest::Client::new(), breaker.clone())?;
    let get = |url: &Uri| Request::get(url.clone()).body(Full::default());

    println!("a service that fails every other time:");
    for _ in 0..3 {
        let response = client.clone().oneshot(get(&flaky)?).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        println!("    {status}: {}", String::from_utf8_lossy(&body));
    }
    println!("    it was called {} times", CALLS.load(Ordering::Relaxed));

    println!("one that is not there:");
    // A port that was free a moment ago.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let nobody: Uri = format!("http://{}/", listener.local_addr()?).parse()?;
    drop(listener);
    for _ in 0..3 {
        match client.clone().oneshot(get(&nobody)?).await {
            Ok(response) => println!("    {}", response.status()),
            Err(error) => match Rejection::find(&*error) {
                Some(rejection) => println!("    {rejection}"),
                None => println!("    {error}"),
            },
        }
    }
    println!("    the breaker is {}", breaker.state().name());
    Ok(())
}
