//! Every interleaving of two threads that count and one that takes what was counted, of two that
//! change the limit, and of one that does and one that exchanges the algorithm.

use super::tally::{Looked, Tally, Total};
use super::{AdaptiveSlots, Limit, Sample};
use crate::{Admission, Now, Outcome, Permit, Policy};
use loom::sync::Arc;
use loom::thread;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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

/// Shrinks to 2 with its first sample, of whichever of its clones that is.
#[derive(Clone)]
struct Shrinks(u32, std::sync::Arc<AtomicBool>);

impl Limit for Shrinks {
    fn limit(&self) -> u32 {
        self.0
    }

    fn update(&mut self, _: &Sample, _: Instant) -> u32 {
        self.1.store(true, Ordering::Relaxed);
        self.0 = 2;
        2
    }

    fn samples(&self) -> u32 {
        1
    }

    fn begin_at(&mut self, limit: u32) {
        self.0 = limit;
    }
}

#[test]
fn loom_what_an_algorithm_says_while_it_is_exchanged_is_not_lost() {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    let start = Instant::now();
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(move || {
        let algorithm = Shrinks(3, std::sync::Arc::default());
        let slots = AdaptiveSlots::new(algorithm.clone()).unwrap();
        let Admission::Admitted(slot) = slots.admit(&(), &Now::at(start)) else {
            panic!("it is free");
        };
        let later = start + Duration::from_millis(10);
        let thread = thread::spawn(move || slot.complete(Outcome::Success, &Now::at(later)));
        slots.go_by(algorithm.clone());
        thread.join().unwrap();
        let has_shrunk = algorithm.1.load(Ordering::Relaxed);
        assert_eq!(slots.limit(), if has_shrunk { 2 } else { 3 });
        assert_eq!(slots.limit(), slots.algorithm().limit());
    });
}
