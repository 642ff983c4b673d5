//! What is tried again, when, and how often.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod bodies;
mod budgets;
mod script;
mod tiers;
mod waits;
mod what;
