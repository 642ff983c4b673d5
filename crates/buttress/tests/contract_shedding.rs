//! Adaptive limits, shedders and shadow keep the contract, around plain services and around HTTP.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    clippy::unnecessary_wraps,
    reason = "functions of the call have this shape, and a test that cannot go on should say where"
)]

use buttress::limit::{Limit, Sample, Vegas};
use buttress::shed::{MarkArrival, Reading};
use buttress::testing::{BrokenRule, Contract, Fixture};
use buttress::{
    AdaptiveLimit, Bulkhead, DeadlineShedder, IncomingDeadline, IntoShadow, Plain, Pressure,
    QueueDelay, by_fn, guard,
};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

macro_rules! keeps_the_contract {
    ($($name:ident: $contract:expr;)*) => {$(
        #[test]
        fn $name() -> Result<(), BrokenRule> {
            $contract
        }
    )*};
}

/// Two, whatever happens.
#[derive(Clone)]
struct Two;

impl Limit for Two {
    fn limit(&self) -> u32 {
        2
    }

    fn update(&mut self, _: &Sample, _: Instant) -> u32 {
        2
    }

    fn samples(&self) -> u32 {
        1
    }
}

fn two() -> AdaptiveLimit<Two> {
    AdaptiveLimit::builder().algorithm(Two).build().unwrap()
}

fn two_and_a_room() -> AdaptiveLimit<Two> {
    let builder = AdaptiveLimit::builder().algorithm(Two);
    builder.waiting_room(8, SECOND).build().unwrap()
}

fn watched<L, A: 'static>(limit: &AdaptiveLimit<A>, layer: L) -> Fixture<L> {
    let limit = limit.clone();
    Fixture::new(layer).in_use(move || limit.in_flight() + limit.waiting())
}

fn pressure(memory: f64) -> Pressure {
    let source = move |_| Reading {
        cpu: None,
        memory: Some(memory),
    };
    Pressure::builder().source(source).build().unwrap()
}

fn just_now<C>(_: &C) -> Option<Instant> {
    Some(tokio::time::Instant::now().into_std())
}

fn in_a_minute<C>(_: &C) -> Option<Instant> {
    Some((tokio::time::Instant::now() + 60 * SECOND).into_std())
}

fn passed<C>(_: &C) -> Option<Instant> {
    Some(tokio::time::Instant::now().into_std())
}

keeps_the_contract! {
    adaptive_plain: Contract::new(|| {
        let limit = AdaptiveLimit::new().unwrap();
        watched(&limit, limit.protocol(Plain::new()))
    }).check_plain();

    adaptive_http: Contract::new(|| {
        let limit = AdaptiveLimit::new().unwrap();
        watched(&limit, limit.clone())
    }).check_http();

    adaptive_vegas_http: Contract::new(|| {
        let limit = AdaptiveLimit::builder().algorithm(Vegas::new()).build().unwrap();
        watched(&limit, limit.clone())
    }).check_http();

    adaptive_limit_of_two_plain: Contract::new(|| {
        let limit = two();
        watched(&limit, limit.protocol(Plain::new()))
    }).limit(2).check_plain();

    adaptive_limit_of_two_http: Contract::new(|| {
        let limit = two();
        watched(&limit, limit.clone())
    }).limit(2).check_http();

    adaptive_with_a_waiting_room_plain: Contract::new(|| {
        let limit = two_and_a_room();
        watched(&limit, limit.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    adaptive_with_a_waiting_room_http: Contract::new(|| {
        let limit = two_and_a_room();
        watched(&limit, limit.clone())
    }).limit(2).waiting().check_http();

    adaptive_per_key_plain: Contract::new(|| {
        let key = by_fn(|_: &u32| Ok(7_u8));
        let limit = AdaptiveLimit::builder().algorithm(Two).by(key).build().unwrap();
        Fixture::new(limit.protocol(Plain::new()))
    }).limit(2).check_plain();

    queue_delay_plain: Contract::new(|| {
        let delay = QueueDelay::builder().since(just_now::<u32>).build().unwrap();
        Fixture::new(delay.protocol(Plain::new()))
    }).check_plain();

    queue_delay_http: Contract::new(|| {
        Fixture::new((MarkArrival::new(), QueueDelay::new().unwrap()))
    }).check_http();

    mark_arrival_http: Contract::new(|| Fixture::new(MarkArrival::new())).check_http();

    pressure_plain: Contract::new(|| {
        Fixture::new(pressure(0.5).protocol(Plain::new()))
    }).check_plain();

    pressure_http: Contract::new(|| Fixture::new(pressure(0.5))).check_http();

    deadline_shedder_plain: Contract::new(|| {
        let shedder = DeadlineShedder::builder().deadline(in_a_minute::<u32>);
        Fixture::new(shedder.build().unwrap().protocol(Plain::new()))
    }).check_plain();

    deadline_shedder_http: Contract::new(|| {
        let deadline = IncomingDeadline::at_most(60 * SECOND).unwrap();
        Fixture::new((deadline, DeadlineShedder::new().unwrap()))
    }).check_http();

    deadline_shedder_refusing_plain: Contract::new(|| {
        let shedder = DeadlineShedder::builder().deadline(passed::<u32>);
        Fixture::new(shedder.build().unwrap().protocol(Plain::new()))
    }).refusing().check_plain();

    deadline_shedder_refusing_http: Contract::new(|| {
        let deadline = passed::<http::Request<buttress::testing::Body>>;
        Fixture::new(DeadlineShedder::builder().deadline(deadline).build().unwrap())
    }).refusing().check_http();

    shadow_of_a_full_bulkhead_plain: Contract::new(|| {
        Fixture::new(Bulkhead::new(1).unwrap().shadow().protocol(Plain::new()))
    }).check_plain();

    shadow_of_a_full_bulkhead_http: Contract::new(|| {
        let slots = Bulkhead::new(1).unwrap();
        let watched = slots.clone();
        Fixture::new(slots.shadow()).in_use(move || watched.in_flight())
    }).check_http();

    shadow_of_a_waiting_room_http: Contract::new(|| {
        let limit = two_and_a_room();
        watched(&limit, limit.clone().shadow())
    }).check_http();

    shadow_enforced_plain: Contract::new(|| {
        let limit = two_and_a_room();
        let shadow = limit.clone().shadow();
        shadow.enforce();
        watched(&limit, shadow.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    shadow_enforced_http: Contract::new(|| {
        let limit = two();
        let shadow = limit.clone().shadow();
        shadow.enforce();
        watched(&limit, shadow)
    }).limit(2).check_http();

    all_that_sheds_in_one_guard_http: Contract::new(|| {
        let limit = two_and_a_room();
        let policies = (
            pressure(0.5),
            DeadlineShedder::new().unwrap(),
            limit.clone(),
            QueueDelay::new().unwrap(),
        );
        watched(&limit, (MarkArrival::new(), guard(policies)))
    }).limit(2).waiting().check_http();
}
