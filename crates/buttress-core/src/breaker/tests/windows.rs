use super::super::count_window::CountWindow;
use super::super::divisor::Divisor;
use super::super::time_window::TimeWindow;
use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::thread;

proptest! {
    #[test]
    fn dividing_by_a_divisor_is_dividing(by in 1_u64.., number: u64, small in 1_u64..10_000) {
        for by in [by, small] {
            prop_assert_eq!(Divisor::new(by).divide(number), (number / by, number % by));
        }
    }

    #[test]
    fn a_count_window_holds_the_last_calls(
        size in 1_u32..200,
        calls in prop::collection::vec((any::<bool>(), any::<bool>()), 0..600),
    ) {
        let window = CountWindow::new(size, true);
        let mut last = VecDeque::new();
        for (failed, slow) in calls {
            window.record(failed, slow);
            last.push_back((failed, slow));
            if last.len() > size as usize {
                last.pop_front();
            }
            let tally = window.tally();
            prop_assert_eq!(tally.calls, last.len() as u64);
            prop_assert_eq!(tally.failed, last.iter().filter(|call| call.0).count() as u64);
            prop_assert_eq!(tally.slow, last.iter().filter(|call| call.1).count() as u64);
        }
        window.clear();
        prop_assert_eq!(window.tally(), Tally::default());
    }

    #[test]
    fn a_time_window_holds_ten_buckets(
        calls in prop::collection::vec((0_u64..300, any::<bool>(), any::<bool>()), 0..300),
    ) {
        // Buckets of 100.
        let window = TimeWindow::new(1_000, true);
        let (mut at, mut all) = (0, Vec::new());
        for (pause, failed, slow) in calls {
            at += pause;
            window.move_to(at);
            window.record(failed, slow, 1);
            all.push((at, failed, slow));
            let inside = || all.iter().filter(|call| call.0 / 100 + 10 > at / 100);
            let tally = window.tally(at);
            prop_assert_eq!(tally.calls, inside().count() as u64);
            prop_assert_eq!(tally.failed, inside().filter(|call| call.1).count() as u64);
            prop_assert_eq!(tally.slow, inside().filter(|call| call.2).count() as u64);
        }
        prop_assert_eq!(window.tally(at + 1_000), Tally::default());
    }
}

#[test]
fn threads_lose_no_call() {
    let by_count = CountWindow::new(100_000, false);
    let by_time = TimeWindow::new(1_000, false);
    thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (by_count, by_time) = (&by_count, &by_time);
            scope.spawn(move || {
                for call in 0..10_000 {
                    by_count.record(call % 2 == 0, false);
                    by_time.move_to(call / 1_000 * 10 + thread);
                    by_time.record(call % 2 == 0, false, 1);
                }
            });
        }
    });
    for tally in [by_count.tally(), by_time.tally(0)] {
        assert_eq!((tally.calls, tally.failed), (40_000, 20_000));
    }
}

#[test]
fn one_of_many_is_small() {
    // The counters of the time window are in it, and it has no others.
    let machine = size_of::<super::super::machine::Machine>();
    assert!(machine < 500, "{machine}");
}
