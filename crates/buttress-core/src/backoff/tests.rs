use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// The first waits of a call.
fn waits<const N: usize>(backoff: &Backoff, overloaded: bool, seed: u64) -> [Duration; N] {
    let (random, mut waits) = (Random::seeded(seed), Waits::new());
    [(); N].map(|()| backoff.next(&mut waits, overloaded, &random))
}

fn exponential(jitter: Jitter) -> Backoff {
    Backoff::exponential(millis(50), SECOND)
        .unwrap()
        .jitter(jitter)
}

#[test]
fn without_jitter_waits_double_up_to_the_cap() {
    let expected = [50, 100, 200, 400, 800, 1_000, 1_000].map(millis);
    assert_eq!(waits(&exponential(Jitter::None), false, 1), expected);
    let by_three = exponential(Jitter::None).factor(3.0).unwrap();
    assert_eq!(
        waits(&by_three, false, 1),
        [50, 150, 450, 1_000].map(millis)
    );
}

#[test]
fn a_callee_that_has_too_much_to_do_is_left_alone_for_longer() {
    assert_eq!(waits(&exponential(Jitter::None), true, 1), [SECOND; 3]);
    let longer = exponential(Jitter::None).base_if_overloaded(5 * SECOND);
    assert_eq!(waits(&longer.unwrap(), true, 1), [5 * SECOND; 3]);
    let base = Backoff::exponential(3 * SECOND, 9 * SECOND).unwrap();
    assert_eq!(
        waits(&base.jitter(Jitter::None), true, 1),
        [3, 6, 9].map(Duration::from_secs)
    );
}

#[test]
fn each_jitter_keeps_to_its_formula_and_fills_it() {
    // (jitter, the least and the most of the third wait)
    for (jitter, least, most) in [
        (Jitter::Full, 0, 200),
        (Jitter::Equal, 100, 200),
        (Jitter::Decorrelated, 50, 1_000),
        (Jitter::Grpc, 160, 240),
    ] {
        let third = |seed| waits::<3>(&exponential(jitter), false, seed)[2];
        let seen: Vec<Duration> = (0..2_000).map(third).collect();
        let (low, high) = (seen.iter().min().unwrap(), seen.iter().max().unwrap());
        assert!(
            *low >= millis(least) && *high <= millis(most),
            "{jitter:?}: {low:?}..{high:?}"
        );
        let tenth = millis(most - least) / 10;
        assert!(*low <= millis(least) + tenth, "{jitter:?}: {low:?}");
        assert!(*high + tenth >= millis(most), "{jitter:?}: {high:?}");
    }
}

#[test]
fn decorrelated_waits_depend_on_the_wait_before() {
    let backoff = exponential(Jitter::Decorrelated);
    for seed in 0..200 {
        let waits: [Duration; 6] = waits(&backoff, false, seed);
        assert!(waits[0] <= millis(150));
        for pair in waits.windows(2) {
            assert!(pair[1] <= pair[0] * 3, "{waits:?}");
        }
    }
}

#[test]
fn a_seed_repeats_its_waits() {
    let of = |seed| waits::<8>(&Backoff::new(), false, seed);
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn a_wait_that_the_callee_asked_for_starts_the_backoff_again() {
    let (backoff, random) = (exponential(Jitter::None), Random::new());
    let mut waits = Waits::new();
    backoff.next(&mut waits, false, &random);
    assert_eq!(backoff.next(&mut waits, false, &random), millis(100));
    waits.start_again();
    assert_eq!(backoff.next(&mut waits, false, &random), millis(50));
}

#[test]
fn a_function_is_told_of_the_retry() {
    let backoff = Backoff::by_fn(|retry| {
        assert_eq!(retry.previous, millis(u64::from(retry.number - 1)));
        assert!(retry.overloaded);
        millis(retry.number.into())
    });
    assert_eq!(waits(&backoff, true, 1), [1, 2, 3].map(millis));
    let endless = Backoff::by_fn(|_| Duration::MAX);
    assert_eq!(waits(&endless, true, 1), [LONGEST]);
    let constant = Backoff::constant(millis(7)).unwrap();
    assert_eq!(waits(&constant, true, 1), [millis(7); 3]);
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |result: Result<Backoff, SettingError>| result.unwrap_err().field();
    let ok = || Backoff::new();
    assert_eq!(field(Backoff::exponential(Duration::ZERO, SECOND)), "base");
    assert_eq!(field(Backoff::exponential(SECOND, Duration::MAX)), "cap");
    let error = Backoff::exponential(SECOND, millis(999)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`cap` is 999ms, but must be at least the base, 1s"
    );
    assert_eq!(field(Backoff::constant(Duration::MAX)), "constant");
    for factor in [0.9, 101.0, f64::NAN, f64::INFINITY, -1.0] {
        assert_eq!(field(ok().factor(factor)), "factor");
    }
    assert_eq!(
        field(ok().base_if_overloaded(Duration::ZERO)),
        "base_if_overloaded"
    );
    assert!(Backoff::constant(Duration::ZERO).is_ok());
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_the_cap(
        base in 1_u64..100_000,
        more in 0_u64..100_000,
        factor in 1.0..100.0,
        retries in 1_usize..200,
        seed: u64,
        overloaded: bool,
        jitter in proptest::sample::select(vec![
            Jitter::Full, Jitter::Equal, Jitter::Decorrelated, Jitter::None,
        ]),
    ) {
        let cap = millis(base + more);
        let backoff = Backoff::exponential(millis(base), cap).unwrap();
        let backoff = backoff.factor(factor).unwrap().jitter(jitter);
        let (random, mut waits) = (Random::seeded(seed), Waits::new());
        for _ in 0..retries {
            let wait = backoff.next(&mut waits, overloaded, &random);
            let most = if overloaded { cap.max(SECOND) } else { cap };
            prop_assert!(wait <= most);
        }
    }

    #[test]
    fn grpc_is_within_a_fifth_whatever_the_service_config_says(
        initial in 1_u64..u64::MAX,
        factor in 0.000_001..1e300,
        cap in 1_u64..u64::MAX,
        retries in 1_usize..50,
    ) {
        let cap = Duration::from_nanos(cap);
        let backoff = Backoff::grpc(Duration::from_nanos(initial), factor, cap);
        let (random, mut waits) = (Random::seeded(1), Waits::new());
        for _ in 0..retries {
            prop_assert!(backoff.next(&mut waits, false, &random) <= cap.mul_f64(1.200_001));
        }
    }
}
