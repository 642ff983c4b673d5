//! Each algorithm follows its published formula, step by step. The expected limits are calculated
//! here, from the formulas as they are written down and not as they are programmed.

use crate::limit::{Aimd, Gradient2, LatencyQuantile, Limit, Sample, Vegas};
use crate::setting::SettingError;
use proptest::prelude::*;
use std::time::{Duration, Instant};

fn now() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "any instant will do")]
    Instant::now()
}

fn millis(latency: u64) -> Duration {
    Duration::from_millis(latency)
}

/// The limits after samples of some latencies, in milliseconds, with so many calls under way.
fn trace<L: Limit>(mut limit: L, samples: &[(u64, u32)]) -> Vec<u32> {
    let follow = |(latency, in_flight): &(u64, u32)| {
        limit.update(&Sample::new(millis(*latency), *in_flight), now())
    };
    samples.iter().map(follow).collect()
}

#[test]
fn vegas_counts_the_queue() {
    // log₁₀ 20 counts as 1, so the threshold is 1, alpha 3, beta 6.
    let samples = [
        (10, 20), // the least so far: nothing else
        (10, 20), // ⌈20 (1 − 10/10)⌉ = 0 ≤ 1: + 6
        (10, 12), // half of 26 is 13: too few to tell
        (11, 26), // ⌈26 (1 − 10/11)⌉ = 3, neither < 3 nor > 6: stays
        (20, 26), // ⌈26 / 2⌉ = 13 > 6: − 1
        (14, 25), // ⌈25 (1 − 10/14)⌉ = ⌈7.14⌉ = 8: − 1
        (12, 24), // ⌈24 (1 − 10/12)⌉ = 4: stays
        (5, 24),  // a new least: nothing else
        (10, 24), // ⌈24 / 2⌉ = 12: − 1
    ];
    let expected = [20, 26, 26, 26, 25, 24, 24, 24, 23];
    assert_eq!(trace(Vegas::new().seed(1), &samples), expected);
    assert_eq!(
        trace(Vegas::new().as_published().seed(1), &samples),
        expected
    );
}

#[test]
fn vegas_steps_grow_with_the_limit() {
    // log₁₀ 150 counts as 2: threshold 2, alpha 6, beta 12.
    let vegas = || Vegas::new().start(150).seed(1);
    // ⌈150 (1 − 100/103)⌉ = 5, over the threshold and under alpha: + 2.
    assert_eq!(trace(vegas(), &[(100, 150), (103, 150)]), [150, 152]);
    // ⌈150 (1 − 100/101)⌉ = 2: + 12.
    assert_eq!(trace(vegas(), &[(100, 150), (101, 150)]), [150, 162]);
    // ⌈150 (1 − 100/110)⌉ = 14: − 2.
    assert_eq!(trace(vegas(), &[(100, 150), (110, 150)]), [150, 148]);
    // Never above the most.
    assert_eq!(
        trace(vegas().max(155), &[(100, 150), (101, 150)]),
        [150, 155]
    );
}

#[test]
fn vegas_takes_a_drop_for_a_queue() {
    let mut vegas = Vegas::new().seed(1);
    vegas.update(&Sample::new(millis(10), 20), now());
    let drop = Sample::new(millis(10), 20).dropped();
    assert_eq!(vegas.update(&drop, now()), 19);
    // A limit of 200 loses log₁₀ 200 = 2.
    assert_eq!(Vegas::new().start(200).update(&drop, now()), 198);
}

#[test]
fn vegas_probes_only_while_half_of_the_limit_is_free() {
    // A probe is due after 30 × 0.5 to 30 × 1 × 20 samples.
    let queue = (15, 20);
    let published = |count| {
        let samples: Vec<_> = std::iter::once((10, 20))
            .chain([queue; 700])
            .take(count)
            .collect();
        let mut vegas = Vegas::new().as_published().seed(1);
        for (latency, in_flight) in samples {
            vegas.update(&Sample::new(millis(latency), in_flight), now());
        }
        vegas.least_latency()
    };
    assert_eq!(published(100), Some(millis(10)));
    assert_eq!(
        published(701),
        Some(millis(15)),
        "as published, it learns the queue"
    );
    let mut vegas = Vegas::new().seed(1);
    vegas.update(&Sample::new(millis(10), 20), now());
    for _ in 0..700 {
        vegas.update(&Sample::new(millis(15), 20), now());
    }
    assert_eq!(vegas.least_latency(), Some(millis(10)));
    vegas.update(&Sample::new(millis(12), 3), now());
    assert_eq!(vegas.least_latency(), Some(millis(12)));
}

