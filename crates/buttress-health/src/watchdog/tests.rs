//! With a real thread and real runtimes: they wait for conditions.

use super::*;
use crate::model::{Endpoint, Status};
use std::sync::mpsc;
use std::thread;

/// A runtime of its own that can be blocked, and a watchdog of it.
struct Patient {
    watchdog: Watchdog,
    thread: thread::JoinHandle<()>,
    /// Each message blocks the runtime until the receiver in it is answered or dropped.
    block: tokio::sync::mpsc::UnboundedSender<mpsc::Receiver<()>>,
}

fn patient(build: impl FnOnce() -> Watchdog + Send + 'static) -> Patient {
    let (block, mut blocks) = tokio::sync::mpsc::unbounded_channel::<mpsc::Receiver<()>>();
    let (send, watchdog) = mpsc::channel();
    let thread = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async move {
            send.send(build()).unwrap();
            while let Some(until) = blocks.recv().await {
                // Not an await: the whole runtime stands still.
                let _ = until.recv();
            }
        });
    });
    let watchdog = watchdog.recv().unwrap();
    Patient {
        watchdog,
        thread,
        block,
    }
}

fn quick(health: &Health) -> WatchdogBuilder {
    Watchdog::builder(health)
        .stuck_after(Duration::from_millis(200))
        .not_alive_after(Duration::ZERO)
        .refuse_after(Duration::ZERO)
}

#[tokio::test]
async fn a_blocked_runtime_is_noticed_and_so_is_its_recovery() {
    let health = Health::builder().build().unwrap();
    let watched = health.clone();
    let patient = patient(move || quick(&watched).build().unwrap());
    let (unblock, blocked) = mpsc::channel();
    patient.block.send(blocked).unwrap();
    health.until(Endpoint::Live, Status::Fail).await;
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
    assert!(health.shared().refusal().is_some());
    drop(unblock);
    health.until(Endpoint::Live, Status::Pass).await;
    assert!(health.shared().refusal().is_none());
}

/// Each of its tasks takes much longer than a well-behaved one, and there are many. The load lasts
/// for many times the limit, by the watchdog's own count.
#[tokio::test]
async fn a_runtime_under_heavy_but_moving_load_is_not_taken_for_stuck() {
    let health = Health::builder().build().unwrap();
    let watchdog = Watchdog::builder(&health)
        .stuck_after(Duration::from_secs(2))
        .build()
        .unwrap();
    let news = health.shared().news();
    for _ in 0..20 {
        let stop = Arc::clone(&watchdog.stop);
        tokio::spawn(async move {
            while stop.looks() < 24 {
                let mut number = 1_u64;
                for step in 0..50_000_u64 {
                    number = std::hint::black_box(number.wrapping_mul(step | 1));
                }
                tokio::task::yield_now().await;
            }
        });
    }
    while watchdog.stop.looks() < 24 {
        tokio::task::yield_now().await;
        assert_eq!(health.status(Endpoint::Live), Status::Pass);
    }
    // Not even in between.
    assert!(!news.has_changed().unwrap());
}

