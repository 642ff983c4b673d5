//! `cargo run --release --example overload [-- --seconds N] [--svg FILE] [--json]`
//!
//! A service with a true capacity is sent from half of that to ten times as many calls, over sockets,
//! without the layers and with them. Prints what came of it, and draws it. It takes about a minute, or
//! `--seconds`.
#![allow(clippy::print_stdout, reason = "it tells what happens")]

use buttress_examples::overload::{self, CAPACITY, Run};
use std::path::PathBuf;
use std::time::Duration;
use tower::BoxError;

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let wishes = Wishes::read(std::env::args().skip(1))?;
    println!("The service can do {CAPACITY} calls a second. Callers wait for 200 ms.\n");
    println!("   load  layers   calls/s  answered/s  refused/s     p50     p99   a refusal takes");
    let each = Duration::from_secs(wishes.seconds) / 10;
    let runs = overload::run_all(each, print).await?;
    std::fs::write(&wishes.svg, overload::chart(&runs))
        .map_err(|error| format!("{}: {error}", wishes.svg.display()))?;
    println!("\nThe picture is in {}.", wishes.svg.display());
    if wishes.json {
        print!("{}", overload::json(&runs));
    }
    Ok(())
}

fn print(run: &Run) {
    let went = &run.went;
    let rate = |calls: usize| calls as f64 / went.time.as_secs_f64();
    let time = |time: Option<Duration>| match time {
        Some(time) => format!("{:.0} ms", time.as_secs_f64() * 1e3),
        None => "-".to_owned(),
    };
    let refusal = run.refusal.map_or_else(
        || "-".to_owned(),
        |refusal| format!("{:.1} µs", refusal.as_secs_f64() * 1e6),
    );
    println!(
        "{:>5} ×  {:<7}  {:>7.0}  {:>10.0}  {:>9.0}  {:>6}  {:>6}   {refusal:>9}",
        run.load,
        if run.protected { "with" } else { "without" },
        rate(went.offered),
        went.goodput(),
        rate(went.refused),
        time(went.p50),
        time(went.p99),
    );
}

struct Wishes {
    seconds: u64,
    svg: PathBuf,
    json: bool,
}

impl Wishes {
    fn read(mut arguments: impl Iterator<Item = String>) -> Result<Self, BoxError> {
        let mut wishes = Self {
            seconds: 60,
            svg: PathBuf::from("overload.svg"),
            json: false,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
            match argument.as_str() {
                "--json" => wishes.json = true,
                "--svg" => wishes.svg = PathBuf::from(value()?),
                "--seconds" => {
                    let seconds = value()?;
                    let known = seconds.parse().ok().filter(|n| (5..=3_600).contains(n));
                    wishes.seconds = known.ok_or_else(|| {
                        format!("--seconds is {seconds:?}, but must be a number from 5 to 3600")
                    })?;
                }
                _ => {
                    return Err(format!(
                        "unknown argument {argument:?}: use --seconds N, --svg FILE, --json"
                    )
                    .into());
                }
            }
        }
        Ok(wishes)
    }
}
