//! That one noisy tenant is refused before the others, and that a callee sees a steady pace, on
//! virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod load;

use buttress::{Bulkhead, FairShare, Pace, Plain, SettingError, by_fn, guard};
use load::{CAPACITY, Random, Tally, offer, service};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tower::{BoxError, Layer, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// Nine tenants ask for 3 % of the capacity each, and one for three times all of it.
fn one_is_noisy(draw: f64) -> (u64, u64) {
    const QUIET: f64 = 0.27;
    let all = 3.0 + QUIET;
    let tenant = if draw < QUIET / all {
        1 + (9.0 * draw * all / QUIET) as u64
    } else {
        0
    };
    (tenant, tenant)
}

#[tokio::test(start_paused = true)]
async fn one_noisy_tenant_is_refused_before_the_others() {
    let fair = FairShare::builder(36, by_fn(|call: &u64| Ok(*call)));
    let fair = fair.build().unwrap();
    let service = fair.protocol(Plain::new()).layer(service());
    let time = 5 * SECOND;
    let tallies = offer(
        &service,
        3.27 * CAPACITY,
        time,
        &mut Random(1),
        one_is_noisy,
    )
    .await;
    let quiet = |of: fn(&Tally) -> usize| (1..=9).map(|n| of(&tallies[&n])).sum::<usize>() as f64;
    let part = quiet(|tally| tally.answered.len()) / quiet(|tally| tally.offered);
    assert!(part > 0.99, "{part}");
    // None of them is much worse off than the others.
    assert!((1..=9).all(|tenant| tallies[&tenant].part() > 0.97));
    assert!(tallies[&0].part() < 0.3);
    let answered: usize = tallies.values().map(|tally| tally.answered.len()).sum();
    assert!(answered as f64 > 0.9 * 5.0 * CAPACITY, "{answered}");
    assert_eq!(fair.in_flight(), 0);
}

/// A bulkhead for each tenant: what one that never answers fills is its own.
#[tokio::test(start_paused = true)]
async fn a_tenant_whose_calls_hang_fills_its_own_bulkhead_and_no_other() {
    let key = || by_fn(|call: &u64| Ok(*call));
    let slots = Bulkhead::builder(2).waiting_room(1, SECOND).by(key());
    let slots = slots.build().unwrap();
    let hang = service_fn(|tenant: u64| async move {
        if tenant == 0 {
            std::future::pending::<()>().await;
        }
        Ok::<_, BoxError>(())
    });
    let service = slots.protocol(Plain::new()).layer(hang);
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        calls.spawn(service.clone().oneshot(0));
    }
    for _ in 0..5 {
        for tenant in 1..100 {
            assert!(service.clone().oneshot(tenant).await.is_ok(), "{tenant}");
        }
    }
    // Two hang; of the others one waited for a second.
    tokio::time::sleep(2 * SECOND).await;
    let mut refused = 0;
    while let Some(answer) = calls.try_join_next() {
        assert!(answer.unwrap().is_err());
        refused += 1;
    }
    assert_eq!((refused, calls.len()), (8, 2));
}

/// Shuffle sharding: only who has the very same compartments goes down with it.
#[tokio::test(start_paused = true)]
async fn a_tenant_whose_calls_hang_takes_down_its_own_shard_only() {
    let sharded = Bulkhead::builder(4).shuffle_sharded(8, 2, by_fn(|call: &u64| Ok(*call)));
    let sharded = sharded.build().unwrap();
    let hang = service_fn(|tenant: u64| async move {
        if tenant == 0 {
            std::future::pending::<()>().await;
        }
        Ok::<_, BoxError>(())
    });
    let service = sharded.protocol(Plain::new()).layer(hang);
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        calls.spawn(service.clone().oneshot(0));
        tokio::task::yield_now().await;
    }
    assert_eq!(sharded.in_flight(), 8);
    let poisoned = sharded.shards().of(&0_u64);
    let mut down = 0;
    for tenant in 1..=280 {
        let same = sharded.shards().of(&tenant).shared_with(&poisoned) == 2;
        let answer = service.clone().oneshot(tenant).await;
        assert_eq!(answer.is_err(), same, "{tenant}");
        down += usize::from(same);
    }
    // One in 28 are ten.
    assert!((3..20).contains(&down), "{down}");
}

