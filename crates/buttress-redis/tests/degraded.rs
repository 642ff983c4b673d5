//! What becomes of calls while the store is slow or gone, on virtual time.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{RateLimit, Reason};
use buttress_redis::{BuildOn, Fleet, FleetLimit, Share, WhenUnreachable};
use common::call;
use common::wire::{Is, Wire};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

type Ways = [fn(&Fleet) -> Share; 3];

const ALL: Ways = [Fleet::exact, Fleet::leased, |fleet| {
    fleet.synchronised(Duration::from_millis(50))
}];

fn fleet(wire: &Arc<Wire>) -> Fleet {
    Fleet::on(Arc::clone(wire)).start().unwrap()
}

fn limit(share: impl Into<Share>) -> FleetLimit {
    RateLimit::per_second(40).burst(40).build_on(share).unwrap()
}

async fn admitted(limit: &FleetLimit, calls: u32) -> u32 {
    let mut admitted = 0;
    for _ in 0..calls {
        admitted += u32::from(call(limit).await.is_ok());
    }
    admitted
}

#[tokio::test(start_paused = true)]
async fn each_instance_admits_its_share_of_the_limit() {
    for way in ALL {
        let wire = Wire::new();
        let fleets: Vec<_> = (0..4).map(|_| fleet(&wire)).collect();
        let limits: Vec<_> = fleets.iter().map(|fleet| limit(way(fleet))).collect();
        sleep(3 * SECOND).await;
        assert!(fleets.iter().all(|fleet| fleet.instances() == 4));
        wire.set(Is::Cut);
        sleep(2 * SECOND).await;
        assert!(fleets.iter().all(Fleet::is_degraded));
        for limit in &limits {
            assert_eq!(admitted(limit, 100).await, 10);
        }
        sleep(SECOND).await;
        for limit in &limits {
            assert_eq!(admitted(limit, 100).await, 10);
        }
        // Those who went away count for a while, and then no more.
        wire.set(Is::Up);
        sleep(2 * SECOND).await;
        assert!(!fleets.iter().any(Fleet::is_degraded));
    }
}

#[tokio::test(start_paused = true)]
async fn the_declared_choice_holds() {
    for way in ALL {
        let wire = Wire::new();
        wire.set(Is::Cut);
        let fleet = fleet(&wire);
        let open = limit(way(&fleet).when_unreachable(WhenUnreachable::Admit));
        let shut = limit(way(&fleet).when_unreachable(WhenUnreachable::Refuse));
        sleep(2 * SECOND).await;
        assert_eq!(admitted(&open, 100).await, 100);
        let rejection = call(&shut).await.unwrap_err();
        assert_eq!(rejection.reason(), Reason::Overloaded);
        assert_eq!(rejection.wait(), Some(SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_costs_one_deadline_and_then_nothing() {
    for way in [Fleet::exact, Fleet::leased] {
        let wire = Wire::new();
        let fleet = fleet(&wire);
        let limit = limit(way(&fleet));
        call(&limit).await.unwrap();
        // What is held would last for a while.
        sleep(SECOND / 2).await;
        wire.set(Is::Frozen);
        let start = Instant::now();
        call(&limit).await.unwrap();
        assert!(start.elapsed() <= 21 * MS, "{:?}", start.elapsed());
        sleep(MS).await;
        assert!(fleet.is_degraded());
        let start = Instant::now();
        admitted(&limit, 1_000).await;
        assert_eq!(start.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn limits_hold_again_within_a_second_of_its_return() {
    for way in ALL {
        for is in [Is::Cut, Is::Frozen] {
            for outage in [SECOND / 2, 30 * SECOND] {
                let wire = Wire::new();
                let (one, two) = (fleet(&wire), fleet(&wire));
                let limits = [limit(way(&one)), limit(way(&two))];
                sleep(2 * SECOND).await;
                wire.set(is);
                let start = Instant::now();
                while start.elapsed() < outage {
                    call(&limits[0]).await.ok();
                    sleep(10 * MS).await;
                }
                wire.set(Is::Up);
                wire.empty();
                sleep(SECOND).await;
                assert!(!one.is_degraded() && !two.is_degraded());
                // One limit for both, again: whatever the way, it is used up soon.
                let (mut sum, start) = (0, Instant::now());
                while start.elapsed() < 5 * SECOND {
                    sum += admitted(&limits[0], 2).await + admitted(&limits[1], 2).await;
                    sleep(10 * MS).await;
                }
                // A burst and five seconds, and what `synchronised` may add.
                assert!((190..=5 * 40 + 40 + 43).contains(&sum), "{sum}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_now_and_then_is_left_alone_for_longer() {
    let wire = Wire::new();
    let fleet = fleet(&wire);
    let limit = limit(&fleet);
    sleep(SECOND).await;
    // Fast enough for probes, and never for calls.
    let start = Instant::now();
    let mut slow = 0;
    while start.elapsed() < 10 * SECOND {
        wire.set(if fleet.is_degraded() {
            Is::Up
        } else {
            Is::Frozen
        });
        let start = Instant::now();
        call(&limit).await.ok();
        slow += u32::from(start.elapsed() > MS);
        sleep(MS).await;
    }
    // Each outage lasts for 400 ms after a few.
    assert!((10..=32).contains(&slow), "{slow}");
}

#[tokio::test(start_paused = true)]
async fn a_fleet_can_start_without_its_store() {
    // A port where nobody listens.
    let nobody = common::free_port();
    let fleet = Fleet::redis(format!("redis://127.0.0.1:{nobody}/"))
        .instances(4)
        .connect_or_degrade()
        .unwrap();
    assert!(fleet.is_degraded());
    assert_eq!(fleet.instances(), 4);
    assert_eq!(admitted(&limit(&fleet), 100).await, 10);
}
