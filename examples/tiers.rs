//! `cargo run --release --example tiers [-- --json]`
//!
//! Calls the highest of three tiers, of which the lowest fails, and prints how often that is called.
#![allow(clippy::print_stdout, reason = "it tells what happens")]

use buttress_examples::tiers::{naive, protected, run};
use tower::BoxError;

/// Enough that the share of a budget counts, and not what it allows in any case.
const CALLS: u64 = 1_000;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let json = buttress_examples::json_wanted()?;
    println!("{CALLS} calls of the highest of three tiers; the lowest fails");
    let without = run(CALLS, || Ok(naive())).await?;
    println!(
        "three attempts at each tier: the lowest sees {}",
        without.bottom_calls
    );
    let with = run(CALLS, protected).await?;
    println!(
        "              with `Retry`s: the lowest sees {}",
        with.bottom_calls
    );
    if json {
        println!(
            r#"{{"bottom_calls_naive":{},"bottom_calls":{},"top_calls":{}}}"#,
            without.bottom_calls, with.bottom_calls, with.top_calls
        );
    }
    Ok(())
}
