//! What calls are told apart by: ready-made keys for HTTP and gRPC requests.
//!
//! A limit that all callers share lets the loudest starve the others; with a key each has its own.
//! The key must be something that the caller cannot choose anew for each call. Who keys by a
//! header that anybody may send, or believes an `X-Forwarded-For` that anybody may write, has a
//! limit for everybody but the attacker.
//!
//! | key | tells apart | needs |
//! | --- | --- | --- |
//! | [`peer`] | who is connected | the address in the request's extensions |
//! | [`client_addr`] | the client behind trusted proxies | the same, and to know the proxies |
//! | [`header`] | what a header says | that somebody checks the header first |
//! | [`authority`] | the host that is asked for | |
//! | [`grpc_method`] | the gRPC method | |
#![cfg_attr(
    feature = "axum",
    doc = "| [`path_template`] | axum's route | the feature `axum` |"
)]
//!
//! [`by_fn`](crate::by_fn) makes a key of any function.
//!
//! ```
//! use buttress::{Bulkhead, RateLimit, key};
//!
//! // Each client 10 calls a second; two proxies stand in front of the service.
//! let clients = RateLimit::per_second(10).by(key::client_addr().trusted_hops(2)?).build()?;
//!
//! // Each API key 4 calls at once.
//! let tenants = Bulkhead::builder(4).by(key::header("x-api-key")?).build()?;
//! # let _ = (clients, tenants);
//! # Ok::<(), buttress::SettingError>(())
//! ```

mod address;
mod authority;
mod client_addr;
mod forwarded;
mod grpc_method;
mod header;
#[cfg(feature = "axum")]
mod path_template;
mod peer;

pub use authority::{Authority, HostName, authority};
pub(crate) use client_addr::network;
pub use client_addr::{ClientAddr, ForwardedHeader, client_addr};
pub use grpc_method::{GrpcMethod, grpc_method};
pub use header::{HeaderKey, header};
#[cfg(feature = "axum")]
pub use path_template::{PathTemplate, path_template};
pub(crate) use peer::peer_address;
pub use peer::{Peer, PeerAddress, peer};
