//! What operators see and change.
#![cfg(feature = "admin")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod asking;
mod changes;
mod reloads;
mod socket;