/// What the other test would see without it.
#[tokio::test(start_paused = true)]
async fn without_it_the_others_are_refused_as_often() {
    let slots = Bulkhead::new(36).unwrap();
    let service = slots.protocol(Plain::new()).layer(service());
    let time = 5 * SECOND;
    let tallies = offer(
        &service,
        3.27 * CAPACITY,
        time,
        &mut Random(1),
        one_is_noisy,
    )
    .await;
    assert!((1..=9).all(|tenant| tallies[&tenant].part() < 0.5));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_a_later_policy_refuses_is_no_longer_its_tenants() {
    let fair = FairShare::builder(8, by_fn(|call: &u64| Ok(*call)));
    let (fair, full) = (fair.build().unwrap(), Bulkhead::new(1).unwrap());
    let both = guard((fair.clone(), full)).protocol(Plain::new());
    let service = both.layer(service::<u64>());
    let first = service.clone().oneshot(1);
    let second = service.oneshot(1);
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok() && second.is_err());
    assert_eq!(fair.in_flight(), 0);
}

/// The answer, if it comes in time.
async fn patiently<F>(patience: Duration, call: F) -> Option<Duration>
where
    F: Future<Output = Result<Duration, BoxError>>,
{
    tokio::time::timeout(patience, call).await.ok()?.ok()
}

#[tokio::test(start_paused = true)]
async fn a_burst_drains_at_a_steady_pace() {
    let pace = Pace::per_second(20)
        .waiting_room(100, 10 * SECOND)
        .build()
        .unwrap();
    let begin = Instant::now();
    let service = service_fn(move |_: u32| async move { Ok::<_, BoxError>(begin.elapsed()) });
    let service = pace.protocol(Plain::new()).layer(service);
    let mut calls = JoinSet::new();
    for number in 0..41 {
        let call = service.clone().oneshot(number);
        // Every fourth caller goes away.
        let patience = if number % 4 == 3 {
            SECOND / 1_000
        } else {
            100 * SECOND
        };
        calls.spawn(patiently(patience, call));
        tokio::task::yield_now().await;
    }
    let mut starts: Vec<_> = calls.join_all().await.into_iter().flatten().collect();
    starts.sort();
    assert_eq!(starts.len(), 31);
    // No gap where somebody left, and never two at once.
    let gap = |pair: &[Duration]| pair[1].abs_diff(pair[0] + SECOND / 20) <= SECOND / 500;
    assert!(starts.windows(2).all(gap), "{starts:?}");
    let last = *starts.last().unwrap();
    assert!(last.abs_diff(SECOND * 30 / 20) <= SECOND / 500, "{last:?}");
    assert_eq!(pace.waiting(), 0);
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |error: Option<SettingError>| error.map(|error| error.field());
    assert_eq!(field(Pace::per_second(0).build().err()), Some("calls"));
    let endless = Pace::per(1, Duration::ZERO);
    assert_eq!(field(endless.build().err()), Some("period"));
    let empty = Pace::per_minute(1).waiting_room(0, SECOND);
    assert_eq!(field(empty.build().err()), Some("waiting_room.places"));
    let key = || by_fn(|call: &u64| Ok(*call));
    let keyed = Pace::per_second(1).named("").by(key());
    assert_eq!(field(keyed.build().err()), Some("named"));
    let fair = |limit| FairShare::builder(limit, key());
    assert_eq!(field(fair(0).build().err()), Some("limit"));
    let all = fair(1).largest_share(1.0);
    assert_eq!(field(all.build().err()), Some("largest_share"));
    assert_eq!(field(fair(1).named("").build().err()), Some("named"));
}
