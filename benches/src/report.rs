//! Measures a subject in interleaved rounds, and prints it.

use crate::measure::{Runner, median};
use crate::subjects::Subject;
use std::fmt::Write;

/// One line of the comparison.
#[derive(Clone, Debug)]
pub struct Line {
    /// The subject, with `_2t` where two threads call at once.
    pub subject: String,
    /// The rival.
    pub peer: &'static str,
    ours_ns: f64,
    peer_ns: f64,
    ours_allocs: f64,
    peer_allocs: f64,
}

/// Enough rounds for a median that a disturbed one does not move.
const ROUNDS: usize = 25;

/// How long a round should take, in nanoseconds: long against the clock's error, short against
/// the disturbances of a busy machine.
const ROUND: f64 = 4e6;

impl Line {
    /// Measures a subject from one thread, or from two at once.
    pub fn measure(subject: &Subject, two_threads: bool) -> Self {
        let mut ours = (subject.ours)();
        let mut theirs = (subject.theirs)();
        let mut bare = (subject.bare)();
        let (ours_calls, their_calls) = (calls(&mut ours), calls(&mut theirs));
        // A limit that is used up by accident, or one that should be and is not, measures
        // something else.
        let refuses = subject.name.starts_with("refusal") || subject.name == "breaker_open";
        let expected = f64::from(u8::from(!refuses));
        let did_the_job = |runner: &mut Runner| runner.one_thread(1_000).successes == expected;
        assert!(did_the_job(&mut ours), "ours does not do the job");
        let peer_is_bare = subject.peer == "bare";
        assert!(
            peer_is_bare || did_the_job(&mut theirs),
            "the other does not do the job"
        );
        let mut times = (Vec::new(), Vec::new());
        let (mut ours_allocs, mut peer_allocs) = (Vec::new(), Vec::new());
        let mut measure_ours = |times: &mut Vec<f64>| {
            let measured = ours.one_thread(ours_calls);
            ours_allocs.push(measured.allocations);
            times.push(if two_threads {
                ours.two_threads(ours_calls)
            } else {
                measured.nanoseconds
            });
        };
        let mut measure_theirs = |times: &mut Vec<f64>| {
            let measured = theirs.one_thread(their_calls);
            peer_allocs.push(measured.allocations);
            times.push(if two_threads {
                theirs.two_threads(their_calls)
            } else {
                measured.nanoseconds
            });
        };
        for round in 0..ROUNDS {
            // Taking turns at being first, so that neither always follows the other.
            if round % 2 == 0 {
                measure_ours(&mut times.0);
                measure_theirs(&mut times.1);
            } else {
                measure_theirs(&mut times.1);
                measure_ours(&mut times.0);
            }
        }
        let bare_allocs = bare.one_thread(1_000).allocations;
        let threads = if two_threads { "_2t" } else { "" };
        Self {
            subject: format!("{}{threads}", subject.name),
            peer: subject.peer,
            ours_ns: median(times.0),
            peer_ns: median(times.1),
            ours_allocs: less(median(ours_allocs), bare_allocs),
            peer_allocs: less(median(peer_allocs), bare_allocs),
        }
    }

    /// One line of JSON.
    pub fn json(&self) -> String {
        // What a configuration costs is a difference, whatever it configures.
        let extra = if self.peer == "code" {
            format!(r#","ours_extra_ns":{:.1}"#, self.ours_ns - self.peer_ns)
        } else {
            String::new()
        };
        format!(
            r#"{{"subject":"{}","ours_ns":{:.1},"peer":"{}","peer_ns":{:.1},"ratio":{:.3},"ours_allocs":{},"peer_allocs":{}{extra}}}"#,
            self.subject,
            self.ours_ns,
            self.peer,
            self.peer_ns,
            self.ours_ns / self.peer_ns,
            self.ours_allocs,
            self.peer_allocs,
        )
    }
}

/// A table for the README.
pub fn table(lines: &[Line]) -> String {
    let mut table = String::from(
        "| job | ours, ns | the other | its ns | ratio | allocations, ours and its |\n\
         | --- | ---: | --- | ---: | ---: | --- |\n",
    );
    for line in lines {
        let _ = writeln!(
            table,
            "| `{}` | {:.0} | {} | {:.0} | {:.2} | {}, {} |",
            line.subject,
            line.ours_ns,
            line.peer,
            line.peer_ns,
            line.ours_ns / line.peer_ns,
            line.ours_allocs,
            line.peer_allocs,
        );
    }
    table
}

/// How many calls fill a round.
fn calls(runner: &mut Runner) -> u64 {
    // Also fills maps and caches.
    let warm = runner.one_thread(100_000).nanoseconds.max(1.0);
    ((ROUND / warm) as u64).clamp(1_000, 100_000)
}

/// What is more than the bare service's, to a hundredth. Now and then a vector grows.
fn less(allocations: f64, bare: f64) -> f64 {
    ((allocations - bare).max(0.0) * 100.0).round() / 100.0
}
