//! What calls teach, and what they don't.

use crate::limit::{AdaptiveSlots, Limit, Sample, Vegas};
use crate::{Admission, Now, Outcome, Permit, Policy, Reason};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const MILLI: Duration = Duration::from_millis(1);

/// Shows each sample in the order in which it came.
#[derive(Clone, Debug, Default)]
struct Watch(Vec<Sample>);

impl Limit for Watch {
    fn limit(&self) -> u32 {
        3
    }

    fn update(&mut self, sample: &Sample, _: Instant) -> u32 {
        self.0.push(*sample);
        3
    }

    fn samples(&self) -> u32 {
        2
    }

    fn quantile(&self) -> Option<f64> {
        Some(0.5)
    }
}

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    Instant::now()
}

fn watched() -> AdaptiveSlots<Watch> {
    AdaptiveSlots::new(Watch::default()).unwrap()
}

/// A call from `from` to `to`, in milliseconds.
fn call(slots: &AdaptiveSlots<Watch>, begin: Instant, from: u32, to: u32, outcome: Outcome) {
    let Admission::Admitted(permit) = slots.admit(&(), &Now::at(begin + from * MILLI)) else {
        panic!("a slot is free");
    };
    permit.complete(outcome, &Now::at(begin + to * MILLI));
}

/// Two calls that take `took`, one a little after the other.
fn two(slots: &AdaptiveSlots<Watch>, begin: Instant, from: u32, took: u32, outcome: Outcome) {
    call(slots, begin, from, from + took, outcome);
    call(slots, begin, from + 2, from + 2 + took, outcome);
}

fn samples(slots: &AdaptiveSlots<Watch>) -> Vec<Sample> {
    slots.algorithm().0
}

#[test]
fn calls_make_a_sample() {
    let (slots, begin) = (watched(), start());
    call(&slots, begin, 0, 10, Outcome::Success);
    call(&slots, begin, 10, 40, Outcome::Success);
    let [sample] = samples(&slots)[..] else {
        panic!("two calls make a sample");
    };
    assert_eq!((sample.mean, sample.quantile), (20 * MILLI, 10 * MILLI));
    assert_eq!((sample.calls, sample.window), (2, 40 * MILLI));
    assert_eq!(sample.in_flight, 1, "40 ms of calls in 40 ms");
    assert!((sample.spread - 0.5).abs() < 1e-9);
    assert!(!sample.dropped && !sample.saturated);
}

#[test]
fn the_next_sample_comes_a_round_trip_later() {
    let (slots, begin) = (watched(), start());
    two(&slots, begin, 0, 100, Outcome::Success);
    for at in 0..9 {
        let from = 102 + 10 * at;
        call(&slots, begin, from, from + 10, Outcome::Success);
    }
    assert_eq!(samples(&slots).len(), 1);
    call(&slots, begin, 192, 202, Outcome::Success);
    assert_eq!(samples(&slots).len(), 2);
    assert_eq!(samples(&slots)[1].calls, 10);
}

#[test]
fn cancelled_calls_and_our_own_refusals_teach_nothing() {
    let (slots, begin) = (watched(), start());
    for at in 0..20 {
        call(&slots, begin, at, at + 5, Outcome::Cancelled);
        drop(slots.admit(&(), &Now::at(begin + at * MILLI)));
    }
    assert!(samples(&slots).is_empty());
    let held: Vec<_> = (0..3).map(|_| slots.admit(&(), &Now::at(begin))).collect();
    for _ in 0..20 {
        let refused = slots.admit(&(), &Now::at(begin + 50 * MILLI));
        let Admission::Refused(rejection) = refused else {
            panic!("all slots are taken");
        };
        assert_eq!(rejection.reason(), Reason::BulkheadFull);
    }
    drop(held);
    two(&slots, begin, 60, 10, Outcome::Success);
    let [sample] = samples(&slots)[..] else {
        panic!("only the two that were answered count");
    };
    assert_eq!((sample.calls, sample.mean), (2, 10 * MILLI));
    assert!(
        sample.saturated,
        "refusals say that the limit is used up, and no more"
    );
}

#[test]
fn a_failure_counts_if_it_took_longer_than_usual() {
    let (slots, begin) = (watched(), start());
    two(&slots, begin, 0, 10, Outcome::Success);
    for at in 20..40 {
        call(&slots, begin, at, at + 1, Outcome::Failure);
    }
    assert_eq!(
        samples(&slots).len(),
        1,
        "quick failures say nothing about the work"
    );
    two(&slots, begin, 50, 100, Outcome::Failure);
    assert_eq!(samples(&slots)[1].mean, 100 * MILLI);
}