/// Gradient2 as the paper of it would be: no state but three numbers.
fn gradient2_by_hand(samples: &[(u64, u32)]) -> Vec<u32> {
    let (mut limit, mut long, mut seen) = (20.0_f64, 0.0_f64, Vec::new());
    let mut limits = Vec::new();
    for (latency, in_flight) in samples {
        let short = *latency as f64;
        if seen.len() < 10 {
            seen.push(short);
            long = seen.iter().sum::<f64>() / seen.len() as f64;
        } else {
            long += (short - long) * 2.0 / 601.0;
        }
        let before = long;
        if before > 2.0 * short {
            long *= 0.95;
        }
        if f64::from(*in_flight) >= limit / 2.0 {
            let gradient = (1.5 * before / short).clamp(0.5, 1.0);
            limit = 0.8 * limit + 0.2 * (gradient * limit + 4.0);
            limit = limit.clamp(20.0, 200.0);
        }
        limits.push(limit as u32);
    }
    limits
}

#[test]
fn gradient2_follows_the_gradient() {
    let mut samples = vec![(10, 30); 12];
    samples.extend([(30, 30); 5]);
    samples.extend([(12, 40), (200, 40), (10, 3), (40, 40), (2, 40), (10, 200)]);
    samples.extend(std::iter::repeat_n((10, 200), 300));
    let published = trace(Gradient2::new().as_published(), &samples);
    assert_eq!(published, gradient2_by_hand(&samples));
    // 20 + 0.2 × 4 each time while nothing is slow.
    assert_eq!(published[..6], [20, 21, 22, 23, 24, 24]);
    // Where nothing is slow, ours is the same.
    assert_eq!(trace(Gradient2::new(), &samples[..12]), published[..12]);
    assert_eq!(published.iter().max(), Some(&200));
}

#[test]
fn gradient2_as_published_learns_a_queue_and_ours_does_not() {
    let mut samples = vec![(10, 30); 20];
    samples.extend(std::iter::repeat_n((40, 200), 2_000));
    let long = |gradient: Gradient2| {
        let mut gradient = gradient;
        for (latency, in_flight) in &samples {
            gradient.update(&Sample::new(millis(*latency), *in_flight), now());
        }
        gradient.long_latency().unwrap()
    };
    assert!(long(Gradient2::new().as_published()) > millis(39));
    assert!(long(Gradient2::new()) <= millis(10));
}

#[test]
fn aimd_adds_one_and_takes_a_tenth() {
    let mut aimd = Aimd::new();
    let fast = Sample::new(millis(10), 30);
    let slow = Sample::new(Duration::from_millis(5_001), 30);
    let follow = |aimd: &mut Aimd, sample: &Sample| aimd.update(sample, now());
    assert_eq!(follow(&mut aimd, &fast), 21);
    assert_eq!(
        follow(&mut aimd, &Sample::new(millis(10), 10)),
        21,
        "less than half in use"
    );
    assert_eq!(
        follow(&mut aimd, &Sample::new(millis(5_000), 11)),
        22,
        "5 s is not over 5 s"
    );
    assert_eq!(follow(&mut aimd, &fast), 23);
    // ⌊23 × 0.9⌋ = 20, and never below the least.
    assert_eq!(follow(&mut aimd, &slow), 20);
    assert_eq!(follow(&mut aimd, &fast.dropped()), 20);
    let mut aimd = Aimd::new().start(199);
    assert_eq!(follow(&mut aimd, &Sample::new(millis(10), 199)), 200);
    assert_eq!(follow(&mut aimd, &Sample::new(millis(10), 199)), 200);
    // ⌊200 × 0.9⌋, ⌊180 × 0.9⌋, ⌊162 × 0.9⌋ = ⌊145.8⌋
    let drops: Vec<u32> = (0..3).map(|_| follow(&mut aimd, &fast.dropped())).collect();
    assert_eq!(drops, [180, 162, 145]);
}

#[test]
fn latency_quantile_grows_stays_and_shrinks() {
    let saturated = |latency, limit| Sample {
        calls: 50,
        saturated: true,
        ..Sample::new(millis(latency), limit)
    };
    let mut limit = LatencyQuantile::new().start(40);
    let mut follow = |latency| {
        let sample = saturated(latency, 40);
        limit.update(&sample, now())
    };
    // The first is the baseline, 100 ms. Up to 110 ms it grows by a twentieth, up to 120 ms it
    // stays, and above that it shrinks to 115 / latency of itself, by a fifth at most.
    assert_eq!(follow(100), 40);
    assert_eq!(follow(109), 42);
    assert_eq!(follow(115), 42);
    // 42 × 115 / 125 = 38.64
    assert_eq!(follow(125), 38);
    // 38.64 × 0.8 = 30.9
    assert_eq!(follow(1_000), 30);
}

