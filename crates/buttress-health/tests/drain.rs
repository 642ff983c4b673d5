//! The order of a drain, on virtual time; signals, with processes.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{Reason, Rejection};
use buttress_health::{Drain, Endpoint, Health, Phase, Status};
use bytes::Bytes;
use http::{Request, Response, StatusCode, Version};
use http_body_util::Empty;
use std::convert::Infallible;
use std::future::pending;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};
use tower::{Layer, ServiceExt, service_fn};

const SECOND: Duration = Duration::from_secs(1);

fn drain() -> (Health, Drain) {
    let health = Health::builder().build().unwrap();
    let drain = Drain::builder(&health).build().unwrap();
    (health, drain)
}

#[tokio::test(start_paused = true)]
async fn readiness_turns_bad_before_listeners_close() {
    let (health, drain) = drain();
    let start = Instant::now();
    assert_eq!(drain.phase(), Phase::Running);
    drain.begin();
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
    assert_eq!(health.status(Endpoint::Live), Status::Pass);
    drain.closing().await;
    assert_eq!(start.elapsed().as_secs(), 5);
    assert_eq!(drain.phase(), Phase::Closing);
    // Again does not mean anew.
    drain.begin();
    drain.closing().await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn nothing_closes_before_it_begins() {
    let (_health, drain) = drain();
    tokio::select! {
        () = drain.closing() => panic!("it has not begun"),
        () = drain.finishing() => panic!("it has not begun"),
        _ = drain.run(pending::<()>()) => panic!("it has not begun"),
        () = sleep(1_000 * SECOND) => {}
    }
}

/// A server that holds nothing but the future must still learn of the end.
#[tokio::test(start_paused = true)]
async fn listeners_close_even_if_the_handle_is_dropped() {
    let (health, drain) = drain();
    let closing = drain.closing();
    drain.begin();
    drop((drain, health));
    timeout(100 * SECOND, closing).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_in_time_is_a_clean_end() {
    let (_health, drain) = drain();
    let closing = drain.closing();
    let start = Instant::now();
    drain.begin();
    let server = async move {
        closing.await;
        sleep(29 * SECOND).await;
        "served"
    };
    let report = drain.run(server).await;
    assert_eq!(report.output, Some("served"));
    assert!(report.is_clean());
    assert_eq!(start.elapsed().as_secs(), 34);
    assert_eq!(drain.phase(), Phase::Over);
}

async fn slow(_: Request<()>) -> Result<Response<Empty<Bytes>>, Infallible> {
    pending::<()>().await;
    Ok(Response::new(Empty::new()))
}

#[tokio::test(start_paused = true)]
async fn what_takes_longer_than_the_grace_is_cut_off_and_counted() {
    let (_health, drain) = drain();
    let service = drain.layer(service_fn(slow));
    for _ in 0..3 {
        let service = service.clone();
        tokio::spawn(async move { service.oneshot(Request::new(())).await });
    }
    drain.spawn("flusher", pending()).unwrap();
    let quick = drain.finishing();
    drain.spawn("quick", quick).unwrap();
    let start = Instant::now();
    drain.begin();
    let report = drain.run(pending::<()>()).await;
    assert_eq!((report.output, report.calls), (None, 3));
    assert_eq!(report.background, ["flusher"]);
    // Notice, grace, and the grace of background work.
    assert_eq!(start.elapsed().as_secs(), 5 + 30 + 10);
}

/// Such as one whose listener broke, and whose connections are tasks of their own.
#[tokio::test(start_paused = true)]
async fn calls_that_a_server_leaves_behind_have_what_is_left_of_the_grace() {
    for (takes, cut_off, ends_after) in [(12, 0, 17), (600, 2, 5 + 30)] {
        let (_health, drain) = drain();
        let late = move |_: Request<()>| async move {
            sleep(takes * SECOND).await;
            Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
        };
        let service = drain.layer(service_fn(late));
        let closing = drain.closing();
        let start = Instant::now();
        drain.begin();
        let server = async {
            closing.await;
            for _ in 0..2 {
                tokio::spawn(service.clone().oneshot(Request::new(())));
            }
            tokio::task::yield_now().await;
            assert_eq!(drain.in_flight(), 2);
            "gone"
        };
        let report = drain.run(server).await;
        assert_eq!(report.output, Some("gone"));
        assert_eq!(report.calls, cut_off);
        assert_eq!(report.is_clean(), cut_off == 0);
        assert_eq!(start.elapsed().as_secs(), ends_after);
    }
}

/// Nobody asked for it, so there was no notice; the calls are finished all the same.
#[tokio::test(start_paused = true)]
async fn a_server_that_breaks_with_calls_in_flight_lets_them_end() {
    let (health, drain) = drain();
    let service = drain.layer(service_fn(slow));
    tokio::spawn(service.oneshot(Request::new(())));
    tokio::task::yield_now().await;
    let start = Instant::now();
    let report = drain.run(async { "the listener broke" }).await;
    assert_eq!(
        (report.output, report.calls),
        (Some("the listener broke"), 1)
    );
    assert!(!report.is_clean());
    assert_eq!(start.elapsed().as_secs(), 30);
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
}

#[tokio::test(start_paused = true)]
async fn background_work_ends_after_the_last_call() {
    let (_health, drain) = drain();
    let (send, mut queue) = tokio::sync::mpsc::unbounded_channel();
    let finishing = drain.finishing();
    let (done, flushed) = tokio::sync::oneshot::channel();
    let flusher = async move {
        finishing.await;
        let mut taken = Vec::new();
        while let Ok(item) = queue.try_recv() {
            taken.push(item);
            sleep(SECOND).await;
        }
        let _ = done.send(taken);
    };
    drain.spawn("flusher", flusher).unwrap();
    let closing = drain.closing();
    drain.begin();
    let report = drain
        .run(async move {
            closing.await;
            // The last call leaves something to do.
            sleep(20 * SECOND).await;
            for item in 0..5 {
                send.send(item).unwrap();
            }
        })
        .await;
    assert!(report.is_clean());
    assert_eq!(flushed.await.unwrap(), [0, 1, 2, 3, 4]);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_ends_by_itself_takes_the_rest_down() {
    let (health, drain) = drain();
    drain.spawn("flusher", drain.finishing()).unwrap();
    let report = drain
        .run(async { Err::<(), _>("the listener broke") })
        .await;
    assert_eq!(report.output, Some(Err("the listener broke")));
    assert!(report.background.is_empty());
    assert_eq!(health.status(Endpoint::Ready), Status::Fail);
}

fn quick(_: Request<()>) -> std::future::Ready<Result<Response<Empty<Bytes>>, Infallible>> {
    std::future::ready(Ok(Response::new(Empty::new())))
}

fn of_version(version: Version) -> Request<()> {
    let mut request = Request::new(());
    *request.version_mut() = version;
    request
}

#[tokio::test(start_paused = true)]
async fn http_1_connections_are_closed_while_it_drains() {
    let (_health, drain) = drain();
    let service = drain.layer(service_fn(quick));
    let connection = async |version| {
        let response = service.clone().oneshot(of_version(version)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.headers().get("connection").cloned()
    };
    assert_eq!(connection(Version::HTTP_11).await, None);
    drain.begin();
    assert_eq!(connection(Version::HTTP_10).await.unwrap(), "close");
    assert_eq!(connection(Version::HTTP_2).await, None);
    drain.closing().await;
    // Those that are still on their way are served.
    assert_eq!(connection(Version::HTTP_11).await.unwrap(), "close");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_in_flight_when_it_began_is_told_to_close_too() {
    let (_health, drain) = drain();
    let answered_late = |_: Request<()>| async {
        sleep(SECOND).await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    };
    let service = drain.layer(service_fn(answered_late));
    let call = tokio::spawn(service.oneshot(of_version(Version::HTTP_11)));
    sleep(SECOND / 2).await;
    assert_eq!(drain.in_flight(), 1);
    drain.begin();
    let response = call.await.unwrap().unwrap();
    assert_eq!(response.headers()["connection"], "close");
    drop(response);
    assert_eq!(drain.in_flight(), 0);
}

#[tokio::test(start_paused = true)]
async fn when_all_is_over_calls_are_refused() {
    let (_health, drain) = drain();
    let service = drain.layer(service_fn(quick));
    drain.run(async {}).await;
    let response = service.oneshot(of_version(Version::HTTP_2)).await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!(rejection.reason(), Reason::Draining);
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let health = Health::builder().build().unwrap();
    let builder = || Drain::builder(&health);
    for (field, builder) in [
        ("notice", builder().notice(Duration::MAX)),
        ("grace", builder().grace(Duration::ZERO)),
        ("grace", builder().grace(Duration::MAX)),
        (
            "background_grace",
            builder().background_grace(Duration::ZERO),
        ),
    ] {
        assert_eq!(builder.build().unwrap_err().field(), field);
    }
    builder().notice(Duration::ZERO).build().unwrap();
}

#[test]
fn outside_a_runtime_it_is_refused() {
    let health = Health::builder().build().unwrap();
    assert_eq!(
        Drain::builder(&health).build().unwrap_err().field(),
        "build"
    );
}

#[cfg(unix)]
mod signals {
    use super::*;
    use crate::common::{PATIENCE, is_a_process_of_its_own, this_test};
    use std::process::{ExitStatus, Stdio};
    use tokio::io::{AsyncBufReadExt, BufReader, Lines};
    use tokio::process::{Child, ChildStdout};

    struct Process {
        child: Child,
        lines: Lines<BufReader<ChildStdout>>,
    }

    impl Process {
        async fn start(test: &str) -> Self {
            let mut child = this_test(test).stdout(Stdio::piped()).spawn().unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines();
            let mut process = Self { child, lines };
            process.says("listening").await;
            process
        }

        async fn says(&mut self, what: &str) {
            loop {
                let line = timeout(PATIENCE, self.lines.next_line())
                    .await
                    .unwrap()
                    .unwrap();
                if line.unwrap().contains(what) {
                    return;
                }
            }
        }

        async fn signal(&self, signal: &str) {
            let id = self.child.id().unwrap().to_string();
            let kill = tokio::process::Command::new("kill")
                .args([signal, &id])
                .status()
                .await;
            assert!(kill.unwrap().success());
        }

        async fn end(mut self) -> ExitStatus {
            timeout(PATIENCE, self.child.wait()).await.unwrap().unwrap()
        }
    }

    #[tokio::test]
    async fn a_signal_begins_it_and_the_process_ends_well() {
        for signal in ["-TERM", "-INT"] {
            let mut process = Process::start("signals::a_process_that_drains_at_once").await;
            process.signal(signal).await;
            process.says("drained").await;
            assert!(process.end().await.success(), "{signal}");
        }
    }

    #[tokio::test]
    async fn a_second_signal_ends_the_process_at_once() {
        for (first, second) in [("-TERM", "-TERM"), ("-INT", "-TERM")] {
            let mut process = Process::start("signals::a_process_that_never_drains").await;
            process.signal(first).await;
            process.says("draining").await;
            process.signal(second).await;
            let code = process.end().await.code();
            assert_eq!(code, Some(buttress_health::exit_code::HURRIED));
        }
    }

    /// Even if nothing of it runs any more.
    #[tokio::test]
    async fn two_signals_end_a_process_that_is_stuck() {
        let process = Process::start("signals::a_process_that_is_stuck").await;
        process.signal("-TERM").await;
        // Two that are pending at once count as one.
        let mut process = process;
        while process.child.try_wait().unwrap().is_none() {
            process.signal("-TERM").await;
        }
        let code = process.end().await.code();
        assert_eq!(code, Some(buttress_health::exit_code::HURRIED));
    }

    #[tokio::test]
    #[ignore = "run by another test, as a process of its own"]
    async fn a_process_that_drains_at_once() {
        if !is_a_process_of_its_own() {
            return;
        }
        let health = Health::builder().build().unwrap();
        let drain = Drain::builder(&health)
            .notice(Duration::ZERO)
            .build()
            .unwrap();
        drain.at_signals().unwrap();
        println!("listening");
        assert!(drain.run(drain.closing()).await.is_clean());
        println!("drained");
    }

    #[tokio::test]
    #[ignore = "run by another test, as a process of its own"]
    async fn a_process_that_never_drains() {
        if !is_a_process_of_its_own() {
            return;
        }
        let health = Health::builder().build().unwrap();
        let drain = Drain::builder(&health).build().unwrap();
        drain.at_signals().unwrap();
        println!("listening");
        health.until(Endpoint::Ready, Status::Fail).await;
        println!("draining");
        pending::<()>().await;
    }

    #[tokio::test]
    #[ignore = "run by another test, as a process of its own"]
    async fn a_process_that_is_stuck() {
        if !is_a_process_of_its_own() {
            return;
        }
        let health = Health::builder().build().unwrap();
        let drain = Drain::builder(&health).build().unwrap();
        drain.at_signals().unwrap();
        println!("listening");
        let (_send, never) = std::sync::mpsc::channel::<()>();
        let _ = never.recv();
    }
}

/// Work that was accepted to be run later is background work: it ends before the process does.
#[tokio::test(start_paused = true)]
async fn jobs_that_run_later_are_done_before_the_end() {
    let (_health, drain) = drain();
    let later = buttress::RunLater::builder("/jobs/").at_once(1);
    let later = later.build().unwrap();
    let jobs = later.clone();
    let finishing = drain.finishing();
    drain
        .spawn("jobs", async move {
            finishing.await;
            jobs.drain().await;
        })
        .unwrap();
    let work = service_fn(|_: Request<axum::body::Body>| async {
        sleep(3 * SECOND).await;
        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
    });
    let service = later.layer(work);
    let ask = || {
        let request = Request::new(axum::body::Body::empty());
        service.clone().oneshot(request)
    };
    // Calls that come during the drain may give it something to do, too.
    drain.begin();
    for _ in 0..3 {
        assert_eq!(ask().await.unwrap().status(), StatusCode::ACCEPTED);
    }
    let start = Instant::now();
    let report = drain.run(std::future::ready(())).await;
    assert!(report.is_clean());
    assert_eq!((start.elapsed().as_secs(), later.results()), (9, 3));
    assert_eq!(
        ask().await.unwrap().status(),
        StatusCode::SERVICE_UNAVAILABLE
    );

    // What takes longer than the time for background work is named.
    let (_health, drain) = self::drain();
    let later = buttress::RunLater::builder("/jobs/").build().unwrap();
    let jobs = later.clone();
    drain
        .spawn("jobs", async move { jobs.drain().await })
        .unwrap();
    let endless = service_fn(|_: Request<axum::body::Body>| {
        pending::<Result<Response<Empty<Bytes>>, Infallible>>()
    });
    let request = Request::new(axum::body::Body::empty());
    let answer = later.layer(endless).oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::ACCEPTED);
    let report = drain.run(std::future::ready(())).await;
    assert_eq!(report.background, ["jobs"]);
}
