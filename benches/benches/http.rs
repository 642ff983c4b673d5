//! How many requests per second does a hello-world service keep behind the full stack?
//!
//! A closed loop of 32 connections over loopback, in one process, with and without the stack in
//! turns. `--test` makes one short round, `--quick` five.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "it measures, and prints what"
)]

use buttress_benches::loopback::{compare, report};
use std::time::Duration;

fn main() {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let (rounds, round) = if asked("--test") {
        (1, Duration::from_millis(50))
    } else if asked("--quick") {
        (5, Duration::from_millis(500))
    } else {
        (21, Duration::from_secs(1))
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let loads = runtime.block_on(compare(rounds, round));
    println!("{}", report(&loads));
}
