//! Every interleaving of two threads that count and one that takes what was counted, and of two that
//! change the limit.

use super::tally::{Looked, Tally, Total};
use super::{AdaptiveSlots, Limit, Sample};
use loom::sync::Arc;
use loom::thread;
use std::time::Instant;

#[test]
fn loom_what_is_counted_is_taken_once() {
    loom::model(|| {
        let tally = Arc::new(Tally::new());
        let other = Arc::clone(&tally);
        // Two threads may share one tally.
        let thread = thread::spawn(move || other.answered(7));
        tally.answered(5);
        let mut looked = Looked::default();
        let (mut total, mut latencies) = (Total::default(), Vec::with_capacity(8));
        tally.take(&mut looked, &mut total, &mut latencies);
        assert!((1..=2).contains(&total.answered));
        assert!(latencies.iter().all(|nanos| [5, 7].contains(nanos)));
        thread.join().unwrap();
        tally.take(&mut looked, &mut total, &mut latencies);
        assert_eq!(total.answered, 2);
        tally.take(&mut looked, &mut total, &mut latencies);
        assert_eq!(total.answered, 2);
    });
}

#[derive(Clone)]
struct Always(u32);

impl Limit for Always {
    fn limit(&self) -> u32 {
        self.0
    }

    fn update(&mut self, _: &Sample, _: Instant) -> u32 {
        self.0
    }
}

#[test]
fn loom_of_two_changes_the_limit_is_that_of_the_algorithm_that_won() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        let slots = AdaptiveSlots::new(Always(1)).unwrap();
        let other = slots.clone();
        let thread = thread::spawn(move || other.go_by(Always(2)));
        slots.go_by(Always(3));
        thread.join().unwrap();
        assert_eq!(slots.limit(), slots.algorithm().limit());
    });
}
