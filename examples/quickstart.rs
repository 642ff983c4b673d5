//! `cargo run --release --example quickstart`
#![allow(clippy::print_stdout, reason = "it tells what to try")]

use std::error::Error;
use std::net::SocketAddr;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let port = match std::env::var("PORT") {
        Ok(port) => port.parse::<u16>().map_err(|_| {
            format!("PORT is {port:?}, but must be a number from 0 (any free one) to 65535")
        })?,
        Err(_) => 3000,
    };
    let app = buttress_examples::quickstart::app()?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let address = listener.local_addr()?;
    println!("listening on http://{address}

    curl -i http://{address}/hello      200, and how much of the quota is left
    for i in 1 2 3 4 5 6; do curl -i http://{address}/limited; done
                                            five pass, the sixth gets 429 and Retry-After
    curl -i http://{address}/slow       504 after a second
    for i in 1 2 3; do curl -s -o /dev/null -w '%{{http_code}}\\n' http://{address}/busy & done; wait
                                            two get a slot for half a second, the third gets 503

Ctrl-C stops it.");
    // The peer's address is the key of a rate limit.
    axum::serve(
        listener,
        app.into_make_service_with_connect_info::<SocketAddr>(),
    )
    .with_graceful_shutdown(buttress_examples::stop_signal())
    .await?;
    println!("stopped");
    Ok(())
}
