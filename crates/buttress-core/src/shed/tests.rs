#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use super::{CoDel, DeadlineShedder, Pressure, QueueDelay, Ramp, Reading};
use crate::{Admission, Criticality, Now, Outcome, Permit, Policy, Reason, SettingError};
use proptest::prelude::*;
use std::time::{Duration, Instant};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    Instant::now()
}

#[expect(clippy::needless_pass_by_value, reason = "a permit goes with it")]
fn reason<P, W>(admission: Admission<P, W>) -> Option<Reason> {
    match admission {
        Admission::Refused(rejection) => Some(rejection.reason()),
        Admission::Admitted(_) | Admission::Wait(_) => None,
    }
}

#[test]
fn a_burst_that_drains_is_no_overload() {
    let (codel, begin) = (CoDel::new(), start());
    // Each interval has a long wait and a short one.
    for interval in 0..50 {
        let at = begin + interval * 100 * MILLI;
        assert!(!codel.is_too_late(80 * MILLI, at + 10 * MILLI));
        assert!(!codel.is_too_late(4 * MILLI, at + 90 * MILLI));
    }
}

#[test]
fn a_queue_that_stands_sheds_until_somebody_waits_for_less_than_the_target() {
    let (codel, begin) = (CoDel::new(), start());
    for at in 0..100 {
        assert!(!codel.is_too_late(20 * MILLI, begin + at * MILLI));
    }
    assert!(codel.is_too_late(20 * MILLI, begin + 100 * MILLI));
    assert!(codel.is_overloaded());
    assert!(
        !codel.is_too_late(10 * MILLI, begin + 110 * MILLI),
        "twice the target is in time"
    );
    assert!(codel.is_too_late(11 * MILLI, begin + 120 * MILLI));
    assert!(!codel.is_too_late(4 * MILLI, begin + 150 * MILLI));
    // That was in this interval, so the next one is well.
    assert!(!codel.is_too_late(20 * MILLI, begin + 200 * MILLI));
    assert!(!codel.is_overloaded());
}

#[test]
fn an_overload_is_forgotten_when_nobody_comes() {
    let (codel, begin) = (CoDel::new(), start());
    codel.is_too_late(20 * MILLI, begin);
    assert!(codel.is_too_late(20 * MILLI, begin + 100 * MILLI));
    // The queue was empty in between.
    assert!(!codel.is_too_late(20 * MILLI, begin + 400 * MILLI));
}

proptest! {
    /// The model: waits kept in a list, judged when the interval is over.
    #[test]
    fn codel_agrees_with_a_list(waits in prop::collection::vec((0_u64..40, 0_u64..60), 1..300)) {
        let (codel, begin) = (CoDel::new(), start());
        let (mut now, mut ends, mut overloaded) = (0, 0, false);
        let mut seen: Vec<u64> = Vec::new();
        for (wait, gap) in waits {
            now += gap;
            // The clock starts with the first call.
            let at = if ends == 0 { 0 } else { now };
            now = at;
            if at >= ends {
                let least = seen.iter().min();
                let is_news = ends > 0 && at - ends < 100;
                overloaded = is_news && least.is_some_and(|least| *least > 5);
                ends = at + 100;
                seen.clear();
            }
            seen.push(wait);
            let too_late = overloaded && wait > 10;
            prop_assert_eq!(codel.is_too_late(wait as u32 * MILLI, begin + at as u32 * MILLI), too_late);
        }
    }
}

#[test]
fn calls_that_waited_too_long_are_refused_and_those_that_say_nothing_pass() {
    let begin = start();
    let policy = QueueDelay::new(CoDel::new(), |arrived: &Option<Instant>| *arrived);
    for at in 0..200 {
        let now = Now::at(begin + SECOND + at * MILLI);
        let refused = reason(policy.admit(&Some(begin + at * MILLI), &now));
        let expected = (at >= 100).then_some(Reason::Overloaded);
        assert_eq!(refused, expected, "{at}");
        assert_eq!(reason(policy.admit(&None, &now)), None);
    }
}

#[test]
fn what_is_refused_rises_smoothly_with_the_pressure() {
    let policy = Pressure::new().seed(1);
    let now = Now::at(start());
    let mut before = 0.0;
    for percent in [50, 80, 85, 86, 90, 95, 100] {
        let cpu = Some(f64::from(percent) / 100.0);
        for _ in 0..50 {
            policy.report(Reading { cpu, memory: None });
        }
        let refused = (0..10_000).filter(|_| reason(policy.admit(&(), &now)).is_some());
        let share = refused.count() as f64 / 10_000.0;
        let expected = ((f64::from(percent) - 85.0) / 15.0).clamp(0.0, 1.0) * 0.95;
        // Five standard deviations.
        assert!((share - expected).abs() < 0.025, "{percent} %: {share}");
        assert!(share >= before);
        before = share;
    }
}

