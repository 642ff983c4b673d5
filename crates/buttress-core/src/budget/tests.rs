use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn start() -> Instant {
    Instant::now()
}

fn withdrawn(budget: &RetryBudget, now: Instant) -> usize {
    (0..1_000_000)
        .take_while(|_| budget.withdraw(&Now::at(now)))
        .count()
}

fn deposit(budget: &RetryBudget, calls: usize, now: Instant) {
    for _ in 0..calls {
        budget.deposit(&Now::at(now));
    }
}

#[test]
fn a_fifth_of_the_calls_or_ten_a_second_whichever_is_more() {
    let (budget, now) = (RetryBudget::new(), start());
    assert_eq!(withdrawn(&budget, now), 100);
    let budget = RetryBudget::new();
    deposit(&budget, 500, now);
    assert_eq!(withdrawn(&budget, now), 100);
    deposit(&budget, 500, now);
    assert_eq!(withdrawn(&budget, now), 100);
    assert_eq!(budget.left(&Now::at(now)), 0);
}

#[test]
fn what_is_ten_seconds_old_counts_no_more() {
    let (budget, now) = (RetryBudget::share(0.5, 0).unwrap(), start());
    let after = |seconds| now + Duration::from_secs(seconds);
    deposit(&budget, 10, now);
    assert_eq!(withdrawn(&budget, after(5)), 5);
    deposit(&budget, 10, after(6));
    assert_eq!(withdrawn(&budget, after(9)), 5);
    // The first ten calls are gone, and all ten withdrawals are not.
    deposit(&budget, 2, after(10));
    assert_eq!(withdrawn(&budget, after(10)), 0);
    assert_eq!(budget.left(&Now::at(after(1_000_000))), 0);
    deposit(&budget, 4, after(1_000_000));
    assert_eq!(withdrawn(&budget, after(1_000_000)), 2);
}

#[test]
fn clones_share_and_another_layer_counts_no_call_twice() {
    let (budget, now) = (RetryBudget::share(0.5, 0).unwrap(), start());
    let hedges = budget.clone().without_deposits();
    deposit(&budget, 4, now);
    deposit(&hedges, 4, now);
    assert!(hedges.withdraw(&Now::at(now)));
    assert!(budget.withdraw(&Now::at(now)));
    assert!(!hedges.withdraw(&Now::at(now)));
}

#[test]
fn calls_whose_time_nobody_knows_count_when_it_is_asked_for() {
    static READ: AtomicUsize = AtomicUsize::new(0);
    fn clock() -> Instant {
        READ.fetch_add(1, Ordering::Relaxed);
        start()
    }
    let budget = RetryBudget::share(1.0, 0).unwrap();
    for _ in 0..20 {
        budget.deposit(&Now::lazy(clock));
    }
    assert_eq!(READ.load(Ordering::Relaxed), 2);
    assert_eq!(withdrawn(&budget, start()), 20);
}

#[test]
fn no_budget_allows_nothing() {
    let (budget, now) = (RetryBudget::share(0.0, 0).unwrap(), start());
    deposit(&budget, 1_000, now);
    assert!(!budget.withdraw(&Now::at(now)));
}

#[test]
fn calls_of_all_threads_count() {
    let (budget, now) = (RetryBudget::share(0.5, 0).unwrap(), start());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| deposit(&budget, 1_000, now));
        }
    });
    assert_eq!(budget.left(&Now::at(now)), 2_000);
}

#[test]
fn time_that_runs_backwards_does_no_harm() {
    let (budget, now) = (
        RetryBudget::share(1.0, 0).unwrap(),
        start() + Duration::from_secs(100),
    );
    deposit(&budget, 1, now);
    deposit(
        &budget,
        1,
        now.checked_sub(Duration::from_secs(50)).unwrap(),
    );
    assert!(budget.left(&Now::at(now)) <= 2);
    // A thread that read its clock sixteen seconds ago empties nothing.
    let later = now + Duration::from_secs(16);
    deposit(&budget, 3, later);
    deposit(&budget, 1, now);
    assert!(budget.left(&Now::at(later)) >= 3);
}

#[test]
fn tokens_stop_retries_at_half_and_come_back() {
    let (budget, now) = (RetryBudget::tokens(4_000, 500).unwrap(), Now::at(start()));
    budget.failed();
    assert!(budget.withdraw(&now));
    budget.failed();
    // 2 of 4 are left.
    assert!(!budget.withdraw(&now));
    budget.succeeded();
    assert!(budget.withdraw(&now));
    for _ in 0..10 {
        budget.failed();
    }
    for _ in 0..4 {
        budget.succeeded();
        assert!(!budget.withdraw(&now));
    }
    budget.succeeded();
    assert!(budget.withdraw(&now));
}

#[test]
fn nonsense_is_refused_by_name() {
    for share in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert_eq!(RetryBudget::share(share, 0).unwrap_err().field(), "share");
    }
    let error = RetryBudget::share(0.2, 1_000_001).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`at_least` is 1000001, but must be from 0 to 1000000"
    );
    for most in [0, 1_000_001] {
        assert_eq!(RetryBudget::tokens(most, 100).unwrap_err().field(), "most");
    }
    assert_eq!(RetryBudget::tokens(1, 0).unwrap_err().field(), "ratio");
}

/// Calls and withdrawals one by one, with the second in which they were.
#[derive(Default)]
struct Model {
    calls: VecDeque<u64>,
    withdrawals: VecDeque<u64>,
}

impl Model {
    fn left(&mut self, second: u64, millionths: u64, at_least: u64) -> u64 {
        for events in [&mut self.calls, &mut self.withdrawals] {
            events.retain(|of| of + 10 > second);
        }
        let share = self.calls.len() as u64 * millionths / 1_000_000;
        share
            .max(10 * at_least)
            .saturating_sub(self.withdrawals.len() as u64)
    }
}

proptest! {
    #[test]
    fn the_window_does_what_the_model_does(
        steps in proptest::collection::vec((0_u64..3_000, any::<bool>()), 1..400),
        millionths in 0_u32..1_000_000,
        at_least in 0_u32..3,
    ) {
        let budget = RetryBudget::share(f64::from(millionths) / 1e6, at_least).unwrap();
        let (start, mut model, mut passed) = (start(), Model::default(), 0);
        // The first time that is seen is the beginning.
        let _ = budget.left(&Now::at(start));
        for (wait, call) in steps {
            // Now and then long enough for all buckets to be of other seconds.
            passed += if wait > 2_900 { wait * 20 } else { wait / 4 };
            let (now, second) = (Now::at(start + Duration::from_millis(passed)), passed / 1_000);
            let left = model.left(second, millionths.into(), at_least.into());
            prop_assert_eq!(budget.left(&now), left);
            if call {
                budget.deposit(&now);
                model.calls.push_back(second);
            } else {
                prop_assert_eq!(budget.withdraw(&now), left > 0);
                if left > 0 {
                    model.withdrawals.push_back(second);
                }
            }
        }
    }

    #[test]
    fn tokens_do_what_the_model_does(
        most in 1_u32..=1_000_000,
        ratio in 1_u32..3_000,
        steps: Vec<bool>,
    ) {
        let budget = RetryBudget::tokens(most, ratio).unwrap();
        let now = Now::at(start());
        let mut left = i64::from(most);
        for success in steps {
            if success {
                budget.succeeded();
                left = (left + i64::from(ratio)).min(most.into());
            } else {
                budget.failed();
                left = (left - 1_000).max(0);
            }
            prop_assert_eq!(budget.withdraw(&now), left > i64::from(most / 2));
        }
    }
}
