//! That each shedder refuses the least critical calls first, if it is asked behind [`Prioritized`].

use crate::load::{CAPACITY, Random, Tally, offer, service};
use crate::system::{MILLI, SECOND};
use buttress::shed::Reading;
use buttress::{
    AdaptiveLimit, Bulkhead, Criticality, DeadlineShedder, Discipline, GuardLayer, Plain, Policy,
    Pressure, Prioritized, QueueDelay, RateLimit, guard,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

#[derive(Clone, Copy)]
struct Call {
    criticality: Criticality,
    arrived: Instant,
}

impl Call {
    fn criticality(&self) -> Criticality {
        self.criticality
    }
    fn arrived(&self) -> Option<Instant> {
        Some(self.arrived)
    }
    fn deadline(&self) -> Option<Instant> {
        Some(self.arrived + 30 * MILLI)
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

async fn overloaded<S>(service: &S) -> BTreeMap<Criticality, Tally>
where
    S: Service<Call, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    let mut random = Random(1);
    offer(service, 0.5 * CAPACITY, 2 * SECOND, &mut random, mixed).await;
    if std::env::var("WARM").is_ok() {
        offer(service, 3.0 * CAPACITY, 2 * SECOND, &mut random, mixed).await;
    }
    offer(service, 3.0 * CAPACITY, 5 * SECOND, &mut random, mixed).await
}

async fn check<S>(name: &str, service: S)
where
    S: Service<Call, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    let t = overloaded(&service).await;
    let all: usize = t.values().map(|t| t.answered.len()).sum();
    for (c, t) in &t {
        println!(
            "{name} {c:?} {:.4} p99 {:?}",
            t.part(),
            if t.answered.is_empty() {
                Duration::ZERO
            } else {
                t.quantile(0.99)
            }
        );
    }
    println!("{name} all {all}");
}

fn layer<P>(policy: P) -> GuardLayer<Prioritized<P, fn(&Call) -> Criticality>, Plain> {
    Prioritized::by(policy, Call::criticality as fn(&Call) -> Criticality).protocol(Plain::new())
}

#[tokio::test(start_paused = true)]
async fn each() {
    check(
        "adaptive",
        layer(AdaptiveLimit::new().unwrap()).layer(service()),
    )
    .await;
    let room = AdaptiveLimit::builder()
        .waiting_room(40, 10 * MILLI)
        .build()
        .unwrap();
    check("adaptive room", layer(room).layer(service())).await;
    check(
        "bulkhead",
        layer(Bulkhead::new(24).unwrap()).layer(service()),
    )
    .await;
    let room = Bulkhead::builder(20)
        .waiting_room(2000, SECOND)
        .build()
        .unwrap();
    let delay = QueueDelay::builder().since(Call::arrived).build().unwrap();
    check("queue delay", layer((room, delay)).layer(service())).await;
    let shedder = DeadlineShedder::builder()
        .deadline(Call::deadline)
        .build()
        .unwrap();
    check("deadline", layer(shedder).layer(service())).await;
    check(
        "rate",
        layer(RateLimit::per_second(2000).burst(100).build().unwrap()).layer(service()),
    )
    .await;
    let served = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&served);
    let mut before = 0;
    let source = move |_| {
        let now = seen.load(Ordering::Relaxed);
        let cpu = ((now - before) as f64 / (CAPACITY / 4.0)).min(1.0);
        before = now;
        Reading {
            cpu: Some(cpu),
            memory: None,
        }
    };
    let pressure = Pressure::builder()
        .source(source.clone())
        .seed(1)
        .build()
        .unwrap();
    let counted = service_fn(move |_: Call| {
        served.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    });
    check("pressure", layer(pressure.clone()).layer(counted.clone())).await;
    println!("{pressure:?}");
    let pressure = Pressure::builder()
        .source(source)
        .seed(1)
        .looking(Call::criticality)
        .build()
        .unwrap();
    check(
        "pressure alone",
        pressure.protocol(Plain::new()).layer(counted),
    )
    .await;
}