#[tokio::test]
async fn a_heartbeat_that_stops_is_noticed_unless_it_is_retired() {
    let health = Health::builder().build().unwrap();
    let watchdog = quick(&health)
        .stuck_after(Duration::from_secs(60))
        .build()
        .unwrap();
    let silence = Duration::from_millis(50);
    let retired = watchdog.heartbeat("retired", silence).unwrap();
    retired.retire();
    let looks = watchdog.stop.looks();
    let consumer = watchdog.heartbeat("consumer", silence).unwrap();
    health.until(Endpoint::Live, Status::Fail).await;
    assert!(watchdog.stop.looks() > looks);
    let page = health.endpoints().with_reasons();
    let shown = shown(page).await;
    assert!(
        shown.contains("[-]watchdog failed: the heartbeat `consumer` stopped\n"),
        "{shown}"
    );

    // While it is held, nobody takes its place unnoticed: one of the two would be watched no more.
    let error = watchdog.heartbeat("consumer", silence).unwrap_err();
    assert_eq!((error.field(), error.value()), ("name", "\"consumer\""));

    // A task that panics drops it, which is no excuse.
    drop(consumer);
    assert_eq!(health.status(Endpoint::Live), Status::Fail);
    // Started anew, it takes its old place.
    let consumer = watchdog
        .heartbeat("consumer", Duration::from_secs(60))
        .unwrap();
    health.until(Endpoint::Live, Status::Pass).await;
    consumer.beat();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn memory_above_its_limit_is_noticed() {
    let health = Health::builder().build().unwrap();
    let limit = memory::resident().unwrap() / 2;
    let share = 1e-9;
    for (builder, expected) in [
        (
            quick(&health).memory_limit(limit),
            format!("the process has more than {limit} bytes of memory\n"),
        ),
        (
            quick(&health).memory_share(share),
            format!("more than {share} of the memory that may be used is used\n"),
        ),
    ] {
        let watchdog = builder.build().unwrap();
        health.until(Endpoint::Live, Status::Fail).await;
        let shown = shown(health.endpoints().with_reasons()).await;
        assert!(shown.contains(&expected), "{shown}");
        drop(watchdog);
        health.until(Endpoint::Live, Status::Pass).await;
    }
    // Far from the limit, all is well.
    let watchdog = quick(&health).memory_limit(u64::MAX).build().unwrap();
    while watchdog.stop.looks() < 30 {
        tokio::task::yield_now().await;
    }
    assert_eq!(health.status(Endpoint::Live), Status::Pass);
}

#[tokio::test]
async fn a_runtime_that_was_shut_down_is_nothing_to_complain_of() {
    let health = Health::builder().build().unwrap();
    let watched = health.clone();
    let patient = patient(move || quick(&watched).build().unwrap());
    drop(patient.block);
    patient.thread.join().unwrap();
    let watchdog = patient.watchdog;
    // It may have been waited for while it went down.
    health.until(Endpoint::Live, Status::Pass).await;
    let looks = watchdog.stop.looks() + 2;
    while watchdog.stop.looks() < looks + 40 {
        tokio::task::yield_now().await;
    }
    assert_eq!(health.status(Endpoint::Live), Status::Pass);
}

#[tokio::test]
async fn a_watchdog_that_is_dropped_takes_its_line_with_it() {
    let health = Health::builder().build().unwrap();
    let watchdog = quick(&health).build().unwrap();
    assert!(shown(health.endpoints()).await.contains("[+]watchdog ok\n"));
    let error = quick(&health).build().unwrap_err();
    assert_eq!(error.field(), "build");
    drop(watchdog);
    let mut news = health.shared().news();
    while shown(health.endpoints()).await.contains("watchdog") {
        tokio::task::yield_now().await;
        news.mark_unchanged();
    }
    quick(&health).build().unwrap();
}

async fn shown(mut endpoints: crate::Endpoints) -> String {
    use http_body_util::BodyExt;
    use tower_service::Service;
    let request = http::Request::get("/livez?verbose").body(()).unwrap();
    let response = endpoints.call(request).await.unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(body.to_vec()).unwrap()
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let health = Health::builder().build().unwrap();
    let builder = || Watchdog::builder(&health);
    let second = Duration::from_secs(1);
    for (field, refused) in [
        ("stuck_after", builder().stuck_after(Duration::ZERO)),
        (
            "stuck_after",
            builder().stuck_after(Duration::from_millis(9)),
        ),
        ("stuck_after", builder().stuck_after(Duration::MAX)),
        ("not_alive_after", builder().not_alive_after(Duration::MAX)),
        ("refuse_after", builder().refuse_after(second)),
        ("end_process_after", builder().end_process_after(second)),
        ("exit_code", builder().exit_code(0)),
        ("exit_code", builder().exit_code(256)),
        ("memory_limit", builder().memory_limit(0)),
        ("memory_share", builder().memory_share(0.0)),
        ("memory_share", builder().memory_share(1.1)),
        ("memory_share", builder().memory_share(f64::NAN)),
    ] {
        assert_eq!(refused.build().unwrap_err().field(), field);
    }
    let watchdog = builder().build().unwrap();
    assert_eq!(watchdog.heartbeat("", second).unwrap_err().field(), "name");
    for silence in [Duration::ZERO, Duration::from_millis(9), Duration::MAX] {
        let error = watchdog.heartbeat("a", silence).unwrap_err();
        assert_eq!(error.field(), "longest_silence");
        assert_eq!(error.value(), format!("{silence:?}"));
        assert_eq!(error.allowed(), "from 10 ms to 365 days");
    }
}
