//! Probes: as many as are permitted, and never stuck.

use super::*;
use Outcome::{Cancelled, Failure, Success};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

/// Open, with its open time over.
fn ready_to_probe(probes: u32) -> Stage {
    let mut stage = Stage::set(|settings| settings.probes = probes);
    stage.trip();
    assert!(stage.admit().is_err());
    stage.wait(5 * SECOND);
    stage
}

#[test]
fn it_says_that_it_is_half_open_though_nobody_calls() {
    let mut stage = ready_to_probe(1);
    assert_eq!(stage.state(), CircuitState::HalfOpen);
    assert_eq!(stage.snapshot().retry_after, None);
    stage.wait(60 * 60 * SECOND);
    assert_eq!(stage.state(), CircuitState::HalfOpen);
    assert!(stage.call(Success));
    assert_eq!(stage.state(), CircuitState::Closed);
}

#[test]
fn a_probe_closes_it_and_the_windows_start_afresh() {
    let stage = ready_to_probe(1);
    stage.call(Success);
    assert_eq!(stage.state(), CircuitState::Closed);
    assert_eq!(stage.snapshot().time_window.unwrap().calls, 0);
    stage.calls(&[Failure; 4]);
    assert_eq!(stage.state(), CircuitState::Closed);
}

#[test]
fn it_opens_as_soon_as_too_many_probes_have_failed() {
    let mut stage = Stage::set(|settings| {
        settings.probes = 3;
        settings.probes_to_close = Some(2);
    });
    stage.trip();
    stage.wait(5 * SECOND);
    stage.call(Failure);
    assert_eq!(stage.state(), CircuitState::HalfOpen);
    stage.call(Failure);
    assert_eq!(stage.state(), CircuitState::Open);
    stage.wait(10 * SECOND);
    stage.calls(&[Failure, Success, Success]);
    assert_eq!(stage.state(), CircuitState::Closed);
}

#[test]
fn a_slow_probe_has_failed() {
    let mut stage = Stage::set(|settings| {
        settings.slow_calls = Some(SlowCalls {
            duration: SECOND,
            rate: 1.0,
        });
    });
    stage.trip();
    stage.wait(5 * SECOND);
    stage.call_for(SECOND, Success);
    assert_eq!(stage.state(), CircuitState::Open);
}

#[test]
fn a_probe_that_its_caller_gave_up_on_late_has_failed() {
    let mut stage = ready_to_probe(1);
    stage.call_for(SECOND, Cancelled);
    assert_eq!(stage.state(), CircuitState::Open);
    assert_eq!(stage.refused_for(), 10 * SECOND);
}

/// A late success must not close what the outage that came after it opened.
#[test]
fn what_comes_late_from_before_the_outage_decides_nothing() {
    let stage = Stage::set(|_| {});
    let (good, bad) = (stage.admit().unwrap(), stage.admit().unwrap());
    let mut stage = stage;
    stage.trip();
    stage.wait(5 * SECOND);
    let probe = stage.admit().unwrap();
    good.complete(Success, &stage.now());
    assert_eq!(stage.state(), CircuitState::HalfOpen);
    bad.complete(Failure, &stage.now());
    assert_eq!(stage.state(), CircuitState::HalfOpen);
    probe.complete(Success, &stage.now());
    assert_eq!(stage.state(), CircuitState::Closed);
    assert_eq!(stage.snapshot().consecutive_failures, 0);
}

#[test]
fn a_probe_of_an_earlier_half_open_state_decides_nothing() {
    let mut stage = Stage::set(|settings| settings.probes = 2);
    stage.trip();
    stage.wait(5 * SECOND);
    let (late, early) = (stage.admit().unwrap(), stage.admit().unwrap());
    early.complete(Failure, &stage.now());
    stage.wait(10 * SECOND);
    let _probe = stage.admit().unwrap();
    late.complete(Failure, &stage.now());
    assert_eq!(stage.state(), CircuitState::HalfOpen);
    assert_eq!(stage.snapshot().probes, 1);
}

/// There, an exception that was configured to be ignored neither counted nor gave its permission
/// back, and no call was ever admitted again.
#[test]
fn resilience4j_544_a_probe_that_is_ignored_gives_its_slot_back() {
    let mut stage = ready_to_probe(1);
    for _ in 0..100 {
        // A refusal further in: the guard drops the permit.
        drop(stage.admit().expect("the slot is free"));
        // Overload that counts as nothing, or a cancelled call.
        assert!(stage.call(Cancelled));
    }
    stage.wait(SECOND);
    assert!(stage.call(Success));
    assert_eq!(stage.state(), CircuitState::Closed);
}

/// There, the rate of the closed state's window was never looked at while half-open, since the
/// minimum of calls was larger than the number of probes.
#[test]
fn resilience4j_903_the_minimum_of_calls_does_not_bind_the_probes() {
    let mut stage = Stage::set(|settings| {
        settings.min_calls = 1_000;
        settings.probes = 10;
        settings.failure_rate = Some(0.25);
        settings.time_window = Some(SECOND);
    });
    stage.trip();
    stage.wait(5 * SECOND);
    stage.calls(&[Success; 10]);
    assert_eq!(stage.state(), CircuitState::Closed);
}

