//! What opens a breaker, and for how long.

use super::*;
use Outcome::{Cancelled, Failure, Overload, Success};

#[test]
fn failures_in_a_row_open_it_and_a_success_ends_the_row() {
    let stage = Stage::set(|settings| settings.time_window = None);
    stage.calls(&[Failure, Failure, Failure, Failure, Success]);
    stage.calls(&[Failure, Failure, Failure, Failure]);
    assert_eq!(stage.state(), CircuitState::Closed);
    stage.call(Failure);
    assert_eq!(stage.state(), CircuitState::Open);
    assert_eq!(
        stage.admit().unwrap_err().reason(),
        crate::Reason::CircuitOpen
    );
}

#[test]
fn a_rate_opens_it_once_there_are_enough_calls() {
    let stage = Stage::set(|_| {});
    // 18 calls, 9 of which failed.
    for _ in 0..9 {
        stage.calls(&[Failure, Success]);
    }
    assert_eq!(stage.state(), CircuitState::Closed);
    stage.call(Failure);
    assert_eq!(stage.state(), CircuitState::Closed);
    // The 20th call completes the minimum, though it succeeds.
    stage.call(Success);
    assert_eq!(stage.state(), CircuitState::Open);
}

#[test]
fn a_rate_is_what_its_decimal_fraction_says() {
    // 0.07 × 100 is 7.000000000000001 in floating point, and 7 of 100 must do all the same.
    let stage = Stage::set(|settings| {
        settings.failure_rate = Some(0.07);
        settings.min_calls = 100;
        settings.time_window = None;
        settings.count_window = Some(100);
    });
    for _ in 0..7 {
        stage.call(Failure);
        stage.call(Success);
    }
    for _ in 0..85 {
        stage.call(Success);
    }
    assert_eq!(stage.state(), CircuitState::Closed);
    stage.call(Success);
    assert_eq!(stage.state(), CircuitState::Open);
}

#[test]
fn a_million_successes_do_not_hide_an_outage() {
    let stage = Stage::set(|settings| {
        settings.consecutive_failures = None;
        settings.time_window = None;
        settings.count_window = Some(100);
    });
    for _ in 0..1_000_000 {
        stage.call(Success);
    }
    stage.calls(&[Failure; 49]);
    assert_eq!(stage.state(), CircuitState::Closed);
    stage.call(Failure);
    assert_eq!(stage.state(), CircuitState::Open);
}

#[test]
fn a_busy_service_trips_within_a_window_and_forgets_what_left_it() {
    let mut stage = Stage::set(|settings| settings.consecutive_failures = None);
    for _ in 0..100_000 {
        stage.call(Success);
    }
    stage.wait(31 * SECOND);
    stage.calls(&[Failure; 19]);
    assert_eq!(stage.state(), CircuitState::Closed);
    stage.call(Failure);
    assert_eq!(stage.state(), CircuitState::Open);
}

#[test]
fn slow_calls_open_it_though_they_succeed() {
    let mut stage = Stage::set(|settings| {
        settings.slow_calls = Some(SlowCalls {
            duration: 100 * MS,
            rate: 0.5,
        });
    });
    for _ in 0..10 {
        stage.call_for(99 * MS, Success);
    }
    for _ in 0..9 {
        stage.call_for(100 * MS, Success);
    }
    assert_eq!(stage.state(), CircuitState::Closed);
    let tally = stage.snapshot().time_window.unwrap();
    assert_eq!((tally.calls, tally.failed, tally.slow), (19, 0, 9));
    stage.call_for(100 * MS, Success);
    assert_eq!(stage.state(), CircuitState::Open);
}

#[test]
fn overload_counts_for_the_rate_unless_told_otherwise() {
    let after = |counts, calls: usize| {
        let stage = Stage::set(|settings| settings.overload = counts);
        for _ in 0..calls {
            stage.call(Overload);
        }
        stage.state()
    };
    assert_eq!(after(OverloadCounts::ForTheRate, 19), CircuitState::Closed);
    assert_eq!(after(OverloadCounts::ForTheRate, 20), CircuitState::Open);
    assert_eq!(after(OverloadCounts::AsFailure, 5), CircuitState::Open);
    assert_eq!(after(OverloadCounts::AsNothing, 500), CircuitState::Closed);
    // It does not end a row of failures either.
    let stage = Stage::set(|_| {});
    stage.calls(&[Failure, Failure, Failure, Failure, Overload, Failure]);
    assert_eq!(stage.state(), CircuitState::Open);
}

#[test]
fn a_call_that_is_given_up_late_is_a_failure_and_one_given_up_early_is_nothing() {
    let mut stage = Stage::set(|_| {});
    for _ in 0..500 {
        stage.call_for(249 * MS, Cancelled);
    }
    assert_eq!(stage.state(), CircuitState::Closed);
    assert_eq!(stage.snapshot().time_window.unwrap().calls, 0);
    for _ in 0..5 {
        assert!(stage.call_for(250 * MS, Cancelled));
    }
    assert_eq!(stage.state(), CircuitState::Open);

    let mut stage = Stage::set(|settings| settings.cancelled = CancelledCounts::AsNothing);
    for _ in 0..500 {
        assert!(stage.call_for(SECOND, Cancelled));
    }
    assert_eq!(stage.state(), CircuitState::Closed);
}

