use super::*;
use crate::{Criticality, Slots};
use proptest::prelude::*;
use std::cell::Cell;

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: the test moves it by hand"
)]
fn start() -> Instant {
    Instant::now()
}

/// 1000 calls a second, and 20 more that wait: what comes on top is refused.
struct Bucket {
    /// Nothing is taken.
    halted: bool,
    level: Cell<f64>,
    at: Cell<Instant>,
}

impl Bucket {
    fn takes(&self, now: Instant) -> bool {
        let drained = 1_000.0 * (now - self.at.replace(now)).as_secs_f64();
        let level = (self.level.get() - drained).max(0.0);
        let takes = level < 20.0 && !self.halted;
        self.level.set(if takes { level + 1.0 } else { level });
        takes
    }
}

/// Offered and succeeded, for each criticality.
type Tally = [(u32, u32); 4];

struct Simulation {
    threshold: Threshold,
    bucket: Bucket,
    now: Instant,
    random: u64,
}

impl Simulation {
    fn new() -> Self {
        let now = start();
        Self {
            threshold: Threshold::new(),
            bucket: Bucket {
                halted: false,
                level: Cell::new(0.0),
                at: Cell::new(now),
            },
            now,
            random: 1,
        }
    }

    /// From 0.0 to 1.0 (Knuth's MMIX).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005);
        self.random = self.random.wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// So many calls a second come at random times, of which so many in a hundred are of each
    /// criticality.
    fn run(&mut self, rate: f64, percent: [f64; 4], time: Duration) -> Tally {
        let mut tally = Tally::default();
        let end = self.now + time;
        while self.now < end {
            let gap = -(1.0 - self.random()).ln() / rate;
            self.now += Duration::from_secs_f64(gap);
            let mut draw = 100.0 * self.random();
            let kind = percent.iter().position(|part| {
                draw -= part;
                draw < 0.0
            });
            let criticality = Criticality::ALL[kind.unwrap_or(3)];
            let (offered, succeeded) = &mut tally[criticality.rank()];
            *offered += 1;
            if self.threshold.lets_through(criticality, &Now::at(self.now)) {
                if self.bucket.takes(self.now) {
                    *succeeded += 1;
                } else {
                    self.threshold.refused();
                }
            }
        }
        tally
    }
}

fn part((offered, succeeded): (u32, u32)) -> f64 {
    f64::from(succeeded) / f64::from(offered)
}

