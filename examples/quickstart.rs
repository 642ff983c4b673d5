//! `cargo run --release --example quickstart`
#![allow(clippy::print_stdout, reason = "it tells what to try")]

use buttress_examples::{Stop, listen, quickstart};
use std::net::SocketAddr;
use tower::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let app = quickstart::app()?;
    let listener = listen(3000).await?;
    let address = listener.local_addr()?;
    let stop = Stop::at_signal()?;
    println!("listening on http://{address}

    curl -i http://{address}/hello      200, and how much of the quota is left
    for i in 1 2 3 4 5 6; do curl -i http://{address}/limited; done
                                            five pass, the sixth gets 429 and Retry-After
    curl -i http://{address}/slow       504 after a second
    for i in 1 2 3; do curl -s -o /dev/null -w '%{{http_code}}\\n' http://{address}/busy & done; wait
                                            two get a slot for half a second, the third gets 503

Ctrl-C stops it.");
    // The peer's address is the key of a rate limit.
    let service = app.into_make_service_with_connect_info::<SocketAddr>();
    let server = axum::serve(listener, service).with_graceful_shutdown(stop.clone().asked());
    tokio::select! {
        result = server.into_future() => result?,
        () = stop.overdue() => {}
    }
    println!("stopped");
    Ok(())
}
