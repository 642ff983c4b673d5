//! How large the largest share should be. `cargo test -p buttress-core --release --lib
//! fair::measurement::table -- --ignored --nocapture` prints the table.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use super::*;
use crate::by_fn;
use std::time::Instant;

/// Greedy tenants ask for three times all slots each, and nine quiet ones for 3 % of them each. Calls
/// come at random times and take random times, 1 on average.
struct Load {
    slots: u32,
    greedy: u64,
    time: f64,
}

/// In per cent.
struct Measured {
    /// Of the quiet tenants' calls.
    refused: f64,
    /// Of the slots, on average.
    used: f64,
}

const QUIET: u64 = 9;

/// From 0.0 to 1.0 (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn exponential(&mut self) -> f64 {
        -(1.0 - self.next()).ln()
    }
}

fn measure(load: &Load, share: Option<f64>) -> Measured {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    let now = Now::at(Instant::now());
    let key = by_fn(|tenant: &u64| Ok(*tenant));
    let mut fair = FairShare::new(load.slots, key).unwrap();
    if let Some(share) = share {
        fair = fair.largest_share(share).unwrap();
    }
    let slots = f64::from(load.slots);
    let (of_greedy, of_quiet) = (3.0 * load.greedy as f64, 0.03 * QUIET as f64);
    let mut random = Random(1);
    let mut running: Vec<(f64, Share)> = Vec::new();
    let (mut at, mut busy, mut offered, mut refused) = (0.0, 0.0, 0.0, 0.0);
    while at < load.time {
        at += random.exponential() / (slots * (of_greedy + of_quiet));
        running.retain(|(end, _)| *end > at);
        let draw = random.next() * (of_greedy + of_quiet);
        let is_quiet = draw < of_quiet;
        let tenant = if is_quiet {
            (draw / 0.03) as u64
        } else {
            QUIET + ((draw - of_quiet) / 3.0) as u64
        };
        let admission = fair.admit(&tenant, &now);
        offered += f64::from(u8::from(is_quiet));
        if let Admission::Admitted(Some(share)) = admission {
            let time = random.exponential();
            busy += time;
            running.push((at + time, share));
        } else {
            refused += f64::from(u8::from(is_quiet));
        }
    }
    Measured {
        refused: 100.0 * refused / offered,
        used: 100.0 * busy / (at * slots),
    }
}

fn load(slots: u32, greedy: u64) -> Load {
    // So long that some thousands of quiet calls come.
    let time = 20_000.0 / f64::from(slots);
    Load {
        slots,
        greedy,
        time,
    }
}

#[test]
#[ignore = "it prints and checks nothing"]
fn table() {
    for slots in [16, 24, 36, 64, 100] {
        for share in [0.5, 0.6, 0.7, 0.8, 0.9] {
            let cell = |greedy| {
                let measured = measure(&load(slots, greedy), Some(share));
                format!("{:5.2} % ({:3.0} %)", measured.refused, measured.used)
            };
            println!("| {slots} | {share} | {} | {} |", cell(1), cell(2));
        }
    }
}

#[test]
fn the_usual_share_keeps_quiet_tenants_whole_and_few_slots_idle() {
    let usual = |slots, greedy| measure(&load(slots, greedy), None);
    assert!(usual(24, 1).refused < 1.0);
    assert!(usual(36, 1).refused < 0.2);
    assert!(usual(36, 2).refused < 2.0);
    assert!(usual(64, 2).refused < 0.2);
    assert!(usual(64, 1).used > 75.0);
    // More is too much where slots are few, and less is of no use to anybody there.
    let with = |share| measure(&load(36, 2), Some(share)).refused;
    assert!(with(0.9) > 5.0 * usual(36, 2).refused);
    let few = |share| measure(&load(16, 1), share).refused;
    assert!(few(Some(0.8)) > 1.5 * few(None));
    assert!(few(Some(0.6)) > 0.8 * few(None));
}
