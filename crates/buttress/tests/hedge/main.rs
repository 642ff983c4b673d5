//! Hedging on virtual time.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

#[cfg(feature = "http")]
mod callee;
#[cfg(feature = "http")]
mod grpc;
#[cfg(feature = "http")]
mod http;
mod losers;
mod plain;
#[cfg(feature = "service-config")]
mod service_config;