#[test]
fn an_overload_is_a_drop_and_no_latency() {
    let (slots, begin) = (watched(), start());
    two(&slots, begin, 0, 10, Outcome::Success);
    two(&slots, begin, 20, 1, Outcome::Overload);
    let sample = samples(&slots)[1];
    assert!(sample.dropped);
    assert_eq!((sample.calls, sample.mean), (0, 10 * MILLI));
}

#[test]
fn every_call_is_in_one_sample_whatever_thread_it_ran_on() {
    let (slots, begin) = (watched(), start());
    let (shared, admitted) = (&slots, &AtomicU32::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(move || {
                for at in 0..200 {
                    let now = Now::at(begin + at * MILLI);
                    if let Admission::Admitted(permit) = shared.admit(&(), &now) {
                        admitted.fetch_add(1, Ordering::Relaxed);
                        permit.complete(Outcome::Success, &Now::at(begin + (at + 1) * MILLI));
                    }
                }
            });
        }
    });
    two(&slots, begin, 9_000, 10, Outcome::Success);
    let counted: u32 = samples(&slots).iter().map(|sample| sample.calls).sum();
    // The first of the two closed a sample, and the other one was alone after it.
    assert_eq!(counted, admitted.load(Ordering::Relaxed) + 1);
    assert_eq!(slots.taken(), 0);
}

#[test]
fn of_thousands_in_a_round_trip_a_part_is_timed_and_all_are_counted() {
    let (slots, mut now) = (watched(), start());
    // 4000 calls in a millisecond.
    for _ in 0..100_000 {
        let Admission::Admitted(permit) = slots.admit(&(), &Now::at(now)) else {
            panic!("a slot is free");
        };
        now += Duration::from_nanos(250);
        permit.complete(Outcome::Success, &Now::at(now));
    }
    let samples = samples(&slots);
    let settled: Vec<f64> = samples[5..]
        .iter()
        .map(|sample| f64::from(sample.calls))
        .collect();
    let average = settled.iter().sum::<f64>() / settled.len() as f64;
    assert!((3_800.0..4_200.0).contains(&average), "{average}");
    // One in four, by chance: the numbers differ from sample to sample.
    assert!(settled.iter().any(|calls| (calls - 4_000.0).abs() > 20.0));
}

#[test]
fn fresh_ones_begin_with_what_was_learnt_and_share_nothing() {
    let (slots, begin) = (watched(), start());
    two(&slots, begin, 0, 10, Outcome::Success);
    let fresh = slots.fresh();
    assert_eq!(samples(&fresh).len(), 1);
    two(&fresh, begin, 20, 10, Outcome::Success);
    assert_eq!((samples(&fresh).len(), samples(&slots).len()), (2, 1));
}

#[test]
fn another_algorithm_begins_with_the_limit_that_there_is_and_calls_stay_counted() {
    let now = Now::at(start());
    let slots = AdaptiveSlots::new(Vegas::new().start(8)).unwrap();
    let held: Vec<_> = (0..8).map(|_| slots.admit(&(), &now)).collect();
    let full =
        |slots: &AdaptiveSlots<Vegas>| matches!(slots.admit(&(), &now), Admission::Refused(_));
    for (algorithm, limit) in [
        (Vegas::new().start(50).max(100), 8),
        (Vegas::new().start(5).max(5), 5),
        (Vegas::new().start(9).min(8), 8),
    ] {
        slots.go_by(algorithm);
        assert_eq!((slots.limit(), slots.algorithm().limit()), (limit, limit));
        assert!(full(&slots));
    }
    drop(held);
    assert_eq!(slots.taken(), 0);
}

#[test]
fn a_changed_room_takes_nothing_that_was_learnt() {
    let now = Now::at(start());
    let slots = AdaptiveSlots::new(Vegas::new().start(1)).unwrap();
    let others = AdaptiveSlots::new(Vegas::new().start(20))
        .and_then(|slots| slots.waiting_room(1, MILLI))
        .unwrap();
    let held = slots.admit(&(), &now);
    slots.follow(&others);
    assert_eq!((slots.limit(), slots.taken()), (1, 1));
    assert!(matches!(slots.admit(&(), &now), Admission::Wait(_)));
    drop(held);
}
