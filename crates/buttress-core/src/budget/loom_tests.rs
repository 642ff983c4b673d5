//! Every interleaving of a few withdrawals.

use super::*;
use loom::thread;
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn start() -> Instant {
    Instant::now()
}

fn withdraw_from_two_threads(budget: &RetryBudget, at: [Instant; 2]) -> usize {
    let other = budget.clone();
    let thread = thread::spawn(move || other.withdraw(&Now::at(at[1])));
    let here = budget.withdraw(&Now::at(at[0]));
    let there = thread.join().unwrap();
    usize::from(here) + usize::from(there)
}

#[test]
fn loom_of_two_at_once_no_more_than_allowed_pass() {
    loom::model(|| {
        let now = start();
        let budget = RetryBudget::share(1.0, 0).unwrap();
        budget.deposit(&Now::at(now));
        assert!(withdraw_from_two_threads(&budget, [now; 2]) <= 1);
        // What was taken too much has been given back.
        budget.deposit(&Now::at(now));
        assert!(budget.withdraw(&Now::at(now)));
    });
}

#[test]
fn loom_nor_while_a_second_begins() {
    loom::model(|| {
        let now = start();
        let budget = RetryBudget::share(1.0, 0).unwrap();
        budget.deposit(&Now::at(now));
        let next = now + Duration::from_secs(1);
        assert!(withdraw_from_two_threads(&budget, [now, next]) <= 1);
    });
}

#[test]
fn loom_a_second_that_begins_loses_no_call() {
    loom::model(|| {
        let now = start();
        let budget = RetryBudget::share(1.0, 0).unwrap();
        budget.deposit(&Now::at(now));
        // The same bucket, to be emptied.
        let later = now + Duration::from_secs(16);
        let other = budget.clone();
        let thread = thread::spawn(move || other.deposit(&Now::at(later)));
        budget.deposit(&Now::at(later));
        thread.join().unwrap();
        assert_eq!(budget.left(&Now::at(later)), 2);
    });
}

#[test]
fn loom_no_call_without_a_time_is_lost_or_counted_twice() {
    loom::model(|| {
        let now = start();
        let budget = RetryBudget::share(1.0, 0).unwrap();
        budget.deposit(&Now::at(now));
        let other = budget.clone();
        let thread = thread::spawn(move || {
            other.deposit(&Now::lazy(start));
            other.left(&Now::at(now))
        });
        budget.deposit(&Now::lazy(start));
        assert!(budget.left(&Now::at(now)) <= 3);
        assert!(thread.join().unwrap() <= 3);
        assert_eq!(budget.left(&Now::at(now)), 3);
    });
}

#[test]
fn loom_no_token_is_lost() {
    loom::model(|| {
        let budget = RetryBudget::tokens(10_000, 500).unwrap();
        budget.failed();
        let other = budget.clone();
        let thread = thread::spawn(move || {
            other.failed();
            other.succeeded();
        });
        budget.succeeded();
        budget.failed();
        thread.join().unwrap();
        // 10 − 1 + 0.5 − 1 + 0.5 − 1, and so two more failures before five are left.
        assert_eq!(budget.left(&Now::at(start())), 2);
    });
}
