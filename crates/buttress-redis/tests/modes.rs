//! The three ways to share a limit, by several instances on virtual time.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{RateLimit, Reason};
use buttress_redis::{BuildOn, Fleet, FleetLimit, Share};
use common::call;
use common::wire::Wire;
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const INSTANCES: u32 = 4;
const MS: Duration = Duration::from_millis(1);

/// Four instances with one limit each.
async fn instances(
    wire: &Arc<Wire>,
    per_second: u32,
    burst: u32,
    share: impl Fn(&Fleet) -> Share,
) -> Vec<FleetLimit> {
    let mut limits = Vec::new();
    for _ in 0..INSTANCES {
        let fleet = Fleet::on(Arc::clone(wire)).start().unwrap();
        let limit = RateLimit::per_second(per_second).burst(burst);
        limits.push(limit.build_on(share(&fleet)).unwrap());
    }
    // Until they have heard of each other.
    sleep(Duration::from_millis(2_500)).await;
    limits
}

/// Twice the limit on all instances alike, for `seconds`. Returns what was admitted in each
/// hundredth of a second.
async fn overload(limits: &[FleetLimit], per_second: u32, seconds: u32) -> Vec<u32> {
    let mut admitted = Vec::new();
    let each = 2 * per_second / 100 / INSTANCES;
    let start = Instant::now();
    for slot in 1..=seconds * 100 {
        let calls = limits
            .iter()
            .flat_map(|limit| (0..each).map(move |_| call(limit)));
        let answers = join_all(calls).await;
        admitted.push(answers.iter().filter(|answer| answer.is_ok()).count() as u32);
        tokio::time::sleep_until(start + 10 * MS * slot).await;
    }
    admitted
}

/// In every stretch of time, no more than `free + rate × t`.
fn bounded(admitted: &[u32], per_second: u32, free: f64) {
    let rate = f64::from(per_second) / 100.0;
    for from in 0..admitted.len() {
        let mut sum = 0;
        for (slots, one) in admitted[from..].iter().enumerate() {
            sum += one;
            // A stretch of one slot takes no time yet.
            let most = free + rate * (slots + 1) as f64;
            assert!(
                f64::from(sum) <= most,
                "{sum} in {} slots from {from}, but {most}",
                slots + 1
            );
        }
    }
}

fn at_least(admitted: &[u32], per_second: u32, share: f64) {
    let sum: u32 = admitted.iter().sum();
    let due = f64::from(per_second) * admitted.len() as f64 / 100.0;
    assert!(f64::from(sum) >= share * due, "{sum} of {due}");
}

#[tokio::test(start_paused = true)]
async fn exact_admits_what_one_process_would() {
    let wire = Wire::new();
    wire.latency(MS);
    let limits = instances(&wire, 1_000, 50, Fleet::exact).await;
    let admitted = overload(&limits, 1_000, 5).await;
    bounded(&admitted, 1_000, 50.0);
    at_least(&admitted, 1_000, 0.98);
}

#[tokio::test(start_paused = true)]
async fn leased_keeps_to_its_formula_and_uses_the_limit_up() {
    for latency in [Duration::ZERO, MS, 5 * MS] {
        let wire = Wire::new();
        wire.latency(latency);
        let limits = instances(&wire, 1_000, 100, Fleet::leased).await;
        let admitted = overload(&limits, 1_000, 5).await;
        // What is held: no more than 20 ms of the rate, and one call's cost for each instance.
        bounded(&admitted, 1_000, 100.0 + 20.0 + 4.0);
        at_least(&admitted, 1_000, 0.95);
    }
}

#[tokio::test(start_paused = true)]
async fn leased_asks_far_less_often_than_it_decides() {
    let wire = Wire::new();
    wire.latency(MS);
    let limits = instances(&wire, 10_000, 10_000, Fleet::leased).await;
    let before = wire.asks();
    let admitted = overload(&limits, 10_000, 2).await;
    let decisions = 2 * 10_000 * 2;
    let asks = wire.asks() - before;
    assert!(asks * 20 < decisions, "{asks} for {decisions}");
    at_least(&admitted, 10_000, 0.95);
}

