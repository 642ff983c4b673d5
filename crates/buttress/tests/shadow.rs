//! Every policy can be put in shadow by one word; then it refuses nothing, and counts what it would
//! have refused.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    clippy::trivially_copy_pass_by_ref,
    reason = "functions of the call have this shape, and a test that cannot go on should say where"
)]

use buttress::limit::Vegas;
use buttress::shed::Reading;
use buttress::{
    AdaptiveLimit, Bulkhead, CircuitBreaker, Criticality, DeadlineShedder, FairShare, IntoShadow,
    Pace, Plain, Policy, Pressure, Prioritized, QueueDelay, RateLimit, Reason, Reloadable, Shadow,
    Throttle, by_fn, guard,
};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

/// A call, and whether the callee fails.
#[derive(Clone, Copy)]
struct Call {
    fails: bool,
}

fn long_ago(_: &Call) -> Option<Instant> {
    tokio::time::Instant::now().into_std().checked_sub(SECOND)
}

async fn send<S>(name: &str, service: &S)
where
    S: Service<Call, Response = (), Error = BoxError, Future: Send> + Clone + Send + 'static,
{
    let mut calls = JoinSet::new();
    for number in 0..400 {
        let call = Call {
            fails: number < 200,
        };
        let answer = service.clone().oneshot(call);
        calls.spawn(async move { (call, answer.await) });
        sleep(SECOND / 1_000).await;
    }
    for (call, answer) in calls.join_all().await {
        // What fails is the callee, and nothing else.
        assert_eq!(answer.is_err(), call.fails, "{name}");
        if let Err(error) = answer {
            assert_eq!(error.to_string(), "it failed", "{name}");
        }
    }
}

/// Four hundred calls a millisecond apart, of 20 ms each, of which the first half fails: all must reach
/// the callee, and some of them not if the policy were obeyed.
async fn tried_out<P>(name: &str, shadow: Shadow<P>, reason: Reason)
where
    P: Policy<Call, Permit: Send, Waiting: Send> + Send + Sync + 'static,
{
    let service = guard(shadow.clone()).protocol(Plain::new());
    let service = service.layer(service_fn(|call: Call| async move {
        sleep(SECOND / 50).await;
        if call.fails {
            Err(BoxError::from("it failed"))
        } else {
            Ok(())
        }
    }));
    send(name, &service).await;
    let (refused, all) = (
        shadow.would_have_refused(reason),
        shadow.would_have_refused_in_all(),
    );
    assert!(refused > 0, "{name}: {refused} of {all}");
    assert!(all <= 400, "{name}: {all}");
}

macro_rules! in_shadow {
    ($($name:ident: $policy:expr, $reason:ident;)*) => {$(
        #[tokio::test(start_paused = true)]
        async fn $name() {
            tried_out(stringify!($name), $policy.shadow(), Reason::$reason).await;
        }
    )*};
}

in_shadow! {
    bulkhead: Bulkhead::new(4).unwrap(), BulkheadFull;
    bulkhead_per_key: Bulkhead::builder(4).by(by_key()).build().unwrap(), BulkheadFull;
    rate_limit: RateLimit::per_second(10).build().unwrap(), RateLimited;
    rate_limit_per_key: RateLimit::per_second(10).by(by_key()).build().unwrap(), RateLimited;
    circuit_breaker: CircuitBreaker::new("callee").unwrap(), CircuitOpen;
    circuit_breaker_per_key: CircuitBreaker::builder("callee").by(by_key()).build().unwrap(), CircuitOpen;
    throttle: Throttle::builder().failures_count().seed(1).build().unwrap(), Throttled;
    throttle_per_key: Throttle::builder().failures_count().by(by_key()).build().unwrap(), Throttled;
    adaptive_limit: AdaptiveLimit::builder().algorithm(Vegas::new().start(4).max(4)).build().unwrap(), BulkheadFull;
    adaptive_limit_per_key: AdaptiveLimit::builder()
        .algorithm(Vegas::new().start(4).max(4))
        .by(by_key())
        .build()
        .unwrap(), BulkheadFull;
    queue_delay: QueueDelay::builder().since(long_ago).build().unwrap(), Overloaded;
    pressure: under_pressure(), Overloaded;
    deadline_shedder: DeadlineShedder::builder().deadline(soon).build().unwrap(), Overloaded;
    shuffle_sharding: Bulkhead::builder(2).shuffle_sharded(8, 2, by_key()).build().unwrap(), BulkheadFull;
    fair_share: FairShare::builder(4, by_key()).build().unwrap(), Overloaded;
    pace: Pace::per_second(20).build().unwrap(), Overloaded;
    prioritized: Prioritized::by(Bulkhead::new(4).unwrap(), Criticality::Sheddable), Overloaded;
    reloadable: Reloadable::new(Bulkhead::new(4).unwrap()), BulkheadFull;
    optional: Some(Bulkhead::new(4).unwrap()), BulkheadFull;
    several: (Bulkhead::new(1_000).unwrap(), RateLimit::per_second(10).build().unwrap()), RateLimited;
    shadow: enforced(Bulkhead::new(4).unwrap().shadow()), BulkheadFull;
}

fn by_key() -> impl buttress::Key<Call, Key<'static> = u32> + Clone + Send + Sync + 'static {
    by_fn(|_: &Call| Ok(7))
}

fn soon(_: &Call) -> Option<Instant> {
    tokio::time::Instant::now()
        .into_std()
        .checked_add(SECOND / 100)
}

fn under_pressure() -> Pressure {
    let source = |_| Reading {
        cpu: Some(0.99),
        memory: None,
    };
    Pressure::builder().source(source).seed(1).build().unwrap()
}

/// One that would refuse, in shadow again.
fn enforced<P>(shadow: Shadow<P>) -> Shadow<P> {
    shadow.enforce();
    shadow
}

/// One that waits would make calls wait: in shadow they don't.
#[tokio::test(start_paused = true)]
async fn nobody_waits() {
    let room = Bulkhead::builder(4).waiting_room(100, SECOND).build();
    let pace = Pace::per_second(20).waiting_room(100, SECOND).build();
    let shadow = (room.unwrap(), pace.unwrap()).shadow();
    let service = guard(shadow.clone()).protocol(Plain::new());
    let service = service.layer(service_fn(|_: Call| async {
        sleep(SECOND / 50).await;
        Ok::<_, BoxError>(())
    }));
    let begin = tokio::time::Instant::now();
    let calls = (0..50).map(|_| service.clone().oneshot(Call { fails: false }));
    for answer in futures_util::future::join_all(calls).await {
        answer.unwrap();
    }
    assert!(begin.elapsed() <= SECOND / 40, "{:?}", begin.elapsed());
    assert_eq!(shadow.would_have_waited(), 49);
    assert_eq!(shadow.would_have_refused_in_all(), 0);
}
