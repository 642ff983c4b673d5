//! Loads that the bar was not made for.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use super::*;
use crate::Criticality;

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: the test moves it by hand"
)]
fn start() -> Instant {
    Instant::now()
}

/// Takes so many calls a second, and so many more that wait; what comes on top is refused.
struct Bucket {
    rate: f64,
    room: f64,
    level: f64,
    at: f64,
}

struct Simulation {
    threshold: Threshold,
    bucket: Bucket,
    random: u64,
    origin: Instant,
    at: f64,
}

/// What comes at some time: how many calls a second as parts of the capacity, how many at once, and
/// the parts of each criticality.
struct Load {
    times: f64,
    at_once: u32,
    percent: [f64; 4],
}

/// Offered and succeeded, for each criticality.
type Tally = [(u32, u32); 4];

/// How many calls a second it takes, how many more wait, and how long its bar counts, in milliseconds.
struct Service {
    rate: f64,
    room: f64,
    window: u64,
}

impl Simulation {
    fn new(service: &Service, seed: u64) -> Self {
        let window = Duration::from_millis(service.window);
        Self {
            threshold: Threshold::new().window(window).unwrap(),
            bucket: Bucket {
                rate: service.rate,
                room: service.room,
                level: 0.0,
                at: 0.0,
            },
            random: seed,
            origin: start(),
            at: 0.0,
        }
    }

    /// From 0.0 to 1.0 (Knuth's MMIX).
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005);
        self.random = self.random.wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn run(&mut self, seconds: f64, load: impl Fn(f64) -> Load) -> Tally {
        let mut tally = Tally::default();
        let end = self.at + seconds;
        while self.at < end {
            let now = load(self.at);
            let rate = self.bucket.rate * now.times / f64::from(now.at_once);
            self.at += -(1.0 - self.random()).ln() / rate;
            for _ in 0..now.at_once {
                let mut draw = 100.0 * self.random();
                let kind = now.percent.iter().position(|part| {
                    draw -= part;
                    draw < 0.0
                });
                let criticality = Criticality::ALL[kind.unwrap_or(3)];
                let at = Now::at(self.origin + Duration::from_secs_f64(self.at));
                let (offered, succeeded) = &mut tally[criticality.rank()];
                *offered += 1;
                if self.threshold.lets_through(criticality, &at) {
                    if self.bucket.takes(self.at) {
                        *succeeded += 1;
                    } else {
                        self.threshold.refused();
                    }
                }
            }
        }
        tally
    }
}

impl Bucket {
    fn takes(&mut self, at: f64) -> bool {
        self.level = (self.level - self.rate * (at - self.at)).max(0.0);
        self.at = at;
        let takes = self.level < self.room;
        if takes {
            self.level += 1.0;
        }
        takes
    }
}

const USUAL: [f64; 4] = [50.0, 40.0, 10.0, 0.0];

/// Ten seconds of a load that lasts, several times: what part of the highest calls succeeded, and what
/// part of the capacity was used, in per cent.
fn measure(service: &Service, load: impl Fn(f64) -> Load) -> (f64, f64) {
    let runs = if service.rate > 10_000.0 { 1 } else { 6 };
    let (mut highest, mut all) = ((0, 0), 0);
    for seed in 1..=runs {
        let mut simulation = Simulation::new(service, seed);
        simulation.run(5.0, &load);
        let tally = simulation.run(10.0, &load);
        let top = tally.iter().rev().find(|(offered, _)| *offered > 0);
        let (offered, succeeded) = top.copied().unwrap_or_default();
        highest = (highest.0 + offered, highest.1 + succeeded);
        all += tally.iter().map(|(_, succeeded)| succeeded).sum::<u32>();
    }
    (
        100.0 * f64::from(highest.1) / f64::from(highest.0),
        10.0 * f64::from(all) / (runs as f64 * service.rate),
    )
}

const fn three_times(percent: [f64; 4]) -> Load {
    Load {
        times: 3.0,
        at_once: 1,
        percent,
    }
}

