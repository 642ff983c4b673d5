//! That each shedder refuses the least critical calls first: behind [`Prioritized`], or by itself.

use crate::load::{CAPACITY, Random, Tally, offer, service};
use crate::system::{MILLI, SECOND};
use buttress::shed::Reading;
use buttress::{
    AdaptiveLimit, Bulkhead, Criticality, DeadlineShedder, GuardLayer, Plain, Pressure,
    Prioritized, QueueDelay, Timeout,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;
use tower::{BoxError, Layer, Service, service_fn};

#[derive(Clone, Copy)]
struct Call {
    criticality: Criticality,
    arrived: Instant,
}

impl Call {
    fn criticality(&self) -> Criticality {
        self.criticality
    }

    #[allow(
        clippy::unnecessary_wraps,
        reason = "functions of the call have this shape"
    )]
    fn arrived(&self) -> Option<Instant> {
        Some(self.arrived)
    }

    fn deadline(&self) -> Option<Instant> {
        self.arrived.checked_add(30 * MILLI)
    }
}

/// One in ten is critical, and half may be shed first.
fn mixed(draw: f64) -> (Criticality, Call) {
    let criticality = match draw {
        ..0.5 => Criticality::Sheddable,
        ..0.9 => Criticality::SheddablePlus,
        _ => Criticality::Critical,
    };
    let arrived = tokio::time::Instant::now().into_std();
    (
        criticality,
        Call {
            criticality,
            arrived,
        },
    )
}

/// What part of the least critical calls, of the next and of the critical ones was answered.
type Parts = [f64; 3];

/// Five seconds of three times the capacity: the first ones after half of it, or later ones.
async fn overloaded<S>(name: &str, service: S, sudden: bool) -> Parts
where
    S: Service<Call, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    let mut random = Random(1);
    offer(&service, 0.5 * CAPACITY, 2 * SECOND, &mut random, mixed).await;
    if !sudden {
        offer(&service, 3.0 * CAPACITY, 2 * SECOND, &mut random, mixed).await;
    }
    let tallies = offer(&service, 3.0 * CAPACITY, 5 * SECOND, &mut random, mixed).await;
    let part = |criticality| tallies.get(&criticality).map_or(0.0, Tally::part);
    let parts = [
        Criticality::Sheddable,
        Criticality::SheddablePlus,
        Criticality::Critical,
    ];
    let parts = parts.map(part);
    println!("{name}: {parts:.4?}");
    parts
}

type Seeing = fn(&Call) -> Criticality;

fn prioritized<P>(policy: P) -> GuardLayer<Prioritized<P, Seeing>, Plain> {
    let look: Seeing = Call::criticality;
    Prioritized::by(policy, look).protocol(Plain::new())
}

fn lowest_first([lowest, next, critical]: Parts, critical_at_least: f64) {
    assert!(critical > critical_at_least, "{critical}");
    assert!(lowest <= next && next < critical, "{lowest}, {next}");
    assert!(lowest < 0.1, "{lowest}");
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit() {
    let limit = || AdaptiveLimit::builder().waiting_room(40, 10 * MILLI);
    let room = prioritized(limit().build().unwrap()).layer(service());
    lowest_first(overloaded("with a room", room, true).await, 0.99);
    let none = prioritized(AdaptiveLimit::new().unwrap()).layer(service());
    lowest_first(overloaded("without", none, false).await, 0.99);
}

#[tokio::test(start_paused = true)]
async fn a_bulkhead() {
    let slots = prioritized(Bulkhead::new(24).unwrap()).layer(service());
    lowest_first(overloaded("bulkhead", slots, false).await, 0.99);
}

/// It sees the calls when they have waited already, whatever they are.
#[tokio::test(start_paused = true)]
async fn a_queueing_delay() {
    let room = Bulkhead::builder(20).waiting_room(2_000, SECOND).build();
    let delay = QueueDelay::builder().since(Call::arrived).build().unwrap();
    let both = prioritized((room.unwrap(), delay)).layer(service());
    lowest_first(overloaded("queue delay", both, false).await, 0.95);
}

/// Of its own it does not keep a service within its capacity: it knows what calls take, and not how
/// many are too many.
#[tokio::test(start_paused = true)]
async fn a_deadline_shedder_beside_a_limit() {
    let limit = AdaptiveLimit::builder().waiting_room(40, 10 * MILLI);
    let shedder = || DeadlineShedder::builder().deadline(Call::deadline);
    let both = (shedder().build().unwrap(), limit.build().unwrap());
    let both = prioritized(both).layer(service());
    lowest_first(overloaded("deadlines and a limit", both, true).await, 0.99);
    let timeout = Timeout::new(30 * MILLI).unwrap().protocol(Plain::new());
    let alone = prioritized(shedder().build().unwrap()).layer(timeout.layer(service()));
    lowest_first(overloaded("deadlines", alone, false).await, 0.0);
}

/// A processor that is used up by the calls that pass, and answers at once.
#[tokio::test(start_paused = true)]
async fn a_pressure_that_looks() {
    let passed = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&passed);
    let source = move |_| {
        let used = f64::from(counted.swap(0, Ordering::Relaxed)) / (CAPACITY / 4.0);
        Reading {
            cpu: Some(used.min(1.0)),
            memory: None,
        }
    };
    let pressure = Pressure::builder().source(source).seed(1);
    let pressure = pressure.looking(Call::criticality).build().unwrap();
    let service = service_fn(move |_: Call| {
        passed.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, BoxError>(()) }
    });
    let service = pressure.protocol(Plain::new()).layer(service);
    lowest_first(overloaded("pressure", service, false).await, 0.999);
}
