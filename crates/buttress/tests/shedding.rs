//! Adaptive limits, shedders and shadow, as layers on virtual time.
#![cfg(feature = "http")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::shed::{MarkArrival, Reading};
use buttress::{
    AdaptiveLimit, Bulkhead, DeadlineShedder, IncomingDeadline, IntoShadow, Plain, Pressure,
    QueueDelay, Reason, Rejection, Run, Shadow, Timeout, by_fn, guard,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Empty;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};

const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Work for 10 ms in one of so many slots.
async fn work(slots: Arc<Semaphore>) -> Result<(), BoxError> {
    let slot = slots.acquire().await?;
    sleep(10 * MILLI).await;
    drop(slot);
    Ok(())
}

/// Calls `rate` times a second for `time`, whatever comes of it, and counts the answers and what the
/// slowest hundredth of them took.
async fn load<S>(service: &S, rate: u32, time: Duration) -> (usize, Duration)
where
    S: Service<(), Response = (), Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    let begin = Instant::now();
    let mut calls = tokio::task::JoinSet::new();
    let mut sent = 0;
    while begin.elapsed() < time {
        // As many as are due: tokio's timer counts in milliseconds.
        let due = (begin.elapsed().as_secs_f64() * f64::from(rate)) as u32 + 1;
        for _ in sent..due {
            let service = service.clone();
            calls.spawn(async move {
                let start = Instant::now();
                let answer = service.oneshot(()).await;
                answer.is_ok().then(|| start.elapsed())
            });
        }
        sent = due;
        sleep(MILLI).await;
    }
    let mut took: Vec<Duration> = calls.join_all().await.into_iter().flatten().collect();
    took.sort();
    let slowest = took.get(took.len() * 99 / 100).copied();
    (took.len(), slowest.unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_keeps_an_overloaded_service_at_its_peak() {
    let limit = AdaptiveLimit::new().unwrap();
    let slots = Arc::new(Semaphore::new(20));
    let service = limit
        .protocol(Plain::new())
        .layer(service_fn(move |()| work(Arc::clone(&slots))));
    // Unloaded, calls take 10 ms, give or take tokio's millisecond.
    let (_, unloaded) = load(&service, 200, SECOND).await;
    assert!(unloaded <= 12 * MILLI, "{unloaded:?}");
    // The peak is 20 slots × 100 calls a second, or what is left of it after timers are rounded up.
    let (peak, _) = load(&service, 1_700, 5 * SECOND).await;
    let (answered, slowest) = load(&service, 20_000, 5 * SECOND).await;
    assert!(answered * 10 >= peak * 9, "{answered} of {peak}");
    assert!(
        slowest <= 3 * unloaded,
        "{slowest:?}, unloaded {unloaded:?}"
    );
    // And it is forgotten as soon as it is over.
    let (after, slowest) = load(&service, 1_000, SECOND).await;
    assert!(
        after >= 990 && slowest <= 2 * unloaded,
        "{after}, {slowest:?}"
    );
}

/// A client that tries three times more, at once.
#[derive(Clone)]
struct Impatient<S>(S);

impl<S> Service<()> for Impatient<S>
where
    S: Service<(), Response = (), Error = BoxError> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = ();
    type Error = BoxError;
    type Future = futures_util::future::BoxFuture<'static, Result<(), BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, (): ()) -> Self::Future {
        let service = self.0.clone();
        Box::pin(async move {
            let mut answer = service.clone().oneshot(()).await;
            for _ in 0..3 {
                if answer.is_err() {
                    answer = service.clone().oneshot(()).await;
                }
            }
            answer
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_overload_is_forgotten_within_a_second_although_clients_try_again() {
    let limit = AdaptiveLimit::new().unwrap();
    let slots = Arc::new(Semaphore::new(20));
    let service = limit
        .protocol(Plain::new())
        .layer(service_fn(move |()| work(Arc::clone(&slots))));
    let patient = Timeout::new(100 * MILLI).unwrap().protocol(Plain::new());
    let client = Impatient(patient.layer(service));
    let (before, _) = load(&client, 1_000, 2 * SECOND).await;
    assert!(before >= 1_990, "{before}");
    load(&client, 6_000, 5 * SECOND).await;
    // The second after it.
    load(&client, 1_000, SECOND).await;
    let (after, slowest) = load(&client, 1_000, 2 * SECOND).await;
    assert!(after >= 1_990, "{after}");
    assert!(slowest <= 20 * MILLI, "{slowest:?}");
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_limit_of_its_own() {
    let key = by_fn(|tenant: &u32| Ok(*tenant));
    let algorithm = buttress::limit::Vegas::new().start(1).min(1);
    let limit = AdaptiveLimit::builder().algorithm(algorithm).by(key);
    let limit = limit.build().unwrap();
    let service = limit
        .protocol(Plain::new())
        .layer(service_fn(|_: u32| async {
            sleep(SECOND).await;
            Ok::<_, BoxError>(())
        }));
    let one = tokio::spawn(service.clone().oneshot(1));
    tokio::task::yield_now().await;
    assert!(service.clone().oneshot(1).await.is_err());
    assert!(service.oneshot(2).await.is_ok());
    assert!(one.await.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn calls_that_stood_in_a_waiting_room_for_too_long_are_shed() {
    let room = Bulkhead::builder(1).waiting_room(1_000, 10 * SECOND);
    let (room, delay) = (room.build().unwrap(), QueueDelay::new().unwrap());
    let served = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&served);
    let service =
        (MarkArrival::new(), room, delay.clone()).layer(service_fn(move |_: Request<()>| {
            counted.fetch_add(1, Ordering::Relaxed);
            async {
                sleep(10 * MILLI).await;
                Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
            }
        }));
    // Four times what it can do, for two seconds.
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..800 {
        calls.spawn(service.clone().oneshot(Request::new(())));
        sleep(2_500 * Duration::from_micros(1)).await;
    }
    assert!(delay.is_overloaded());
    let statuses = calls
        .join_all()
        .await
        .into_iter()
        .map(|answer| answer.unwrap().status());
    let refused = statuses.filter(|status| *status == StatusCode::SERVICE_UNAVAILABLE);
    let (refused, served) = (refused.count(), served.load(Ordering::Relaxed));
    assert_eq!(
        refused + served as usize,
        800,
        "what is refused never reaches the service"
    );
    assert!(refused > 400, "{refused}");
}

#[tokio::test(start_paused = true)]
async fn pressure_is_read_by_one_task_whatever_the_rate_of_calls() {
    let reads = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&reads);
    let source = move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Reading {
            cpu: Some(0.5),
            memory: Some(0.97),
        }
    };
    let pressure = Pressure::builder().source(source).most_refused(1.0);
    let pressure = pressure.build().unwrap();
    let other = pressure.clone();
    let call =
        |pressure: Pressure| async move { pressure.run(async { Ok::<_, BoxError>(()) }).await };
    assert!(call(pressure.clone()).await.is_ok(), "nothing is known yet");
    sleep(MILLI).await;
    for _ in 0..1_000 {
        let error = call(other.clone()).await.unwrap_err();
        let reason = Rejection::find(&*error).map(Rejection::reason);
        assert_eq!(reason, Some(Reason::Overloaded));
    }
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    sleep(SECOND).await;
    assert_eq!(reads.load(Ordering::Relaxed), 5);
    // It ends with the last handle.
    drop((pressure, other));
    sleep(10 * SECOND).await;
    assert_eq!(reads.load(Ordering::Relaxed), 5);
}

#[test]
fn pressure_is_read_again_when_its_runtime_is_gone() {
    let reads = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&reads);
    let source = move |_| {
        counted.fetch_add(1, Ordering::Relaxed);
        Reading::default()
    };
    let pressure = Pressure::builder().source(source).build().unwrap();
    for _ in 0..2 {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            pressure.run(async { Ok::<_, BoxError>(()) }).await.unwrap();
            sleep(SECOND).await;
        });
    }
    assert!(reads.load(Ordering::Relaxed) >= 8);
}

