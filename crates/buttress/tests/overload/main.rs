//! What becomes of a service to which more comes than it can serve, with the layers and without, on
//! virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should say where, and these have numbers to show"
)]

#[path = "../load/mod.rs"]
mod load;

mod goodput;
mod priorities;
mod system;
mod trigger;
