//! What is tried again, when, and how often.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod bodies;
mod budgets;
#[cfg(feature = "service-config")]
mod config;
mod script;
mod settings;
mod tiers;
mod waits;
mod what;
