//! Services that run, each with one command. The binaries are next to this folder, named after what
//! they show; what they serve is here, so that the tests serve the same.

pub mod downstream;
pub mod gateway;
pub mod grpc;
pub mod grpc_client;
pub mod health;
pub mod local;
pub mod overload;
pub mod quickstart;
pub mod reqwest;
mod stop;
pub mod tiers;

pub use stop::Stop;

use std::env;
use tokio::net::TcpListener;
use tower::BoxError;

/// Listens on 127.0.0.1 or on the host that `HOST` says, at the port that `PORT` says, or else at
/// `port`.
///
/// # Errors
///
/// `PORT` is no port, or it is taken, or `HOST` is not one of this machine's.
pub async fn listen(port: u16) -> Result<TcpListener, BoxError> {
    let port = match env::var("PORT") {
        Ok(port) => port.parse().map_err(|_| {
            format!("PORT is {port:?}, but must be a number from 0 (any free one) to 65535")
        })?,
        Err(_) => port,
    };
    let host = env::var("HOST").unwrap_or_else(|_| "127.0.0.1".to_owned());
    let listener = TcpListener::bind((&*host, port)).await;
    Ok(listener.map_err(|error| format!("port {port}: {error}; PORT=0 takes any free one"))?)
}

/// Whether the only argument is `--json`.
///
/// # Errors
///
/// There is another argument.
pub fn json_wanted() -> Result<bool, BoxError> {
    let mut json = false;
    for argument in env::args().skip(1) {
        if argument != "--json" {
            return Err(format!("unknown argument {argument:?}: only --json is known").into());
        }
        json = true;
    }
    Ok(json)
}
