use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    Instant::now()
}

fn admit(throttle: &Throttler, at: Instant) -> Option<ThrottlePermit> {
    match throttle.admit(&(), &Now::at(at)) {
        Admission::Admitted(permit) => Some(permit),
        Admission::Refused(rejection) => {
            assert_eq!(rejection.reason(), Reason::Throttled);
            None
        }
        Admission::Wait(never) => match never {},
    }
}

/// A thousand calls a second for ten minutes, of which a callee accepts so many each second.
/// Returns how many it was sent in a second, on the average of the last two minutes.
fn sent(throttle: &Throttler, accepts: u32) -> f64 {
    let begin = start();
    let mut sent = 0;
    for second in 0..600 {
        let mut accepted = 0;
        for call in 0..1_000 {
            let at = begin + second * SECOND + call * Duration::from_millis(1);
            let Some(permit) = admit(throttle, at) else {
                continue;
            };
            let outcome = if accepted < accepts {
                accepted += 1;
                Outcome::Success
            } else {
                Outcome::Overload
            };
            permit.complete(outcome, &Now::at(at));
            sent += u32::from(second >= 480);
        }
    }
    f64::from(sent) / 120.0
}

#[test]
fn what_is_sent_settles_at_twice_what_is_accepted() {
    let uncapped = || Throttler::new().seed(1).most_refused(1.0).unwrap();
    for (accepts, settles) in [(400, 800.0), (250, 500.0), (100, 200.0), (10, 20.0)] {
        let sent = sent(&uncapped(), accepts);
        assert!(
            (sent - settles).abs() < 0.02 * settles + 1.0,
            "{accepts}: {sent}"
        );
    }
}

#[test]
fn the_cap_lets_a_tenth_through_where_nearly_nothing_is_accepted() {
    let capped = || Throttler::new().seed(1);
    for (accepts, settles) in [
        (400, 800.0),
        (250, 500.0),
        (100, 200.0),
        (10, 100.0),
        (0, 100.0),
    ] {
        let sent = sent(&capped(), accepts);
        assert!((sent - settles).abs() < 0.03 * settles, "{accepts}: {sent}");
    }
}

#[test]
fn a_callee_that_recovers_gets_everything_again_within_two_windows() {
    let throttle = Throttler::new().seed(1);
    let begin = start();
    for millisecond in 0..360_000 {
        let at = begin + Duration::from_millis(millisecond);
        let outcome = match millisecond {
            0..120_000 => Outcome::Overload,
            _ => Outcome::Success,
        };
        if let Some(permit) = admit(&throttle, at) {
            permit.complete(outcome, &Now::at(at));
        }
    }
    let now = Now::at(begin + 360 * SECOND);
    assert_eq!(
        throttle.refusal_probability(&now).to_bits(),
        0.0_f64.to_bits()
    );
}

#[test]
fn a_call_that_is_cancelled_counts_for_nothing() {
    let throttle = Throttler::new();
    let now = Now::at(start());
    drop(admit(&throttle, now.instant()).unwrap());
    let permit = admit(&throttle, now.instant()).unwrap();
    permit.complete(Outcome::Cancelled, &now);
    assert_eq!(throttle.counted(&now), (0, 0));
}

#[test]
fn a_failure_was_accepted_unless_it_is_to_count() {
    let now = Now::at(start());
    for (throttle, accepts) in [
        (Throttler::new(), 1),
        (Throttler::new().failures_count(), 0),
    ] {
        let permit = admit(&throttle, now.instant()).unwrap();
        permit.complete(Outcome::Failure, &now);
        assert_eq!(throttle.counted(&now), (1, accepts));
    }
}

#[test]
fn a_fresh_one_shares_settings_and_nothing_else() {
    let throttle = Throttler::new().named("mine").unwrap();
    let now = Now::at(start());
    let permit = admit(&throttle, now.instant()).unwrap();
    permit.complete(Outcome::Success, &now);
    assert_eq!(throttle.fresh().counted(&now), (0, 0));
    assert_eq!(throttle.clone().counted(&now), (1, 1));
    let retention = |throttle: &Throttler, at| PerKey::<()>::retention(throttle, &Now::at(at));
    assert_eq!(retention(&throttle, now.instant()), Retention::Active);
    let later = now.instant() + 120 * SECOND;
    assert_eq!(retention(&throttle, later), Retention::Idle);
}

#[test]
fn nonsense_is_refused_by_name() {
    let new = Throttler::new;
    let fields = [
        new().multiplier(0.9).unwrap_err(),
        new().multiplier(f64::NAN).unwrap_err(),
        new().multiplier(f64::INFINITY).unwrap_err(),
        new().window(Duration::ZERO).unwrap_err(),
        new().window(2 * Duration::from_secs(3_600)).unwrap_err(),
        new().most_refused(1.1).unwrap_err(),
        new().most_refused(-0.1).unwrap_err(),
        new().named("").unwrap_err(),
    ];
    let fields = fields.map(|error| error.field());
    let (multiplier, window, most) = ("multiplier", "window", "most_refused");
    assert_eq!(
        fields,
        [
            multiplier, multiplier, multiplier, window, window, most, most, "named"
        ]
    );
}

#[derive(Clone, Debug)]
struct Step {
    pause: u64,
    outcome: Option<Outcome>,
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Some(Outcome::Success)),
        4 => Just(Some(Outcome::Overload)),
        1 => Just(Some(Outcome::Failure)),
        1 => Just(Some(Outcome::Cancelled)),
        1 => Just(None),
    ];
    let pause = prop_oneof![0_u64..300, 0_u64..20_000];
    (pause, outcome).prop_map(|(pause, outcome)| Step { pause, outcome })
}

proptest! {
    #[test]
    fn it_knows_what_a_list_of_all_calls_knows(steps in prop::collection::vec(step(), 1..300)) {
        // 12 s in buckets of one: a list of (second, accepted) says the same.
        let throttle = Throttler::new().window(12 * SECOND).unwrap().seed(3);
        let (begin, mut millisecond) = (start(), 0);
        // Time begins with the first call.
        throttle.refusal_probability(&Now::at(begin));
        let mut list: Vec<(u64, bool)> = Vec::new();
        for Step { pause, outcome } in steps {
            millisecond += pause;
            let at = begin + Duration::from_millis(millisecond);
            let permit = admit(&throttle, at);
            let second = millisecond / 1_000;
            match (permit, outcome) {
                (None, _) => list.push((second, false)),
                (Some(permit), None) => drop(permit),
                (Some(permit), Some(outcome)) => {
                    permit.complete(outcome, &Now::at(at));
                    match outcome {
                        Outcome::Success | Outcome::Failure => list.push((second, true)),
                        Outcome::Overload => list.push((second, false)),
                        _ => {}
                    }
                }
            }
            let window = list.iter().filter(|(then, _)| then + 12 > second);
            let requests = window.clone().count();
            let accepts = window.filter(|(_, accepted)| *accepted).count();
            let now = Now::at(at);
            prop_assert_eq!(throttle.counted(&now), (requests as u64, accepts as u64));
            let (requests, accepts) = (requests as f64, accepts as f64);
            let expected = ((requests - 2.0 * accepts) / (requests + 1.0)).clamp(0.0, 0.9);
            prop_assert!((throttle.refusal_probability(&now) - expected).abs() < 1e-12);
        }
    }
}