/// There, probes that hung held all permissions for ever.
#[test]
fn resilience4j_935_probes_that_never_end_lose_their_slots() {
    let mut stage = ready_to_probe(2);
    let hang = [stage.admit().unwrap(), stage.admit().unwrap()];
    assert_eq!(stage.admit().unwrap_err().wait(), None);
    stage.wait(9_999 * MS);
    assert!(stage.admit().is_err());
    stage.wait(MS);
    stage.calls(&[Success, Success]);
    assert_eq!(stage.state(), CircuitState::Closed);
    drop(hang);
    assert_eq!(stage.state(), CircuitState::Closed);
}

#[test]
fn a_slow_service_closes_it_though_its_probes_are_given_up() {
    let mut stage = ready_to_probe(1);
    let slow = stage.admit().unwrap();
    stage.wait(11 * SECOND);
    let another = stage.admit().unwrap();
    // The first one had lost its slot, and still it is good news.
    slow.complete(Success, &stage.now());
    assert_eq!(stage.state(), CircuitState::Closed);
    another.complete(Failure, &stage.now());
    assert_eq!(stage.snapshot().consecutive_failures, 0);
}

#[test]
fn a_lost_probe_has_no_slot_to_give_back() {
    let mut stage = ready_to_probe(1);
    let lost = stage.admit().unwrap();
    stage.wait(10 * SECOND);
    let _probe = stage.admit().unwrap();
    drop(lost);
    assert!(stage.admit().is_err(), "one too many");
}

#[test]
fn a_stream_that_has_been_coming_for_long_is_a_success() {
    let mut stage = ready_to_probe(1);
    let mut stream = stage.admit().unwrap();
    stream.answered();
    stage.wait(10 * SECOND);
    assert!(stage.call(Success), "the stream lives, so it is closed");
    assert_eq!(stage.state(), CircuitState::Closed);
    stream.complete(Failure, &stage.now());
    assert_eq!(stage.snapshot().consecutive_failures, 0);

    // The same if its reader leaves before anybody else calls.
    let mut stage = ready_to_probe(1);
    let mut stream = stage.admit().unwrap();
    stream.answered();
    stage.wait(11 * SECOND);
    stream.complete(Cancelled, &stage.now());
    assert_eq!(stage.state(), CircuitState::Closed);
}

#[test]
fn a_probe_whose_reader_leaves_after_the_slow_time_has_not_failed() {
    let mut stage = Stage::set(|settings| {
        settings.slow_calls = Some(SlowCalls {
            duration: SECOND,
            rate: 1.0,
        });
    });
    stage.trip();
    stage.wait(5 * SECOND);
    let mut stream = stage.admit().unwrap();
    stream.answered();
    stage.wait(2 * SECOND);
    stream.complete(Cancelled, &stage.now());
    // It says nothing, and its slot is another's.
    assert_eq!(stage.state(), CircuitState::HalfOpen);
    assert!(stage.call(Success));
    assert_eq!(stage.state(), CircuitState::Closed);
}

/// There, futures that were cancelled, and calls that panicked, kept their permissions.
#[test]
fn resilience4j_1389_probes_that_are_dropped_or_panic_give_their_slots_back() {
    let stage = ready_to_probe(3);
    for _ in 0..100 {
        let probes: Vec<_> = (0..3).map(|_| stage.admit().unwrap()).collect();
        assert!(stage.admit().is_err());
        drop(probes);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            let _probe = stage.admit().unwrap();
            panic!("in the middle of a probe");
        }));
        assert!(panicked.is_err());
        assert_eq!(stage.snapshot().probes, 0);
    }
    stage.calls(&[Success; 3]);
    assert_eq!(stage.state(), CircuitState::Closed);
}

/// There, a cache in front let one probe through and then nothing for half an hour, and nobody
/// knew whether the breaker would ever leave the state.
#[test]
fn resilience4j_2028_a_half_open_breaker_that_hears_nothing_still_lets_probes_in() {
    let mut stage = ready_to_probe(3);
    for probe in 0..3 {
        assert_eq!(stage.state(), CircuitState::HalfOpen, "{probe}");
        assert!(stage.call(Success));
        stage.wait(30 * 60 * SECOND);
    }
    assert_eq!(stage.state(), CircuitState::Closed);
}

/// There, many threads at the moment of the change got more permissions than there were.
#[test]
fn resilience4j_1090_a_thousand_callers_get_exactly_the_permitted_probes() {
    for probes in [1, 3, 10] {
        let stage = ready_to_probe(probes);
        let admitted: Vec<_> = thread::scope(|scope| {
            let callers: Vec<_> = (0..20)
                .map(|_| {
                    let stage = &stage;
                    scope.spawn(move || (0..50).filter_map(|_| stage.admit().ok()).collect())
                })
                .collect();
            callers
                .into_iter()
                .flat_map(|caller: thread::ScopedJoinHandle<'_, Vec<_>>| caller.join().unwrap())
                .collect()
        });
        assert_eq!(admitted.len(), probes as usize);
    }
}
