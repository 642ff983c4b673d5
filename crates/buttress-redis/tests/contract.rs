//! A fleet's limit keeps the contract of the layers, whichever way it is shared.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::testing::{BrokenRule, Contract, Fixture};
use buttress::{Admission, Bulkhead, Now, Plain, Policy, RateLimit, guard};
use buttress_redis::{BuildOn, Fleet, FleetLimit, Share};
use common::wire::{Is, Wire};
use std::time::Duration;

/// The harness polls calls and nothing else, so these are decided in `call`: by a store that
/// answers at once, in memory, or alone. How calls wait for a store that takes its time, and what
/// becomes of those that leave meanwhile, is in `waiting.rs`.
fn limit(way: fn(&Fleet) -> Share, is: Is) -> FleetLimit {
    let wire = Wire::new();
    wire.set(is);
    let fleet = Fleet::on(wire).start().unwrap();
    let limit = RateLimit::per_day(1_000_000).announced();
    limit.build_on(way(&fleet)).unwrap()
}

type Way = fn(&Fleet) -> Share;

const DECIDED_AT_ONCE: [(Way, Is); 3] = [
    (Fleet::exact, Is::Up),
    (Fleet::exact, Is::Cut),
    (
        |fleet| fleet.synchronised(Duration::from_millis(10)),
        Is::Up,
    ),
];

#[test]
fn a_limit_in_a_fleet_keeps_the_contract() -> Result<(), BrokenRule> {
    for (way, is) in DECIDED_AT_ONCE {
        Contract::new(move || Fixture::new(limit(way, is))).check_http()?;
        let plain = move || Fixture::new(limit(way, is).protocol(Plain::new()));
        Contract::new(plain).check_plain()?;
    }
    Ok(())
}

#[test]
fn a_limit_without_its_store_keeps_the_contract() -> Result<(), BrokenRule> {
    let lost = || {
        let fleet = Fleet::redis("redis://127.0.0.1:1/").connect_or_degrade();
        let limit = RateLimit::per_day(1_000_000);
        limit.build_on(fleet.unwrap().leased()).unwrap()
    };
    Contract::new(move || Fixture::new(lost())).check_http()?;
    Contract::new(move || Fixture::new(lost().protocol(Plain::new()))).check_plain()
}

#[test]
fn in_a_guard_with_others_it_keeps_the_contract() -> Result<(), BrokenRule> {
    for (way, is) in DECIDED_AT_ONCE {
        Contract::new(move || {
            let slots = Bulkhead::new(2).unwrap();
            let watched = slots.clone();
            Fixture::new(guard((limit(way, is), slots))).in_use(move || watched.in_flight())
        })
        .limit(2)
        .check_http()?;
    }
    Ok(())
}

#[test]
fn used_up_it_keeps_the_contract() -> Result<(), BrokenRule> {
    let used_up = || {
        let fleet = Fleet::in_memory().unwrap();
        let limit = RateLimit::per_day(1).build_on(&fleet).unwrap();
        let now = Now::lazy(|| tokio::time::Instant::now().into_std());
        assert!(matches!(
            limit.admit("the one", &now),
            Admission::Admitted(_)
        ));
        limit
    };
    Contract::new(move || Fixture::new(used_up()))
        .refusing()
        .check_http()
}
