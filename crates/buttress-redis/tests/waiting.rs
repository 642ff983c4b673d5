//! Calls that wait for a store that takes its time: what they get, and what becomes of those that
//! leave.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{Bulkhead, Plain, RateLimit, Rejection, by_fn, guard};
use buttress_redis::{BuildOn, Fleet, Share};
use common::call;
use common::wire::Wire;
use futures_util::FutureExt;
use futures_util::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);

const WAYS: [fn(&Fleet) -> Share; 2] = [Fleet::exact, Fleet::leased];

fn fleet(latency: Duration) -> (Arc<Wire>, Fleet) {
    let wire = Wire::new();
    wire.latency(latency);
    let fleet = Fleet::on(Arc::clone(&wire)).start().unwrap();
    (wire, fleet)
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_while_it_waits_is_not_charged() {
    for way in WAYS {
        let (_, fleet) = fleet(5 * MS);
        let limit = RateLimit::per_day(3).build_on(way(&fleet)).unwrap();
        for _ in 0..10 {
            // Before the store has answered.
            assert!(timeout(2 * MS, call(&limit)).await.is_err());
            sleep(SETTLED).await;
        }
        // Nor is who does not even begin to wait.
        assert!(call(&limit).now_or_never().is_none());
        sleep(SETTLED).await;
        for _ in 0..3 {
            call(&limit).await.unwrap();
        }
        assert!(call(&limit).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_never_reaches_the_service_and_an_admitted_call_does_once() {
    for way in WAYS {
        let (_, fleet) = fleet(2 * MS);
        let limit = RateLimit::per_day(7).build_on(way(&fleet)).unwrap();
        let served = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&served);
        let service = service_fn(move |()| {
            count.fetch_add(1, Ordering::Relaxed);
            async { Ok::<_, BoxError>(()) }
        });
        let service = limit.protocol(Plain::new()).layer(service);
        let answers = join_all((0..20).map(|_| service.clone().oneshot(()))).await;
        let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
        assert!(
            refused
                .clone()
                .all(|error| Rejection::find(&**error).is_some())
        );
        assert_eq!(refused.count(), 13);
        assert_eq!(served.load(Ordering::Relaxed), 7);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_later_policy_refuses_is_given_back() {
    for way in [Fleet::exact, Fleet::leased, |fleet: &Fleet| {
        fleet.synchronised(MS)
    }] {
        let (_, fleet) = fleet(MS);
        let limit = RateLimit::per_day(5).build_on(way(&fleet)).unwrap();
        let slots = Bulkhead::new(1).unwrap();
        let full = slots.protocol(Plain::new()).layer(service_fn(|()| {
            std::future::pending::<Result<(), BoxError>>()
        }));
        let mut taken = full.clone();
        let held = taken.ready().await.unwrap().call(());
        let both = guard((limit.clone(), slots)).protocol(Plain::new());
        let mut refused = both.layer(service_fn(|()| async { Ok::<_, BoxError>(()) }));
        for _ in 0..20 {
            assert!(refused.ready().await.unwrap().call(()).await.is_err());
            sleep(2 * MS).await;
        }
        drop(held);
        sleep(SETTLED).await;
        let mut admitted = 0;
        for _ in 0..10 {
            admitted += u32::from(call(&limit).await.is_ok());
        }
        assert!((4..=5).contains(&admitted), "{admitted}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_wait_for_one_lease_ask_once() {
    let (wire, fleet) = fleet(5 * MS);
    let limit = RateLimit::per_second(10_000)
        .build_on(fleet.leased())
        .unwrap();
    let answers = join_all((0..64).map(|_| call(&limit))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(wire.asks() <= 8, "{}", wire.asks());
}

#[tokio::test(start_paused = true)]
async fn the_number_of_keys_that_are_looked_after_has_a_bound() {
    for way in [Fleet::leased, |fleet: &Fleet| fleet.synchronised(MS)] {
        let (_, fleet) = fleet(MS);
        let limit = RateLimit::per_second(10)
            .by(by_fn(|call: &u32| Ok(*call)))
            .max_keys(100)
            .build_on(way(&fleet))
            .unwrap();
        let layer = limit.protocol(Plain::new());
        let service = layer.layer(service_fn(|_: u32| async { Ok::<_, BoxError>(()) }));
        let answers = join_all((0..1_000).map(|key| service.clone().oneshot(key))).await;
        let admitted = answers.iter().filter(|answer| answer.is_ok()).count();
        assert_eq!((admitted, limit.keys()), (100, 100));
        // They are forgotten, and there is room again.
        sleep(SETTLED).await;
        service.clone().oneshot(5_000).await.unwrap();
    }
}

/// By then leases are given back.
const SETTLED: Duration = Duration::from_secs(2);
