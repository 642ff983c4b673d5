//! Every interleaving of a few calls: `RUSTFLAGS="--cfg loom" cargo test -p buttress-core --release loom`.

use super::count_window::CountWindow;
use super::time_window::TimeWindow;
use super::*;
use crate::outcome::Outcome;
use crate::policy::Permit;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use std::time::{Duration, Instant};

const OPEN: Duration = Duration::from_secs(5);

/// A breaker that opens with one failure, and the start of its time.
fn breaker(probes: u32) -> (Breaker, Instant) {
    let mut settings = BreakerSettings::default();
    settings.consecutive_failures = Some(1);
    settings.time_window = None;
    settings.probes = probes;
    settings.jitter = 0.0;
    #[expect(clippy::disallowed_methods, reason = "time stands still")]
    let start = Instant::now();
    let breaker = Breaker::new("loom", &settings).unwrap();
    breaker.state(&Now::at(start));
    (breaker, start)
}

/// Threads that are interrupted twice at most, which finds nearly everything, and takes seconds
/// where everything takes minutes.
fn nearly_every_interleaving(work: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(work);
}

fn admit(breaker: &Breaker, at: Instant) -> Option<BreakerPermit> {
    match breaker.admit(&(), &Now::at(at)) {
        Admission::Admitted(permit) => Some(permit),
        _ => None,
    }
}

/// One whose open time is just over.
fn ready_to_probe(probes: u32) -> (Breaker, Instant) {
    let (breaker, start) = breaker(probes);
    let permit = admit(&breaker, start).unwrap();
    permit.complete(Outcome::Failure, &Now::at(start));
    (breaker, start + OPEN)
}

#[test]
fn loom_what_the_callee_wishes_is_heeded_by_whoever_opens_it() {
    nearly_every_interleaving(|| {
        let (breaker, at) = breaker(1);
        let mut told = admit(&breaker, at).unwrap();
        let plain = admit(&breaker, at).unwrap();
        let thread = thread::spawn(move || plain.complete(Outcome::Failure, &Now::at(at)));
        told.pushback(6 * OPEN);
        told.complete(Outcome::Failure, &Now::at(at));
        thread.join().unwrap();
        assert!(admit(&breaker, at + 6 * OPEN - Duration::from_nanos(1)).is_none());
        assert!(admit(&breaker, at + 6 * OPEN).is_some());
    });
}

#[test]
fn loom_half_open_admits_exactly_the_permitted_probes() {
    nearly_every_interleaving(|| {
        let (breaker, at) = ready_to_probe(1);
        let admitted = std::sync::Arc::new(AtomicU32::new(0));
        let call = move |breaker: Breaker, admitted: std::sync::Arc<AtomicU32>| {
            let probe = admit(&breaker, at);
            admitted.fetch_add(u32::from(probe.is_some()), Ordering::SeqCst);
            probe
        };
        let others: Vec<_> = (0..2)
            .map(|_| {
                let (breaker, admitted) = (breaker.clone(), admitted.clone());
                thread::spawn(move || call(breaker, admitted))
            })
            .collect();
        let mine = call(breaker.clone(), admitted.clone());
        let probes: Vec<_> = others
            .into_iter()
            .map(|other| other.join().unwrap())
            .collect();
        assert_eq!(admitted.load(Ordering::SeqCst), 1);
        drop((mine, probes));
        assert!(admit(&breaker, at).is_some(), "the slot came back");
    });
}

#[test]
fn loom_a_slot_that_is_given_back_is_there_for_the_next_call() {
    loom::model(|| {
        let (breaker, at) = ready_to_probe(1);
        let probe = admit(&breaker, at).unwrap();
        let other = breaker.clone();
        let thread = thread::spawn(move || drop(admit(&other, at)));
        drop(probe);
        thread.join().unwrap();
        let probe = admit(&breaker, at).expect("nobody has the slot");
        assert!(admit(&breaker, at).is_none());
        probe.complete(Outcome::Success, &Now::at(at));
        assert_eq!(breaker.state(&Now::at(at)), CircuitState::Closed);
    });
}

