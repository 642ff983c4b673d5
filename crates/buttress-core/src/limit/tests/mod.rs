#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should say where"
)]

mod baseline;
mod comparison;
mod convergence;
mod formulas;
mod samples;
mod simulation;