#[test]
fn a_single_peak_is_averaged_out() {
    let policy = Pressure::new();
    let calm = Reading {
        cpu: Some(0.5),
        memory: Some(0.5),
    };
    for _ in 0..10 {
        policy.report(calm);
    }
    policy.report(Reading {
        cpu: Some(1.0),
        memory: Some(0.5),
    });
    assert!(policy.refused_share() <= 0.0);
    for _ in 0..10 {
        policy.report(Reading {
            cpu: Some(0.5),
            memory: Some(0.99),
        });
    }
    assert!(
        policy.refused_share() > 0.9,
        "the tighter of the two decides"
    );
    // What cannot be read is no pressure, and neither is nonsense.
    policy.report(Reading {
        cpu: Some(f64::NAN),
        memory: None,
    });
    assert!(policy.refused_share() <= 0.0);
}

#[test]
fn pressure_refuses_the_least_critical_of_what_comes() {
    let policy = Pressure::new().seed(1).looking(|call: &Criticality| *call);
    let now = Now::at(start());
    // Half-way up the ramp, 47.5 % of all.
    let cpu = Some(0.925);
    let refused_of_ten = || {
        let mut refused = [0; 4];
        for number in 0..10_000 {
            let call = match number % 10 {
                0..5 => Criticality::Sheddable,
                5..9 => Criticality::SheddablePlus,
                _ => Criticality::Critical,
            };
            refused[call.rank()] += u32::from(reason(policy.admit(&call, &now)).is_some());
        }
        refused
    };
    assert_eq!(refused_of_ten(), [0; 4]);
    policy.report(Reading { cpu, memory: None });
    // What comes was counted while nothing was refused, so the first pressure meets the lowest alone.
    let [lowest, next, critical, _] = refused_of_ten();
    assert_eq!((next, critical), (0, 0));
    assert!((4_650..4_850).contains(&lowest), "{lowest}");
    // 90 % of all: everything but the critical ones, and some of those.
    policy.report(Reading {
        cpu: Some(1.0),
        memory: Some(1.0),
    });
    let [lowest, next, critical, _] = refused_of_ten();
    assert_eq!((lowest, next), (5_000, 4_000));
    assert!((400..600).contains(&critical), "{critical}");
    policy.report(Reading::default());
    assert_eq!(refused_of_ten(), [0; 4]);
}

/// A shedder that has seen calls of 100 ms.
fn shedder(begin: Instant) -> DeadlineShedder<impl Fn(&Option<Instant>) -> Option<Instant>> {
    let shedder = DeadlineShedder::new(|deadline: &Option<Instant>| *deadline).unwrap();
    for _ in 0..30 {
        let Admission::Admitted(permit) = shedder.admit(&None, &Now::at(begin)) else {
            continue;
        };
        permit.complete(Outcome::Success, &Now::at(begin + 100 * MILLI));
    }
    shedder
}

#[test]
fn a_call_that_cannot_be_answered_in_time_is_refused_at_once() {
    let begin = start();
    let shedder = shedder(begin);
    let now = begin + 200 * MILLI;
    let ask = |left: Duration| reason(shedder.admit(&Some(now + left), &Now::at(now)));
    assert_eq!(ask(Duration::ZERO), Some(Reason::DeadlinePassed));
    assert_eq!(ask(200 * MILLI), None);
    assert_eq!(ask(50 * MILLI), None, "one is let through to see");
    assert_eq!(ask(50 * MILLI), Some(Reason::Overloaded));
    assert_eq!(ask(120 * MILLI), None);
    assert!(shedder.expected().unwrap() >= 100 * MILLI);
}

#[test]
fn nobody_is_judged_by_a_handful_of_calls() {
    let begin = start();
    let shedder = DeadlineShedder::new(|deadline: &Option<Instant>| *deadline).unwrap();
    for _ in 0..9 {
        let Admission::Admitted(permit) = shedder.admit(&None, &Now::at(begin)) else {
            continue;
        };
        permit.complete(Outcome::Success, &Now::at(begin + SECOND));
    }
    let now = begin + 2 * SECOND;
    for _ in 0..10 {
        assert_eq!(
            reason(shedder.admit(&Some(now + MILLI), &Now::at(now))),
            None
        );
    }
}