fn succeeded(tally: &Tally) -> f64 {
    tally
        .iter()
        .map(|(_, succeeded)| f64::from(*succeeded))
        .sum()
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn critical_calls_succeed_at_three_times_the_capacity() {
    let mut sum = Tally::default();
    for seed in 1..=8 {
        let mut simulation = Simulation::new();
        simulation.random = seed;
        simulation.run(800.0, [50.0, 40.0, 10.0, 0.0], 5 * SECOND);
        let tally = simulation.run(3_000.0, [50.0, 40.0, 10.0, 0.0], 10 * SECOND);
        for (sum, one) in sum.iter_mut().zip(tally) {
            *sum = (sum.0 + one.0, sum.1 + one.1);
        }
    }
    assert!(part(sum[2]) > 0.99, "{sum:?}");
    // What is left goes to the next, and the service is not left idle.
    assert!(part(sum[0]) < 0.05 && part(sum[1]) > 0.4, "{sum:?}");
    assert!(succeeded(&sum) > 8.0 * 9_000.0, "{sum:?}");
}

#[test]
fn critical_calls_succeed_at_ten_times_the_capacity() {
    let mut simulation = Simulation::new();
    let tally = simulation.run(10_000.0, [92.0, 0.0, 5.0, 3.0], 10 * SECOND);
    assert!(part(tally[2]) > 0.97 && part(tally[3]) > 0.97, "{tally:?}");
    assert!(succeeded(&tally) > 9_000.0, "{tally:?}");
}

#[test]
fn an_overload_of_the_highest_alone_is_still_served_as_far_as_possible() {
    let mut simulation = Simulation::new();
    let tally = simulation.run(3_000.0, [0.0, 0.0, 0.0, 100.0], 10 * SECOND);
    assert!(succeeded(&tally) > 9_000.0, "{tally:?}");
}

#[test]
fn without_overload_nothing_is_refused() {
    let mut simulation = Simulation::new();
    let tally = simulation.run(700.0, [25.0; 4], 10 * SECOND);
    assert!(tally.into_iter().all(|one| part(one) > 0.999), "{tally:?}");
}

#[test]
fn an_overload_is_forgotten_within_a_second() {
    let mut simulation = Simulation::new();
    simulation.run(3_000.0, [60.0, 30.0, 10.0, 0.0], 5 * SECOND);
    assert!(simulation.threshold.height() > 0.5);
    simulation.run(500.0, [60.0, 30.0, 10.0, 0.0], SECOND);
    assert!(simulation.threshold.height().abs() < f64::EPSILON);
    let tally = simulation.run(500.0, [60.0, 30.0, 10.0, 0.0], SECOND);
    assert!((part(tally[0]) - 1.0).abs() < f64::EPSILON, "{tally:?}");
}

#[test]
fn a_service_that_came_to_a_halt_is_used_again_within_a_second() {
    for seed in 1..=8 {
        let mut simulation = Simulation::new();
        simulation.random = seed;
        simulation.run(800.0, [25.0; 4], 2 * SECOND);
        simulation.bucket.halted = true;
        let halted = simulation.run(800.0, [25.0; 4], 5 * SECOND);
        assert!(succeeded(&halted) < 1.0, "{halted:?}");
        assert!(simulation.threshold.height() > 3.5);
        simulation.bucket.halted = false;
        simulation.run(800.0, [25.0; 4], SECOND);
        let again = simulation.run(800.0, [25.0; 4], SECOND);
        let offered: u32 = again.iter().map(|(offered, _)| offered).sum();
        assert!(succeeded(&again) > 0.95 * f64::from(offered), "{again:?}");
    }
}

#[test]
fn the_bar_moves_smoothly() {
    let mut simulation = Simulation::new();
    simulation.run(3_000.0, [100.0, 0.0, 0.0, 0.0], 2 * SECOND);
    let mut last = simulation.threshold.height();
    for _ in 0..100 {
        simulation.run(3_000.0, [100.0, 0.0, 0.0, 0.0], SECOND / 20);
        let height = simulation.threshold.height();
        // Two thirds are too much.
        assert!((0.5..0.85).contains(&height), "{height}");
        assert!((height - last).abs() < 0.15, "from {last} to {height}");
        last = height;
    }
}

#[test]
fn refusals_by_the_policy_raise_the_bar_and_a_quota_does_not() {
    let full = Prioritized::new(Slots::new(1).unwrap(), Criticality::Sheddable);
    let mut now = start();
    let _held = full.admit(&(), &Now::at(now));
    for _ in 0..200 {
        now += Duration::from_millis(1);
        let _ = full.admit(&(), &Now::at(now));
    }
    assert!(full.threshold().height() > 0.9, "{full:?}");

    let quota = crate::RateLimiter::new(crate::Gcra::new(1, SECOND * 3_600, 1).unwrap());
    let used_up = Prioritized::new(quota, Criticality::Sheddable);
    for _ in 0..200 {
        now += Duration::from_millis(1);
        let _ = used_up.admit(&(), &Now::at(now));
    }
    assert!(used_up.threshold().height().abs() < f64::EPSILON);
}

#[test]
fn nonsense_is_refused_by_name() {
    let policy = || Prioritized::new(Slots::new(1).unwrap(), Criticality::Critical);
    let error = policy().window(Duration::ZERO).unwrap_err();
    assert_eq!(error.field(), "window");
    assert_eq!(policy().named("").unwrap_err().field(), "named");
}

proptest! {
    /// Whatever is counted, the bar stays on its scale, and no lower criticality passes where a
    /// higher one is refused.
    #[test]
    fn the_lowest_are_refused_first(steps in prop::collection::vec((0_usize..4, 0_u64..40, any::<bool>()), 1..400)) {
        let threshold = Threshold::new();
        let mut now = start();
        for (rank, milliseconds, refuses) in steps {
            now += Duration::from_millis(milliseconds);
            let passes = threshold.lets_through(Criticality::ALL[rank], &Now::at(now));
            let height = threshold.height();
            prop_assert!((0.0..=4.0).contains(&height));
            if passes {
                prop_assert!(rank as f64 + 1.5 > height);
                if refuses {
                    threshold.refused();
                }
            } else {
                prop_assert!((rank as f64) < height + 0.5);
            }
        }
    }
}
