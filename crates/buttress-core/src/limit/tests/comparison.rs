//! Which algorithm is the default, and why: the same callee, all of them, on virtual time.
//!
//! `cargo test -p buttress-core --release --lib limit::tests::comparison -- --nocapture` prints the table that
//! `docs/architecture.md` has.

use super::simulation::{Simulation, Varies};
use crate::limit::{Aimd, Gradient2, LatencyQuantile, Limit, Vegas};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// Part of the callee's capacity that was used, in per cent, and where the limit was at the end.
#[derive(Clone, Copy)]
struct Result {
    goodput: f64,
    limit: u32,
}

fn run<L: Limit + Clone>(callee: &mut Simulation<L>, seconds: u32) -> Result {
    let seen = callee.run(seconds * SECOND);
    let capacity = callee.slots as f64 / callee.work.as_secs_f64() * f64::from(seconds);
    Result {
        goodput: 100.0 * f64::from(seen.answered) / capacity,
        limit: callee.limit(),
    }
}

const SCENARIOS: [&str; 6] = [
    "from 20",
    "from 200",
    "a minute",
    "slots halved",
    "3 × slower",
    "work varies",
];

/// At half as much again as the callee can do, in the order of [`SCENARIOS`].
fn measure<L: Limit + Clone>(from: impl Fn(u32) -> L) -> [Result; 6] {
    let callee = |start| Simulation::new(from(start), 3_000.0);
    let (mut steady, mut high, mut varied) = (callee(20), callee(200), callee(20));
    let from_20 = run(&mut steady, 10);
    let from_200 = run(&mut high, 10);
    let minute = run(&mut steady, 60);
    steady.slots = 10;
    let halved = run(&mut steady, 10);
    steady.slots = 20;
    steady.run(20 * SECOND);
    steady.work *= 3;
    let slower = run(&mut steady, 10);
    varied.varies = Varies::Exponentially;
    let varied = run(&mut varied, 60);
    [from_20, from_200, minute, halved, slower, varied]
}

/// What is measured, for each algorithm.
type Row = (&'static str, Vec<Result>);

macro_rules! rows {
    ($measure:path) => {{
        let too_slow = Duration::from_millis(15);
        [
            (
                "`LatencyQuantile`",
                $measure(|start| LatencyQuantile::new().start(start)).into(),
            ),
            (
                "`Vegas`",
                $measure(|start| Vegas::new().start(start).seed(1)).into(),
            ),
            (
                "`Vegas`, as published",
                $measure(|start| Vegas::new().start(start).seed(1).as_published()).into(),
            ),
            (
                "`Gradient2`",
                $measure(|start| Gradient2::new().min(1).start(start)).into(),
            ),
            (
                "`Gradient2`, as published",
                $measure(|start| Gradient2::new().min(1).start(start).as_published()).into(),
            ),
            (
                "`Aimd`, told 15 ms",
                $measure(|start| Aimd::new().min(1).start(start).too_slow(too_slow)).into(),
            ),
            (
                "`LatencyQuantile`, the median",
                $measure(|start| LatencyQuantile::new().start(start).at_quantile(0.5)).into(),
            ),
        ]
    }};
}

fn print(scenarios: &[&str], rows: &[Row]) {
    println!("| algorithm | {} |", scenarios.join(" | "));
    for (name, results) in rows {
        let cell = |result: &Result| format!("{} ({:.0} %)", result.limit, result.goodput);
        let cells: Vec<String> = results.iter().map(cell).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
}

#[test]
fn the_default_serves_most_with_the_least_queue() {
    let rows: [Row; 7] = rows!(measure);
    print(&SCENARIOS, &rows);
    let default = &rows[0].1;
    for (result, scenario) in default.iter().zip(SCENARIOS) {
        assert!(
            result.goodput >= 80.0,
            "{scenario}: {:.0} %",
            result.goodput
        );
        let slots = if scenario == "slots halved" { 10 } else { 20 };
        assert!(
            result.limit <= slots * 3 / 2,
            "{scenario}: {}",
            result.limit
        );
    }
    // What the published ones lose: their limits grow for as long as the overload lasts.
    assert!(rows[4].1[2].limit >= 100, "{}", rows[4].1[2].limit);
}

const OTHER_SCENARIOS: [&str; 5] = [
    "work in two",
    "pauses",
    "100 slots, 2 ms",
    "4 slots, 250 ms",
    "nine tenths",
];

/// Callees and loads that no number in the algorithms was chosen by, in the order of
/// [`OTHER_SCENARIOS`]: the average limit of the last ten seconds of a minute, or of four where calls
/// are few, or of a third of one where they are many.
fn measure_others<L: Limit + Clone>(from: impl Fn(u32) -> L) -> [Result; 5] {
    let callee = |load: f64, slots: usize, millis: u64| {
        let work = Duration::from_millis(millis);
        let capacity = slots as f64 / work.as_secs_f64();
        let mut callee = Simulation::new(from(20), load * capacity);
        (callee.slots, callee.work) = (slots, work);
        callee
    };
    let settled = |mut callee: Simulation<L>, seconds: u32| {
        callee.run(seconds * SECOND);
        let seen = callee.run(10 * SECOND);
        let capacity = callee.slots as f64 / callee.work.as_secs_f64();
        let possible = 10.0 * capacity.min(callee.rate);
        Result {
            goodput: 100.0 * f64::from(seen.answered) / possible,
            limit: seen.average.round() as u32,
        }
    };
    let mut in_two = callee(1.5, 20, 10);
    in_two.varies = Varies::InTwo;
    let mut pausing = callee(1.5, 20, 10);
    pausing.pauses = Some((SECOND, SECOND / 10));
    [
        settled(in_two, 50),
        settled(pausing, 50),
        settled(callee(1.5, 100, 2), 10),
        settled(callee(1.5, 4, 250), 230),
        settled(callee(0.9, 20, 10), 50),
    ]
}

/// It is not asserted who is best, but that the default is of use: it does not starve the callee.
#[test]
fn on_loads_that_nothing_was_chosen_by() {
    let rows: [Row; 7] = rows!(measure_others);
    print(&OTHER_SCENARIOS, &rows);
    for (result, scenario) in rows[0].1.iter().zip(OTHER_SCENARIOS) {
        assert!(
            result.goodput >= 50.0,
            "{scenario}: {:.0} %",
            result.goodput
        );
    }
}