/// Forty calls at once now and then, and twenty on average: throughput is what callers want.
#[test]
fn latency_quantile_learns_nothing_from_throughput_while_the_limit_is_not_used_up() {
    let sample = |latency, window| Sample {
        calls: 50,
        saturated: true,
        window: millis(window),
        ..Sample::new(millis(latency), 40)
    };
    // Little's law: 50 calls of 115 ms in 115 ms, or in 287.
    for (window, learns) in [(115, true), (287, false)] {
        let mut limit = LatencyQuantile::new().start(40);
        let mut now = now();
        limit.update(&sample(100, 100), now);
        limit.update(&sample(100, 100), now);
        let before = limit.limit();
        for _ in 0..100 {
            now += Duration::from_millis(500);
            limit.update(&sample(115, window), now);
        }
        let learnt = limit.baseline().unwrap() > millis(110);
        assert_eq!(learnt, learns, "{:?}", limit.baseline());
        if !learns {
            assert_eq!(limit.limit(), before);
        }
    }
}

proptest! {
    #[test]
    fn no_limit_leaves_its_bounds(
        samples in prop::collection::vec(
            (0_u64..100_000, 0_u32..2_000, 0_u32..200, any::<bool>(), any::<bool>(), 0.0..3.0),
            1..200,
        ),
        bounds in (1_u32..50, 0_u32..100, 0_u32..100),
    ) {
        let (min, start, max) = (bounds.0, bounds.0 + bounds.1, bounds.0 + bounds.1 + bounds.2);
        let mut aimd = Aimd::new().min(min).start(start).max(max);
        let mut vegas = Vegas::new().min(min).start(start).max(max);
        let mut gradient = Gradient2::new().min(min).start(start).max(max);
        let mut quantile = LatencyQuantile::new().min(min).start(start).max(max);
        let mut now = now();
        for (micros, in_flight, calls, dropped, saturated, spread) in samples {
            now += Duration::from_secs(1);
            let latency = Duration::from_micros(micros);
            let sample = Sample { spread, calls, dropped, saturated, ..Sample::new(latency, in_flight) };
            let limits = [
                aimd.update(&sample, now),
                vegas.update(&sample, now),
                gradient.update(&sample, now),
                quantile.update(&sample, now),
            ];
            for limit in limits {
                prop_assert!((min..=max).contains(&limit), "{limits:?}");
            }
        }
    }
}

#[test]
fn nonsense_is_refused_by_name() {
    fn field(limit: &impl Limit) -> &'static str {
        limit
            .check()
            .as_ref()
            .map_or_else(SettingError::field, |()| "nothing")
    }
    assert_eq!(field(&Aimd::new()), "nothing");
    assert_eq!(field(&Aimd::new().min(0)), "min");
    assert_eq!(field(&Aimd::new().max(10)), "max");
    assert_eq!(field(&Aimd::new().max(2_000_000)), "max");
    assert_eq!(field(&Aimd::new().start(10)), "start");
    assert_eq!(field(&Aimd::new().backoff(1.0)), "backoff");
    assert_eq!(field(&Aimd::new().too_slow(Duration::ZERO)), "too_slow");
    assert_eq!(field(&Vegas::new()), "nothing");
    assert_eq!(field(&Vegas::new().alpha(0)), "alpha");
    assert_eq!(field(&Vegas::new().alpha(3).beta(2)), "beta");
    assert_eq!(field(&Vegas::new().smoothing(f64::NAN)), "smoothing");
    assert_eq!(field(&Vegas::new().patience(Duration::MAX)), "patience");
    assert_eq!(field(&Gradient2::new()), "nothing");
    assert_eq!(field(&Gradient2::new().queue(0)), "queue");
    assert_eq!(field(&Gradient2::new().tolerance(0.9)), "tolerance");
    assert_eq!(field(&Gradient2::new().smoothing(0.0)), "smoothing");
    assert_eq!(field(&Gradient2::new().long_window(9)), "long_window");
    assert_eq!(
        field(&Gradient2::new().patience(Duration::ZERO)),
        "patience"
    );
    assert_eq!(field(&LatencyQuantile::new()), "nothing");
    assert_eq!(
        field(&LatencyQuantile::new().at_quantile(1.0)),
        "at_quantile"
    );
    assert_eq!(
        field(&LatencyQuantile::new().calls_per_sample(9)),
        "calls_per_sample"
    );
    assert_eq!(
        field(&LatencyQuantile::new().patience(Duration::ZERO)),
        "patience"
    );
    let unhealthy = LatencyQuantile::new().unhealthy_above(Duration::ZERO);
    assert_eq!(field(&unhealthy), "unhealthy_above");
}
