//! Priorities, load leveling and shuffle sharding keep the contract, around plain services and
//! around HTTP.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::criticality::Everybody;
use buttress::testing::{Body, BrokenRule, Contract, Fixture};
use buttress::{
    Bulkhead, BulkheadBuilder, Carried, Criticality, Discipline, FairShare, IncomingCriticality,
    MissingKey, OutgoingCriticality, Pace, Plain, Prioritized, RunLater, ShuffleSharding, by_fn,
};
use futures_util::FutureExt;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

macro_rules! keeps_the_contract {
    ($($name:ident: $contract:expr;)*) => {$(
        #[test]
        fn $name() -> Result<(), BrokenRule> {
            $contract
        }
    )*};
}

type HttpRequest = http::Request<Body>;

fn key<C>() -> impl Fn(&C) -> Result<u8, MissingKey> + Clone {
    |_: &C| Ok(7)
}

/// Watches compartments that are in the layer.
fn sharded<K: 'static, L>(sharded: &ShuffleSharding<K>, layer: L) -> Fixture<L> {
    let sharded = sharded.clone();
    Fixture::new(layer).in_use(move || sharded.in_flight() + sharded.waiting())
}

fn waiting_room(limit: u32) -> Bulkhead {
    let builder = Bulkhead::builder(limit).waiting_room(8, SECOND);
    builder.build().unwrap()
}

fn disciplined(discipline: Discipline) -> BulkheadBuilder {
    Bulkhead::builder(2)
        .waiting_room(8, SECOND)
        .discipline(discipline)
}

/// Watches a bulkhead that is in the layer.
fn watched<L, V: Clone + 'static>(slots: &Bulkhead<V>, layer: L) -> Fixture<L> {
    let slots = slots.clone();
    Fixture::new(layer).in_use(move || slots.in_flight() + slots.waiting())
}

keeps_the_contract! {
    shuffle_sharding_plain: Contract::new(|| {
        let layer = Bulkhead::builder(2).shuffle_sharded(8, 2, by_fn(key::<u32>()));
        let layer = layer.build().unwrap();
        sharded(&layer, layer.protocol(Plain::new()))
    }).limit(4).check_plain();

    shuffle_sharding_http: Contract::new(|| {
        let layer = Bulkhead::builder(2).shuffle_sharded(8, 2, by_fn(key::<HttpRequest>()));
        let layer = layer.build().unwrap();
        sharded(&layer, layer.clone())
    }).limit(4).check_http();

    shuffle_sharding_with_a_waiting_room_plain: Contract::new(|| {
        let slots = Bulkhead::builder(2).waiting_room(8, SECOND);
        let layer = slots.shuffle_sharded(8, 1, by_fn(key::<u32>())).build().unwrap();
        sharded(&layer, layer.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    shuffle_sharding_with_a_waiting_room_http: Contract::new(|| {
        let slots = Bulkhead::builder(2).waiting_room(8, SECOND);
        let layer = slots.shuffle_sharded(8, 1, by_fn(key::<HttpRequest>())).build().unwrap();
        sharded(&layer, layer.clone())
    }).limit(2).waiting().check_http();

    incoming_criticality_http: Contract::new(|| {
        let layer = IncomingCriticality::new().trusting(Everybody);
        Fixture::new(layer.otherwise(Criticality::Sheddable))
    }).check_http();

    outgoing_criticality_http: Contract::new(|| {
        Fixture::new(OutgoingCriticality::new())
    }).check_http();

    prioritized_plain: Contract::new(|| {
        let slots = Bulkhead::new(2).unwrap();
        let layer = Prioritized::by(slots.clone(), Criticality::CriticalPlus);
        watched(&slots, layer.protocol(Plain::new()))
    }).limit(2).check_plain();

    prioritized_http: Contract::new(|| {
        let slots = waiting_room(2);
        watched(&slots, Prioritized::new(slots.clone()))
    }).limit(2).waiting().check_http();

    waiting_room_by_priority_plain: Contract::new(|| {
        let slots = disciplined(Discipline::Priority).looking(Criticality::Sheddable);
        let slots = slots.build().unwrap();
        watched(&slots, slots.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    waiting_room_by_priority_http: Contract::new(|| {
        let slots = disciplined(Discipline::Priority).looking(Carried).build().unwrap();
        watched(&slots, slots.clone())
    }).limit(2).waiting().check_http();

    waiting_room_turned_round_plain: Contract::new(|| {
        let slots = disciplined(Discipline::adaptive_lifo()).build().unwrap();
        watched(&slots, slots.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    waiting_room_turned_round_http: Contract::new(|| {
        let slots = disciplined(Discipline::adaptive_lifo()).looking(Carried).build().unwrap();
        watched(&slots, slots.clone())
    }).limit(2).waiting().check_http();

    waiting_room_of_controlled_delay_plain: Contract::new(|| {
        let slots = disciplined(Discipline::codel()).build().unwrap();
        watched(&slots, slots.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    waiting_room_of_controlled_delay_http: Contract::new(|| {
        let slots = disciplined(Discipline::codel()).looking(Carried).build().unwrap();
        watched(&slots, slots.clone())
    }).limit(2).waiting().check_http();

    fair_share_plain: Contract::new(|| {
        let fair = FairShare::builder(6, by_fn(key::<u32>())).build().unwrap();
        let watched = fair.clone();
        Fixture::new(fair.protocol(Plain::new())).in_use(move || watched.in_flight())
    }).limit(4).check_plain();

    fair_share_http: Contract::new(|| {
        let fair = FairShare::builder(6, by_fn(key::<HttpRequest>())).build().unwrap();
        let watched = fair.clone();
        Fixture::new(fair).in_use(move || watched.in_flight())
    }).limit(4).check_http();

    pace_refusing_plain: Contract::new(|| {
        let pace = Pace::per_minute(1).build().unwrap();
        use_up(&pace);
        Fixture::new(pace.protocol(Plain::new()))
    }).refusing().check_plain();

    run_later_draining_http: Contract::new(|| {
        let later = RunLater::builder("/jobs/").build().unwrap();
        let drained = later.drain().now_or_never();
        assert!(drained.is_some());
        Fixture::new(later)
    }).refusing().check_http();

    pace_refusing_http: Contract::new(|| {
        let pace = Pace::per_minute(1).build().unwrap();
        use_up(&pace);
        Fixture::new(pace)
    }).refusing().check_http();

}

fn use_up(pace: &Pace) {
    use buttress::{Admission, Now, Policy};
    let now = Now::at(tokio::time::Instant::now().into_std());
    assert!(matches!(pace.admit(&(), &now), Admission::Admitted(())));
}