#[test]
fn a_callee_that_is_fast_again_is_seen_although_all_calls_were_hopeless() {
    let begin = start();
    let shedder = shedder(begin);
    let mut now = begin + 200 * MILLI;
    let mut refused_last = false;
    // Calls with 50 ms, ten in a second of which one is let through; it takes 1 ms now.
    for _ in 0..2_000 {
        match shedder.admit(&Some(now + 50 * MILLI), &Now::at(now)) {
            Admission::Admitted(permit) => {
                permit.complete(Outcome::Success, &Now::at(now + MILLI));
                refused_last = false;
            }
            Admission::Refused(_) => refused_last = true,
            Admission::Wait(never) => match never {},
        }
        now += 50 * MILLI;
    }
    assert!(!refused_last);
    assert!(shedder.expected().unwrap() < 3 * MILLI);
}

#[test]
fn thousands_of_slow_calls_are_forgotten_within_a_second() {
    let begin = start();
    let shedder = DeadlineShedder::new(|deadline: &Option<Instant>| *deadline).unwrap();
    for at in 0..5_000 {
        let now = begin + at * MILLI;
        if let Admission::Admitted(permit) = shedder.admit(&None, &Now::at(now)) {
            permit.complete(Outcome::Success, &Now::at(now + SECOND));
        }
    }
    // From now on it takes a millisecond, and a thousand callers a second wait for fifty.
    let now = begin + 6 * SECOND;
    let refused = |from: u32| {
        let calls = (from..from + 1_000).map(|at| now + at * MILLI);
        let refused =
            calls.filter(
                |at| match shedder.admit(&Some(*at + 50 * MILLI), &Now::at(*at)) {
                    Admission::Admitted(permit) => {
                        permit.complete(Outcome::Success, &Now::at(*at + MILLI));
                        false
                    }
                    Admission::Refused(_) | Admission::Wait(_) => true,
                },
            );
        refused.count()
    };
    let (first, second) = (refused(0), refused(1_000));
    assert!(first > 0 && first < 400, "{first}");
    assert_eq!(second, 0);
}

#[test]
fn hopeless_calls_are_let_through_seldom_while_they_do_not_make_it() {
    let begin = start();
    let shedder = shedder(begin);
    let mut admitted = 0;
    // A thousand a second, of which none makes it.
    for at in 0..5_000 {
        let now = begin + (200 + at) * MILLI;
        if let Admission::Admitted(permit) = shedder.admit(&Some(now + 50 * MILLI), &Now::at(now)) {
            admitted += 1;
            permit.complete(Outcome::Cancelled, &Now::at(now + 50 * MILLI));
        }
    }
    assert!((90..=102).contains(&admitted), "{admitted}");
}

#[test]
fn callers_that_leave_at_their_deadline_show_that_it_is_too_slow() {
    let begin = start();
    let shedder = shedder(begin);
    let now = begin + 300 * MILLI;
    // Known: 100 ms. From here on all are cancelled after 400 ms.
    assert_eq!(
        reason(shedder.admit(&Some(now + SECOND), &Now::at(now))),
        None
    );
    for _ in 0..200 {
        if let Admission::Admitted(permit) = shedder.admit(&None, &Now::at(now)) {
            permit.complete(Outcome::Cancelled, &Now::at(now + 400 * MILLI));
        }
        // A quick failure says nothing.
        if let Admission::Admitted(permit) = shedder.admit(&None, &Now::at(now)) {
            permit.complete(Outcome::Failure, &Now::at(now + MILLI));
        }
    }
    let now = now + SECOND;
    let ask = || reason(shedder.admit(&Some(now + 200 * MILLI), &Now::at(now)));
    assert_eq!((ask(), ask()), (None, Some(Reason::Overloaded)));
}

#[test]
fn nonsense_is_refused_by_name() {
    fn field<T>(result: Result<T, SettingError>) -> &'static str {
        result.map_or_else(|error| error.field(), |_| "nothing")
    }
    assert_eq!(field(CoDel::new().target(Duration::ZERO)), "target");
    assert_eq!(field(CoDel::new().interval(Duration::MAX)), "interval");
    assert_eq!(field(Ramp::new("cpu", 0.0, 1.0)), "cpu");
    assert_eq!(field(Ramp::new("cpu", 0.9, 0.8)), "cpu");
    assert_eq!(field(Ramp::new("cpu", 0.9, 0.9)), "cpu");
    assert_eq!(field(Ramp::new("memory", f64::NAN, 1.0)), "memory");
    assert_eq!(field(Pressure::new().most_refused(0.0)), "most_refused");
    assert_eq!(field(Pressure::new().named("")), "named");
    let shedder = || DeadlineShedder::new(|(): &()| None::<Instant>).unwrap();
    assert_eq!(field(shedder().quantile(1.0)), "quantile");
    assert_eq!(field(shedder().half_life(Duration::ZERO)), "half_life");
    assert_eq!(field(shedder().named("no\nname")), "named");
    let delay = QueueDelay::new(CoDel::new(), |(): &()| None::<Instant>);
    assert_eq!(field(delay.named("")), "named");
}