#[test]
fn loom_what_comes_late_decides_nothing() {
    loom::model(|| {
        let (breaker, start) = breaker(1);
        let late = admit(&breaker, start).unwrap();
        let failing = admit(&breaker, start).unwrap();
        let at = start + OPEN;
        let other = breaker.clone();
        let thread = thread::spawn(move || {
            failing.complete(Outcome::Failure, &Now::at(start));
            // Half-open from here on, with its probe out.
            admit(&other, at)
        });
        late.complete(Outcome::Success, &Now::at(at));
        let probe = thread.join().unwrap().expect("the first probe");
        assert_eq!(breaker.state(&Now::at(at)), CircuitState::HalfOpen);
        assert!(admit(&breaker, at).is_none());
        probe.complete(Outcome::Failure, &Now::at(at));
        assert_eq!(breaker.state(&Now::at(at)), CircuitState::Open);
    });
}

#[test]
fn loom_of_several_failures_one_opens_it() {
    loom::model(|| {
        let (breaker, at) = breaker(1);
        let permits = [admit(&breaker, at).unwrap(), admit(&breaker, at).unwrap()];
        let threads = permits
            .map(|permit| thread::spawn(move || permit.complete(Outcome::Failure, &Now::at(at))));
        for thread in threads {
            thread.join().unwrap();
        }
        let snapshot = breaker.snapshot(&Now::at(at));
        assert_eq!((snapshot.state, snapshot.openings), (CircuitState::Open, 1));
        assert_eq!(snapshot.retry_after, Some(OPEN));
    });
}

#[test]
fn loom_two_probes_decide_once() {
    loom::model(|| {
        let (breaker, at) = ready_to_probe(2);
        let probes = [admit(&breaker, at).unwrap(), admit(&breaker, at).unwrap()];
        let mut outcomes = [Outcome::Success, Outcome::Failure].into_iter();
        let threads = probes.map(|probe| {
            let outcome = outcomes.next().unwrap();
            thread::spawn(move || probe.complete(outcome, &Now::at(at)))
        });
        for thread in threads {
            thread.join().unwrap();
        }
        let snapshot = breaker.snapshot(&Now::at(at));
        assert_eq!((snapshot.state, snapshot.openings), (CircuitState::Open, 2));
    });
}

#[test]
fn loom_a_change_by_hand_and_a_failure_leave_one_state() {
    loom::model(|| {
        let (breaker, at) = breaker(1);
        let permit = admit(&breaker, at).unwrap();
        let thread = thread::spawn(move || permit.complete(Outcome::Failure, &Now::at(at)));
        breaker.force_open(&Now::at(at));
        thread.join().unwrap();
        assert_eq!(breaker.state(&Now::at(at)), CircuitState::ForcedOpen);
        breaker.force_close(&Now::at(at));
        assert!(admit(&breaker, at).is_some());
    });
}

#[test]
fn loom_a_new_bucket_is_started_once() {
    loom::model(|| {
        let window = std::sync::Arc::new(TimeWindow::new(1_000, false));
        window.record(true, false, 1);
        // The same cell of the ring, a whole window later.
        let record = |window: &TimeWindow| {
            window.move_to(1_000);
            window.record(true, false, 1);
        };
        let other = window.clone();
        let thread = thread::spawn(move || record(&other));
        record(&window);
        thread.join().unwrap();
        let tally = window.tally(1_000);
        assert_eq!((tally.calls, tally.failed), (2, 2));
    });
}

#[test]
fn loom_bits_and_their_number_agree() {
    loom::model(|| {
        let window = std::sync::Arc::new(CountWindow::new(2, false));
        let other = window.clone();
        let thread = thread::spawn(move || {
            other.record(true, false);
            other.record(false, false);
        });
        window.record(true, false);
        thread.join().unwrap();
        window.record(false, false);
        window.record(false, false);
        assert_eq!(window.tally().failed, 0);
        window.record(true, false);
        window.record(true, false);
        assert_eq!(window.tally().failed, 2);
    });
}
