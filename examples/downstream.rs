//! `cargo run --release --example downstream [-- --json]`
//!
//! An axum service calls an upstream that is slow for a second, once with a client that merely tries
//! again and once with the layers of this library, and prints what the upstream saw.
#![allow(clippy::print_stdout, reason = "it tells what happens")]

use buttress_examples::downstream::{Plan, Report, naive, protected, run};
use tower::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let json = buttress_examples::json_wanted()?;
    let plan = Plan::default();
    let [well, slow, again] = plan.well_slow_well.map(|time| time.as_secs());
    println!(
        "{} calls a second; the upstream is well for {well} s, slow for {slow} s, well for {again} s",
        plan.rate
    );
    let without = run(naive(), plan).await?;
    print("four attempts at once", &without);
    let with = run(protected()?, plan).await?;
    print("with the layers", &with);
    if json {
        println!(
            r#"{{"calls":{},"attempts_naive":{},"attempts":{},"succeeded_naive":{},"succeeded":{}}}"#,
            with.calls, without.attempts, with.attempts, without.succeeded, with.succeeded
        );
    }
    Ok(())
}

fn print(how: &str, report: &Report) {
    println!(
        "{how:>22}: {:5} of {} calls succeeded, the upstream saw {:5} attempts",
        report.succeeded, report.calls, report.attempts
    );
}
