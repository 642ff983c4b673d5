//! Checks and what the endpoints make of them, on virtual time.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress_health::{Blocking, Check, Endpoint, Fault, Health, HealthBuilder, Status};
use common::{probe, probe_at_once};
use proptest::prelude::*;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

const SECOND: Duration = Duration::from_secs(1);

fn with(check: Check) -> Health {
    Health::builder().check(check).build().unwrap()
}

/// A dependency whose state the test decides.
#[derive(Clone, Default)]
struct Dependency {
    is_down: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
}

impl Dependency {
    fn set_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::Relaxed);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Looks at the state when it is asked, and answers after `delay`.
    fn check(
        &self,
        delay: Duration,
    ) -> impl Fn() -> std::pin::Pin<Box<dyn Future<Output = Result<(), Fault>> + Send>>
    + Send
    + Sync
    + use<> {
        let this = self.clone();
        move || {
            this.asked.fetch_add(1, Ordering::Relaxed);
            let is_down = this.is_down.load(Ordering::Relaxed);
            Box::pin(async move {
                sleep(delay).await;
                if is_down {
                    Err(Fault::new("down"))
                } else {
                    Ok(())
                }
            })
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_soft_check_leaves_the_instance_in_rotation() {
    let database = Dependency::default();
    database.set_down(true);
    let health = with(Check::readiness("database", database.check(Duration::ZERO)));
    health.until(Endpoint::Ready, Status::Warn).await;
    let endpoints = health.endpoints();
    assert_eq!(probe(&endpoints, "/readyz").await, (200, "ok".to_owned()));
    let (status, text) = probe(&endpoints, "/readyz?verbose").await;
    assert_eq!(status, 200);
    assert!(
        text.contains("[+]database degraded: reason withheld\n"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hard_check_takes_the_instance_out() {
    let database = Dependency::default();
    let check = Check::readiness("database", database.check(Duration::ZERO)).hard();
    let health = with(check);
    health.until(Endpoint::Ready, Status::Pass).await;
    database.set_down(true);
    health.until(Endpoint::Ready, Status::Fail).await;
    assert_eq!(probe(&health.endpoints(), "/readyz").await.0, 503);
    assert_eq!(probe(&health.endpoints(), "/livez").await.0, 200);
}

/// The defaults of the table in `Check`'s documentation.
#[tokio::test(start_paused = true)]
async fn what_is_hard_by_default_follows_from_the_kind() {
    struct Remote;
    impl buttress_health::Inspect for Remote {
        const IS_DEPENDENCY: bool = true;

        async fn inspect(&self) -> Result<(), Fault> {
            Err(Fault::new("down"))
        }
    }
    let own = || async { Err::<(), _>("broken") };
    for (check, endpoint, status) in [
        (Check::readiness("a", own), Endpoint::Ready, Status::Warn),
        (Check::readiness("a", Remote), Endpoint::Ready, Status::Warn),
        (
            Check::readiness("a", own).hard(),
            Endpoint::Ready,
            Status::Fail,
        ),
        (Check::liveness("a", own), Endpoint::Live, Status::Fail),
        (
            Check::liveness("a", own).soft(),
            Endpoint::Live,
            Status::Warn,
        ),
        (Check::liveness("a", Remote), Endpoint::Live, Status::Warn),
        (
            Check::liveness("a", Remote).hard(),
            Endpoint::Live,
            Status::Fail,
        ),
        (Check::startup("a", own), Endpoint::Started, Status::Fail),
        (Check::startup("a", Remote), Endpoint::Started, Status::Fail),
        (
            Check::startup("a", own).soft(),
            Endpoint::Started,
            Status::Warn,
        ),
    ] {
        let shown = format!("{check:?}");
        let health = with(check);
        sleep(SECOND).await;
        assert_eq!(health.status(endpoint), status, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_check_that_hangs_or_panics_has_failed_and_is_asked_again() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let health = Health::builder()
        .check(Check::readiness("hangs", pending::<Result<(), Infallible>>).hard())
        .check(Check::readiness("panics", || async { panic!() as Result<(), Infallible> }).hard())
        .check(Check::readiness("panics-early", panics_early).hard())
        .check(Check::liveness("bystander", || async {
            ASKED.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(())
        }))
        .build()
        .unwrap();
    sleep(25 * SECOND).await;
    let (status, text) = probe(&health.endpoints().with_reasons(), "/readyz").await;
    assert_eq!(status, 503);
    for line in [
        "[-]hangs failed: took longer than 1s\n",
        "[-]panics failed: panicked\n",
        "[-]panics-early failed: panicked\n",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(ASKED.load(Ordering::Relaxed), 3);
}

fn panics_early() -> std::future::Ready<Result<(), Infallible>> {
    panic!()
}

/// With no pause between the end of one run and the beginning of the next.
#[tokio::test(start_paused = true)]
async fn a_dependency_that_hung_is_asked_again_at_the_next_interval() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let hangs = move || {
        count.fetch_add(1, Ordering::Relaxed);
        pending::<Result<(), Infallible>>()
    };
    let health = with(
        Check::readiness("hangs", hangs)
            .every(SECOND)
            .timeout(SECOND),
    );
    sleep(9 * SECOND + SECOND / 2).await;
    assert_eq!(asked.load(Ordering::Relaxed), 10);
    drop(health);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_probes_starts_no_checks_and_waits_for_none() {
    let database = Dependency::default();
    let health = Health::builder()
        .check(Check::readiness("database", database.check(SECOND / 2)))
        .check(Check::readiness("hangs", pending::<Result<(), Infallible>>))
        .build()
        .unwrap();
    sleep(15 * SECOND).await;
    let start = Instant::now();
    let mut endpoints = health.endpoints();
    for _ in 0..10_000 {
        assert_eq!(
            probe_at_once(&mut endpoints, "/readyz?verbose&exclude=none"),
            200
        );
    }
    assert_eq!(Instant::now(), start);
    assert_eq!(database.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_startup_check_ends_when_it_has_passed() {
    let migrations = Dependency::default();
    migrations.set_down(true);
    let check = Check::startup("migrations", migrations.check(Duration::ZERO));
    let health = with(check.every(SECOND));
    sleep(3 * SECOND + SECOND / 2).await;
    assert_eq!(migrations.asked(), 4);
    let (status, text) = probe(&health.endpoints().with_reasons(), "/readyz").await;
    assert_eq!(status, 503);
    assert!(
        text.contains("[-]startup failed: has not started yet\n"),
        "{text}"
    );
    migrations.set_down(false);
    health.until(Endpoint::Started, Status::Pass).await;
    migrations.set_down(true);
    sleep(100 * SECOND).await;
    assert_eq!(migrations.asked(), 5);
    assert_eq!(health.status(Endpoint::Started), Status::Pass);
    assert_eq!(health.status(Endpoint::Ready), Status::Pass);
}

#[tokio::test(start_paused = true)]
async fn checks_end_with_the_last_handle() {
    struct OnDrop(Arc<AtomicBool>);
    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let database = Dependency::default();
    let dropped = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&dropped);
    let health = Health::builder()
        .check(Check::readiness("database", database.check(Duration::ZERO)).every(SECOND))
        .check(Check::readiness("hangs", move || {
            let guard = OnDrop(Arc::clone(&seen));
            async move {
                pending::<()>().await;
                drop(guard);
                Ok::<_, Infallible>(())
            }
        }))
        .build()
        .unwrap();
    let (clone, endpoints) = (health.clone(), health.endpoints());
    drop(health);
    // In the middle of the one that hangs.
    sleep(SECOND / 2).await;
    assert_eq!(database.asked(), 1);
    assert!(!dropped.load(Ordering::Relaxed));
    drop(clone);
    sleep(100 * SECOND).await;
    assert!(dropped.load(Ordering::Relaxed));
    assert_eq!(database.asked(), 1);
    assert_eq!(probe(&endpoints, "/livez").await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn thresholds_take_so_many_answers_in_a_row() {
    let database = Dependency::default();
    let check = Check::readiness("database", database.check(Duration::ZERO)).hard();
    let health = with(check.every(SECOND).bad_after(3).good_after(2));
    // Two passes, at 0 s and at 1 s.
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
    sleep(SECOND / 2).await;
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
    sleep(SECOND).await;
    assert_eq!(health.status(Endpoint::Ready), Status::Pass);
    database.set_down(true);
    sleep(2 * SECOND).await;
    assert_eq!(health.status(Endpoint::Ready), Status::Pass);
    sleep(SECOND).await;
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However long the interval, the timeout and the answer take, and whenever it happens; whether
    /// the dependency fails, hangs, or comes back from either.
    #[test]
    fn a_transition_is_seen_within_an_interval_and_a_timeout(
        every in 2_u64..20_000,
        timeout in 1_u64..20_000,
        delay in 0_u64..25_000,
        at in 0_u64..60_000,
        hangs in any::<bool>(),
        recovers in any::<bool>(),
    ) {
        let timeout = timeout.min(every);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let millis = Duration::from_millis;
            let (every, timeout) = (millis(every), millis(timeout));
            // What is slower than the timeout is bad from the beginning.
            let delay = millis(delay).min(timeout.saturating_sub(millis(1)));
            let is_down = Arc::new(AtomicBool::new(recovers));
            let state = Arc::clone(&is_down);
            let ask = move || {
                let is_down = state.load(Ordering::Relaxed);
                async move {
                    sleep(delay).await;
                    if is_down && hangs {
                        pending::<()>().await;
                    }
                    if is_down { Err("down") } else { Ok(()) }
                }
            };
            let check = Check::readiness("database", ask).hard();
            let health = with(check.every(every).timeout(timeout));
            let start = Instant::now();
            sleep(millis(at)).await;
            is_down.store(!recovers, Ordering::Relaxed);
            // tokio's timers have a granularity of a millisecond.
            sleep_until(start + millis(at) + every + timeout + millis(1)).await;
            let expected = if recovers { 200 } else { 503 };
            assert_eq!(probe_at_once(&mut health.endpoints(), "/readyz"), expected);
        });
    }
}

/// On real threads, since it blocks one: the check is failed, its thread is not taken again and
/// again, and another check goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_check_that_blocks_its_thread_has_failed_and_takes_no_other() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(parking_lot::Mutex::new(blocked));
    let count = Arc::clone(&asked);
    let blocks = move || {
        count.fetch_add(1, Ordering::Relaxed);
        let _ = blocked.lock().recv();
        async { Ok::<_, Infallible>(()) }
    };
    let short = Duration::from_millis(20);
    let bystander = Dependency::default();
    let health = Health::builder()
        .check(Check::readiness("blocks", blocks).every(short).hard())
        .check(Check::liveness("bystander", bystander.check(Duration::ZERO)).every(short))
        .build()
        .unwrap();
    let endpoints = health.endpoints().with_reasons();
    while !probe(&endpoints, "/readyz")
        .await
        .1
        .contains("[-]blocks failed: still hangs\n")
    {
        tokio::task::yield_now().await;
    }
    while bystander.asked() < 10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    drop(release);
    health.until(Endpoint::Ready, Status::Pass).await;
}

#[tokio::test]
async fn blocking_code_that_hangs_holds_one_thread() {
    let asked = Arc::new(AtomicUsize::new(0));
    let (release, blocked) = mpsc::channel::<()>();
    let blocked = Arc::new(parking_lot::Mutex::new(blocked));
    let count = Arc::clone(&asked);
    let spool = Blocking::new(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let _ = blocked.lock().recv();
        Ok::<_, Infallible>(())
    });
    let short = Duration::from_millis(5);
    let bystander = Dependency::default();
    let health = Health::builder()
        .check(Check::readiness("spool", spool).every(short).hard())
        .check(Check::liveness("bystander", bystander.check(Duration::ZERO)).every(short))
        .build()
        .unwrap();
    while bystander.asked() < 20 {
        tokio::task::yield_now().await;
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
    drop(release);
    health.until(Endpoint::Ready, Status::Pass).await;
    assert!(asked.load(Ordering::Relaxed) > 1);
}

fn good() -> std::future::Ready<Result<(), Infallible>> {
    std::future::ready(Ok(()))
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let check = |name: &str| Check::readiness(name, good);
    let one = |check| Health::builder().check(check);
    let long = "x".repeat(65);
    let refused: Vec<(&str, HealthBuilder)> = vec![
        (
            "name",
            one(check("twice")).check(Check::liveness("twice", good)),
        ),
        ("name", one(check(""))),
        ("name", one(check("two words"))),
        ("name", one(check("line\nbreak"))),
        ("name", one(check(&long))),
        ("name", one(check("ping"))),
        ("name", one(check("shutdown"))),
        ("every", one(check("a").every(Duration::ZERO))),
        ("every", one(check("a").every(Duration::MAX))),
        ("timeout", one(check("a").timeout(Duration::ZERO))),
        (
            "timeout",
            one(check("a")
                .every(SECOND)
                .timeout(SECOND + Duration::from_nanos(1))),
        ),
        ("bad_after", one(check("a").bad_after(0))),
        ("good_after", one(check("a").good_after(1_001))),
    ];
    for (field, builder) in refused {
        let shown = format!("{builder:?}");
        assert_eq!(builder.build().unwrap_err().field(), field, "{shown}");
    }
    let error = one(check("a").every(SECOND).timeout(2 * SECOND))
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`timeout` is 2s, but must be more than 0 s and at most the interval, 1s"
    );
    let error = one(check("twice"))
        .check(check("twice"))
        .build()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`name` is \"twice\", but must be a name that no other check has"
    );
    let error = one(check("a").every(Duration::ZERO)).build().unwrap_err();
    assert_eq!(
        error.to_string(),
        "`every` is 0ns, but must be more than 0 s and at most 365 days"
    );
    // A default is never nonsense.
    one(check("a").every(Duration::from_millis(1)))
        .build()
        .unwrap();
}

#[test]
fn outside_a_runtime_checks_are_refused() {
    let error = Health::builder()
        .check(Check::readiness("a", good))
        .build()
        .unwrap_err();
    assert_eq!(error.field(), "build");
    assert_eq!(
        Health::builder().build().unwrap().status(Endpoint::Ready),
        Status::Pass
    );
}
