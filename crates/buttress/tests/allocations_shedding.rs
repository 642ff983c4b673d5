//! Rule 12: adaptive limits, shedders and shadow allocate nothing for a call that they admit.
#![allow(
    clippy::unwrap_used,
    clippy::trivially_copy_pass_by_ref,
    clippy::unnecessary_wraps,
    reason = "functions of the call have this shape, and a test that cannot go on should say where"
)]

use buttress::shed::Reading;
use buttress::{
    AdaptiveLimit, Bulkhead, DeadlineShedder, IntoShadow, Plain, Pressure, QueueDelay, limit,
};
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};
use tower::{BoxError, Layer, Service, service_fn};

fn plain(number: u64) -> Ready<Result<u64, BoxError>> {
    ready(Ok(number))
}

fn now(_: &u64) -> Option<Instant> {
    Some(tokio::time::Instant::now().into_std())
}

fn in_a_second(_: &u64) -> Option<Instant> {
    Some((tokio::time::Instant::now() + Duration::from_secs(1)).into_std())
}

/// Allocations of a thousand calls, so that some of them close a sample.
async fn of_calls<S: Service<u64, Response = u64>>(mut service: S) -> u64 {
    let call = |service: &mut S| {
        let mut context = Context::from_waker(Waker::noop());
        assert!(service.poll_ready(&mut context).is_ready());
        let mut future = pin!(service.call(1));
        while future.as_mut().poll(&mut context).is_pending() {}
    };
    // The first ones warm thread-locals and tasks up.
    call(&mut service);
    tokio::time::advance(Duration::from_millis(1)).await;
    let mut allocations = 0;
    for _ in 0..1_000 {
        allocations += allocation_counter::measure(|| call(&mut service)).count_total;
        tokio::time::advance(Duration::from_micros(100)).await;
    }
    allocations
}

#[tokio::test(start_paused = true)]
async fn an_admitted_call_allocates_nothing() {
    let speak = Plain::new;
    let adaptive = AdaptiveLimit::new().unwrap();
    let calls = of_calls(adaptive.protocol(speak()).layer(service_fn(plain)));
    assert_eq!(calls.await, 0, "adaptive");
    let vegas = AdaptiveLimit::builder().algorithm(limit::Vegas::new());
    let vegas = vegas.build().unwrap();
    let calls = of_calls(vegas.protocol(speak()).layer(service_fn(plain)));
    assert_eq!(calls.await, 0, "Vegas");
    let delay = QueueDelay::builder().since(now).build().unwrap();
    let calls = of_calls(delay.protocol(speak()).layer(service_fn(plain)));
    assert_eq!(calls.await, 0, "queue delay");
    let deadline = DeadlineShedder::builder().deadline(in_a_second);
    let deadline = deadline.build().unwrap();
    let calls = of_calls(deadline.protocol(speak()).layer(service_fn(plain)));
    assert_eq!(calls.await, 0, "deadline");
    let source = |_| Reading {
        cpu: Some(0.9),
        memory: None,
    };
    // A refusal is an error in a box; none is drawn with this share.
    let pressure = Pressure::builder()
        .source(source)
        .most_refused(0.01)
        .seed(1);
    let pressure = pressure.build().unwrap();
    let calls = of_calls(pressure.protocol(speak()).layer(service_fn(plain)));
    assert!(calls.await <= 20, "pressure");
    let shadow = (Bulkhead::new(8).unwrap(), adaptive, delay).shadow();
    let calls = of_calls(shadow.protocol(speak()).layer(service_fn(plain)));
    assert_eq!(calls.await, 0, "shadow");
    // In shadow a refusal costs no more.
    let full = Bulkhead::new(1).unwrap();
    let held = buttress::Policy::admit(
        &full,
        &(),
        &buttress::Now::at(tokio::time::Instant::now().into_std()),
    );
    let shadow = full.shadow();
    let calls = of_calls(shadow.protocol(speak()).layer(service_fn(plain)));
    assert_eq!(calls.await, 0, "shadow of a full bulkhead");
    assert_eq!(shadow.would_have_refused_in_all(), 1_001);
    drop(held);
}