/// Three times the capacity on average: now 5.5 times, now half of it.
fn bursts(each: f64) -> impl Fn(f64) -> Load {
    move |at| Load {
        times: if at % (2.0 * each) < each { 5.5 } else { 0.5 },
        ..three_times(USUAL)
    }
}

fn in_turn(one: [f64; 4], other: [f64; 4]) -> impl Fn(f64) -> Load {
    move |at| three_times(if at % 2.0 < 1.0 { one } else { other })
}

/// 99 % of the highest calls succeed, and so much of the capacity is used.
fn assert_good(service: &Service, load: impl Fn(f64) -> Load, used_at_least: f64) {
    let (highest, used) = measure(service, load);
    assert!(highest > 99.0 && used > used_at_least, "{highest}, {used}");
}

const SMALL: Service = service(200.0, 10.0);
const MIDDLE: Service = service(1_000.0, 20.0);
const LARGE: Service = service(20_000.0, 100.0);

const fn service(rate: f64, room: f64) -> Service {
    Service {
        rate,
        room,
        window: 100,
    }
}

#[test]
fn a_tenth_of_the_calls_succeeds_whatever_the_size_of_the_service() {
    assert_good(&MIDDLE, |_| three_times(USUAL), 95.0);
    assert_good(&LARGE, |_| three_times(USUAL), 95.0);
    // Of a small one too few calls come in a usual window to learn enough.
    let small = Service {
        window: 200,
        ..SMALL
    };
    assert_good(&small, |_| three_times(USUAL), 95.0);
    let very_small = Service {
        window: 500,
        ..service(50.0, 10.0)
    };
    assert_good(&very_small, |_| three_times(USUAL), 90.0);
}

#[test]
fn one_in_a_hundred_is_enough_to_be_told_apart() {
    let rare = |_: f64| three_times([99.0, 0.0, 1.0, 0.0]);
    assert_good(&SMALL, rare, 95.0);
    assert_good(&MIDDLE, rare, 95.0);
    let all_others_critical = |_: f64| three_times([0.0, 0.0, 99.0, 1.0]);
    assert_good(&MIDDLE, all_others_critical, 95.0);
}

#[test]
fn those_that_alone_are_nearly_as_many_as_can_be_served_succeed() {
    // 84 % of the capacity.
    let many = |_: f64| three_times([40.0, 32.0, 28.0, 0.0]);
    assert_good(&MIDDLE, many, 95.0);
    assert_good(&LARGE, many, 90.0);
}

#[test]
fn if_all_are_critical_nothing_is_wasted() {
    for service in [SMALL, MIDDLE, LARGE] {
        let (served, used) = measure(&service, |_| three_times([0.0, 0.0, 100.0, 0.0]));
        assert!(served > 32.0 && used > 98.0, "{served}, {used}");
    }
}

#[test]
fn a_mix_that_changes_is_followed() {
    let critical = || in_turn([50.0, 48.0, 2.0, 0.0], [40.0, 40.0, 20.0, 0.0]);
    assert_good(&MIDDLE, critical(), 95.0);
    assert_good(&LARGE, critical(), 90.0);
    let low = in_turn([80.0, 10.0, 10.0, 0.0], [10.0, 80.0, 10.0, 0.0]);
    assert_good(&LARGE, low, 85.0);
}

#[test]
fn bursts_that_are_shorter_than_a_window_are_survived() {
    assert_good(&MIDDLE, bursts(0.02), 80.0);
    assert_good(
        &service(2_000.0, 40.0),
        |_| Load {
            at_once: 10,
            ..three_times(USUAL)
        },
        90.0,
    );
}

/// Where each burst begins as a surprise, the policy's own refusals are all there is to learn from,
/// and they meet everybody.
#[test]
fn bursts_as_long_as_a_window_cost_some_critical_calls() {
    for (service, load) in [
        (MIDDLE, bursts(0.1)),
        (MIDDLE, bursts(0.5)),
        (LARGE, bursts(0.1)),
    ] {
        let (highest, _) = measure(&service, load);
        assert!((95.0..99.5).contains(&highest), "{highest}");
    }
}