#[tokio::test(start_paused = true)]
async fn the_process_is_measured_where_it_runs() {
    let pressure = Pressure::new().unwrap();
    for _ in 0..3 {
        let _ = pressure.run(async { Ok::<_, BoxError>(()) }).await;
        sleep(SECOND).await;
    }
    if cfg!(target_os = "linux") {
        let memory = pressure.reading().memory.unwrap();
        assert!(memory > 0.0 && memory < 1.5, "{memory}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_cannot_be_answered_in_time_is_refused_at_once() {
    // There are few calls.
    let shedder = DeadlineShedder::builder().half_life(10 * SECOND);
    let shedder = shedder.build().unwrap();
    let deadlines = IncomingDeadline::at_most(10 * SECOND).unwrap();
    let deadlines = deadlines.header("x-deadline").unwrap();
    let slow = service_fn(|_: Request<()>| async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let service = (deadlines, shedder.clone()).layer(slow);
    let call = |millis: u32| {
        let request = Request::builder().header("x-deadline", millis.to_string());
        service.clone().oneshot(request.body(()).unwrap())
    };
    for answer in (0..30)
        .map(|_| tokio::spawn(call(5_000)))
        .collect::<Vec<_>>()
    {
        // The call is over when its body is.
        drop(answer.await.unwrap().unwrap());
    }
    drop(call(5_000).await);
    assert!(shedder.expected().unwrap() >= SECOND);
    let before = Instant::now();
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(call(300).await.unwrap().status() == StatusCode::SERVICE_UNAVAILABLE);
    }
    assert!(refused >= 18, "{refused}");
    assert!(before.elapsed() <= SECOND, "{:?}", before.elapsed());
    assert_eq!(call(5_000).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn any_policy_in_shadow_refuses_nothing_and_counts() {
    let (slots, adaptive) = (Bulkhead::new(1).unwrap(), AdaptiveLimit::new().unwrap());
    let shadow: Shadow<_> = (slots, adaptive).shadow();
    let busy = service_fn(|()| async {
        sleep(SECOND).await;
        Ok::<_, BoxError>(())
    });
    let service = guard(shadow.clone()).protocol(Plain::new()).layer(busy);
    let calls = || (0..10).map(|_| tokio::spawn(service.clone().oneshot(())));
    for call in calls().collect::<Vec<_>>() {
        assert!(call.await.unwrap().is_ok());
    }
    assert_eq!(shadow.would_have_refused(Reason::BulkheadFull), 9);
    assert_eq!(shadow.would_have_refused_in_all(), 9);
    shadow.enforce();
    let mut answered = 0;
    for call in calls().collect::<Vec<_>>() {
        answered += u32::from(call.await.unwrap().is_ok());
    }
    assert_eq!(answered, 1);
    assert_eq!(shadow.would_have_refused_in_all(), 9);
}

#[tokio::test(start_paused = true)]
async fn an_adaptive_limit_sees_a_hung_callee_through_a_timeout_inside_of_it() {
    let hung = Arc::new(AtomicU32::new(0));
    let hangs = Arc::clone(&hung);
    let callee = service_fn(move |()| {
        let hangs = hangs.load(Ordering::Relaxed) > 0;
        async move {
            sleep(if hangs { 60 * SECOND } else { 10 * MILLI }).await;
            Ok::<_, BoxError>(())
        }
    });
    let limit = AdaptiveLimit::new().unwrap();
    let timeout = Timeout::new(SECOND).unwrap();
    let service = limit
        .protocol(Plain::new())
        .layer(timeout.protocol(Plain::new()).layer(callee));
    load(&service, 1_500, 5 * SECOND).await;
    let before = limit.limit();
    hung.store(1, Ordering::Relaxed);
    load(&service, 1_500, 20 * SECOND).await;
    assert!(limit.limit() < before, "{before}, then {}", limit.limit());
    assert!(limit.algorithm().baseline().unwrap() < 20 * MILLI);
}
