//! Rule 12 for priorities and load leveling: a call that is admitted allocates nothing.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{
    Admission, Bulkhead, Criticality, Discipline, FairShare, Now, Pace, Plain, Policy, Prioritized,
    by_fn,
};
use common::{of_a_plain_call, plain};
use std::future::Ready;
use tower::{BoxError, Layer, Service, service_fn};

fn around_plain<L, S>(layer: L) -> u64
where
    L: Layer<tower::util::ServiceFn<fn(u64) -> Ready<Result<u64, BoxError>>>, Service = S>,
    S: Service<u64, Response = u64>,
{
    let service: fn(u64) -> _ = plain;
    of_a_plain_call(layer.layer(service_fn(service)))
}

#[tokio::test(start_paused = true)]
async fn an_admitted_call_allocates_nothing() {
    let key = by_fn(|call: &u64| Ok(*call));
    let sharded = Bulkhead::builder(4).shuffle_sharded(8, 2, key);
    assert_eq!(
        around_plain(sharded.build().unwrap().protocol(Plain::new())),
        0
    );
    let room = Bulkhead::builder(4).waiting_room(4, std::time::Duration::from_secs(1));
    let room = room.discipline(Discipline::Priority);
    let room = room.looking(|_: &u64| Criticality::Sheddable);
    assert_eq!(
        around_plain(room.build().unwrap().protocol(Plain::new())),
        0
    );
    let first = Prioritized::by(Bulkhead::new(4).unwrap(), |_: &u64| Criticality::Sheddable);
    assert_eq!(around_plain(first.protocol(Plain::new())), 0);
    let pace = Pace::per_second(5).build().unwrap();
    let now = Now::at(tokio::time::Instant::now().into_std());
    let measured = allocation_counter::measure(|| {
        assert!(matches!(pace.admit(&1, &now), Admission::Admitted(())));
    });
    assert_eq!(measured.count_total, 0);
    let fair = FairShare::builder(8, key).build().unwrap();
    assert_eq!(around_plain(fair.protocol(Plain::new())), 0);
}