#[tokio::test(start_paused = true)]
async fn what_is_leased_and_not_used_is_given_back() {
    let wire = Wire::new();
    let limits = instances(&wire, 1, 100, Fleet::leased).await;
    let mut admitted = 0;
    // One instance takes a batch, and goes quiet.
    for _ in 0..5 {
        call(&limits[0]).await.unwrap();
        admitted += 1;
    }
    sleep(Duration::from_millis(300)).await;
    // The other finds all the rest.
    while call(&limits[1]).await.is_ok() {
        admitted += 1;
    }
    assert!((100..=101).contains(&admitted), "{admitted}");
}

#[tokio::test(start_paused = true)]
async fn synchronised_keeps_to_its_formula_and_never_waits() {
    for latency in [Duration::ZERO, MS, 15 * MS] {
        let wire = Wire::new();
        wire.latency(latency);
        let share = |fleet: &Fleet| fleet.synchronised(100 * MS);
        let limits = instances(&wire, 1_000, 50, share).await;
        let admitted = overload(&limits, 1_000, 10).await;
        let unseen = 50.0 + 1_000.0 * 0.120;
        bounded(&admitted, 1_000, 50.0 + 3.0 * unseen);
        at_least(&admitted, 1_000, 0.9);
    }
    // Nothing is awaited: a store that never answers is not noticed.
    let wire = Wire::new();
    let limits = instances(&wire, 1_000, 50, |fleet| fleet.synchronised(100 * MS)).await;
    wire.set(common::wire::Is::Frozen);
    let start = Instant::now();
    call(&limits[0]).await.unwrap();
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn excess_is_refused_with_the_time_until_it_would_pass() {
    for share in [Fleet::exact, Fleet::leased, |fleet: &Fleet| {
        fleet.synchronised(MS)
    }] {
        let wire = Wire::new();
        let fleet = Fleet::on(wire).start().unwrap();
        let limit = RateLimit::per_second(1).burst(4).announced().named("slow");
        let limit = limit.build_on(share(&fleet)).unwrap();
        let mut rejection = None;
        for _ in 0..10 {
            if let Err(refused) = call(&limit).await {
                rejection.get_or_insert(refused);
            }
        }
        let rejection = rejection.unwrap();
        assert_eq!(rejection.reason(), Reason::RateLimited);
        assert_eq!(rejection.policy(), "slow");
        let quota = rejection.exceeded().unwrap();
        assert_eq!((quota.limit, quota.window, quota.reset), (4, 4, 1));
        let wait = rejection.wait().unwrap();
        assert!(
            wait <= Duration::from_secs(1) && wait > 900 * MS,
            "{wait:?}"
        );
        sleep(wait + 2 * MS).await;
        call(&limit).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn excess_waits_for_its_turn_where_it_may() {
    let wire = Wire::new();
    wire.latency(MS);
    let fleet = Fleet::on(wire).start().unwrap();
    let limit = RateLimit::per_second(10)
        .burst(1)
        .wait_at_most(150 * MS)
        .build_on(&fleet)
        .unwrap();
    let start = Instant::now();
    call(&limit).await.unwrap();
    call(&limit).await.unwrap();
    let waited = start.elapsed();
    assert!(waited >= 100 * MS && waited <= 110 * MS, "{waited:?}");
    // Who leaves gives the place back.
    let gone = tokio::time::timeout(5 * MS, call(&limit)).await;
    assert!(gone.is_err());
    sleep(10 * MS).await;
    call(&limit).await.unwrap();
    assert!(start.elapsed() < waited + 150 * MS);
}

#[tokio::test(start_paused = true)]
async fn who_rests_between_calls_finds_no_limit_that_is_whole_again() {
    let fleet = Fleet::on(Wire::new()).start().unwrap();
    let limit = RateLimit::per_hour(10).build_on(fleet.synchronised(100 * MS));
    let limit = limit.unwrap();
    let mut admitted = 0;
    for _ in 0..10 {
        for _ in 0..20 {
            admitted += u32::from(call(&limit).await.is_ok());
        }
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(admitted, 10);
    let window = RateLimit::per_hour(10).sliding_window();
    let window = window.build_on(fleet.synchronised(100 * MS)).unwrap();
    let mut admitted = 0;
    for _ in 0..200 {
        admitted += u32::from(call(&window).await.is_ok());
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(admitted, 10);
    // In the end it is.
    sleep(Duration::from_secs(2 * 3_600)).await;
    assert!(call(&window).await.is_ok());
}
