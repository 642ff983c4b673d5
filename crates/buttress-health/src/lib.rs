//! How a process tells the world how it is, how it goes down without losing a call, and how it
//! notices that it is stuck.
//!
//! | | |
//! | --- | --- |
//! | [`Health`] | checks that run in the background, and three endpoints that tell what they found |
//! | [`Drain`] | on SIGTERM: not ready first, then no new connections, then the end |
//! | [`Watchdog`] | a thread that sees when the runtime stands still, and acts |
#![cfg_attr(
    feature = "grpc",
    doc = "| [`GrpcHealth`] | `grpc.health.v1` from the same state |"
)]
#![cfg_attr(
    all(unix, feature = "systemd"),
    doc = "| [`systemd`] | READY=1, STOPPING=1 and WATCHDOG=1 |"
)]
//!
//! ```no_run
//! use buttress_health::{Check, Drain, Health, TcpConnect, Watchdog};
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let health = Health::builder()
//!     .check(Check::readiness("database", TcpConnect::to("db.internal:5432")))
//!     .build()?;
//! let _watchdog = Watchdog::builder(&health).build()?;
//! let drain = Drain::builder(&health).build()?;
//! drain.at_signals()?;
//!
//! // Probes on a port and a thread of their own: answered to the end, and when all else is stuck.
//! let _probes = health.endpoints().serve_on_a_thread("0.0.0.0:8081")?;
//!
//! let app = axum::Router::new()
//!     .route("/", axum::routing::get(|| async { "hello" }))
//!     .layer(drain.clone());
//! # let app: axum::Router = app;
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
//! let server = axum::serve(listener, app).with_graceful_shutdown(drain.closing());
//! let report = drain.run(server.into_future()).await;
//! if !report.is_clean() {
//!     eprintln!("cut off: {report:?}");
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! - `axum`: the endpoints as a router to merge with yours. Without it they are a tower service.
//! - `grpc`: `grpc.health.v1` for tonic.
//! - `systemd`: messages to systemd, on Unix.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod check;
pub mod drain;
pub mod endpoints;
pub mod exit_code;
#[cfg(feature = "grpc")]
mod grpc;
mod health;
mod model;
mod page;
mod phase;
mod shared;
#[cfg(all(unix, feature = "systemd"))]
pub mod systemd;
pub mod watchdog;

#[cfg(unix)]
pub use check::DiskSpace;
pub use check::{
    Blocking, BreakerState, BulkheadSaturation, Check, Fault, HttpGet, Inspect, Load, Saturation,
    TcpConnect,
};
pub use drain::{Drain, DrainBuilder, DrainReport};
pub use endpoints::{EndpointServer, Endpoints};
#[cfg(feature = "grpc")]
pub use grpc::GrpcHealth;
pub use health::{Health, HealthBuilder};
pub use model::{Endpoint, Status};
pub use phase::Phase;
pub use watchdog::{Heartbeat, Watchdog, WatchdogBuilder};