#[test]
fn what_is_slow_says_from_when_on_a_cancelled_call_counts() {
    let slow = |settings: &mut BreakerSettings| {
        settings.slow_calls = Some(SlowCalls {
            duration: 2 * SECOND,
            rate: 1.0,
        });
    };
    let mut stage = Stage::set(slow);
    for _ in 0..20 {
        stage.call_for(SECOND, Cancelled);
    }
    assert_eq!(stage.state(), CircuitState::Closed);
    stage.call_for(2 * SECOND, Cancelled);
    let tally = stage.snapshot().time_window.unwrap();
    assert_eq!((tally.calls, tally.failed, tally.slow), (1, 1, 1));

    // With a patience of its own it is slow all the same, and no failure.
    let mut stage = Stage::set(|settings| {
        slow(settings);
        settings.cancelled = CancelledCounts::AsNothing;
    });
    stage.call_for(2 * SECOND, Cancelled);
    let tally = stage.snapshot().time_window.unwrap();
    assert_eq!((tally.calls, tally.failed, tally.slow), (1, 0, 1));
}

#[test]
fn a_reader_who_leaves_in_the_middle_of_an_answer_is_no_failure_and_not_slow() {
    for slow_after in [None, Some(SECOND)] {
        let mut stage = Stage::set(|settings| {
            settings.slow_calls = slow_after.map(|duration| SlowCalls {
                duration,
                rate: 0.5,
            });
        });
        for _ in 0..50 {
            let mut permit = stage.admit().unwrap();
            permit.answered();
            stage.wait(SECOND);
            permit.complete(Cancelled, &stage.now());
        }
        assert_eq!(stage.state(), CircuitState::Closed);
        assert_eq!(stage.snapshot().time_window.unwrap().calls, 0);
    }
}

/// What counts for a window's counters that were not used for so long that the numbers of their
/// buckets have come half-way round: eight months of the shortest one.
#[test]
fn it_still_opens_after_months_without_a_call() {
    for days in [0, 240, 250, 300, 400, 497, 498, 600] {
        let mut stage = Stage::set(|settings| {
            settings.consecutive_failures = None;
            settings.time_window = Some(100 * MS);
        });
        stage.wait(days * 24 * 60 * 60 * SECOND);
        for _ in 0..20 {
            assert!(stage.call(Failure), "after {days} days");
        }
        assert_eq!(stage.state(), CircuitState::Open, "after {days} days");
    }
}

#[test]
fn a_permit_that_is_merely_dropped_counts_as_nothing() {
    let mut stage = Stage::set(|_| {});
    for _ in 0..50 {
        let permit = stage.admit().unwrap();
        stage.wait(SECOND);
        drop(permit);
    }
    assert_eq!(stage.snapshot().time_window.unwrap().calls, 0);
    assert_eq!(stage.snapshot().consecutive_failures, 0);
}

#[test]
fn the_open_time_doubles_while_probes_fail_and_starts_over_when_it_stays_closed() {
    let mut stage = Stage::set(|_| {});
    stage.trip();
    for seconds in [5, 10, 20, 40, 60, 60] {
        assert_eq!(stage.refused_for(), seconds * SECOND);
        stage.wait(seconds * SECOND);
        assert!(stage.call(Failure));
    }
    stage.wait(60 * SECOND);
    stage.call(Success);
    // The probe was lucky: it opens again before it was closed for as long as it was open.
    stage.wait(59 * SECOND);
    stage.trip();
    assert_eq!(stage.refused_for(), 60 * SECOND);
    stage.wait(60 * SECOND);
    stage.call(Success);
    stage.wait(60 * SECOND);
    stage.trip();
    assert_eq!(stage.refused_for(), 5 * SECOND);
}

#[test]
fn jitter_takes_a_fifth_at_most_and_repeats_with_its_seed() {
    let times = |seed: u64| {
        (0..50_u64)
            .map(|index| {
                let settings = BreakerSettings {
                    seed: Some(seed + index),
                    ..BreakerSettings::default()
                };
                let stage = Stage::with(Breaker::new("test", &settings).unwrap());
                stage.trip();
                stage.refused_for()
            })
            .collect::<Vec<_>>()
    };
    let one = times(7);
    assert_eq!(one, times(7));
    assert!(
        one.iter()
            .all(|time| (4 * SECOND..=5 * SECOND).contains(time))
    );
    let (least, most) = (one.iter().min().unwrap(), one.iter().max().unwrap());
    assert!(*most > *least + 500 * MS, "{one:?}");
}

#[test]
fn it_is_not_probed_before_the_callee_wants_to_be() {
    let fail = |stage: &Stage, wait| {
        let mut permit = stage.admit().unwrap();
        permit.pushback(wait);
        permit.complete(Failure, &stage.now());
    };
    // Told by the call that opens it.
    let stage = Stage::set(|settings| settings.consecutive_failures = Some(1));
    fail(&stage, 30 * SECOND);
    assert_eq!(stage.refused_for(), 30 * SECOND);
    // Told before it opens.
    let mut stage = Stage::set(|_| {});
    fail(&stage, 30 * SECOND);
    stage.wait(SECOND);
    stage.trip();
    assert_eq!(stage.refused_for(), 29 * SECOND);
    // Told by a late call while it is open, and never beyond the longest open time.
    let stage = Stage::set(|_| {});
    let mut late = stage.admit().unwrap();
    stage.trip();
    assert_eq!(stage.refused_for(), 5 * SECOND);
    late.pushback(24 * 60 * 60 * SECOND);
    late.complete(Overload, &stage.now());
    assert_eq!(stage.refused_for(), 60 * SECOND);
    // An earlier one shortens nothing.
    let stage = Stage::set(|settings| settings.consecutive_failures = Some(1));
    fail(&stage, SECOND);
    assert_eq!(stage.refused_for(), 5 * SECOND);
}
