//! What a call through Buttress costs, and through its rivals.
//!
//! `compare` measures ours and each rival in turn, in the same run, and prints the ratio. The
//! criterion benchmarks under `benches/` answer one question each, over the same services.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    clippy::missing_errors_doc,
    clippy::float_cmp,
    reason = "a tool that measures: it reads the real clock, prints, and stops where it cannot go on"
)]

pub mod adaptive;
pub mod breaker;
pub mod coalesce;
pub mod configured;
pub mod health;
pub mod hedge;
pub mod inner;
pub mod loopback;

pub mod measure;
pub mod memory;

pub mod ours;
pub mod report;
pub mod retry;
pub mod rivals;
pub mod stack_client;
pub mod subjects;
pub mod thousand;

/// A runtime, so that timers can be registered. The calls are driven by hand.
///
/// A timer stands in it all the time, as in any service: the first one to be registered would have
/// to wake the idle driver each time.
pub fn runtime() -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.spawn(async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    });
    runtime
}
