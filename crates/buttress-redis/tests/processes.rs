//! One limit over four real processes, for ten seconds of real time each way. The processes are
//! this test's own binary.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::RateLimit;
use buttress_redis::{BuildOn, Fleet};
use common::{Server, call};
use futures_util::future::join_all;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep_until, timeout};

const PROCESSES: u32 = 4;
const PER_SECOND: u32 = 1_000;
const BURST: u32 = 100;
const SECONDS: u32 = 10;
const PERIOD: Duration = Duration::from_millis(100);

/// It is what a child process runs; without being told where, it does nothing.
#[tokio::test]
async fn child() {
    let (Ok(url), Ok(way)) = (std::env::var("FLEET_URL"), std::env::var("FLEET_WAY")) else {
        return;
    };
    let builder = Fleet::redis(url).deadline(Duration::from_millis(500));
    let fleet = builder.connect().await.unwrap();
    let share = match way.as_str() {
        "leased" => fleet.leased(),
        "synchronised" => fleet.synchronised(PERIOD),
        _ => fleet.exact(),
    };
    let limit = RateLimit::per_second(PER_SECOND)
        .burst(BURST)
        .build_on(share)
        .unwrap();
    while fleet.instances() < PROCESSES {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    println!("ready");
    let mut go = String::new();
    BufReader::new(tokio::io::stdin())
        .read_line(&mut go)
        .await
        .unwrap();
    // Twice the limit over all processes, in steps of ten milliseconds.
    let each = 2 * PER_SECOND / PROCESSES / 100;
    let (start, mut admitted) = (Instant::now(), 0);
    for step in 1..=SECONDS * 100 {
        let answers = join_all((0..each).map(|_| call(&limit))).await;
        admitted += answers.iter().filter(|answer| answer.is_ok()).count();
        sleep_until(start + Duration::from_millis(10) * step).await;
    }
    let took = start.elapsed().as_secs_f64();
    println!("admitted {admitted} {took} {}", fleet.is_degraded());
}

async fn line(child: &mut BufReader<tokio::process::ChildStdout>, start: &str) -> String {
    loop {
        let mut line = String::new();
        let read = timeout(Duration::from_secs(60), child.read_line(&mut line)).await;
        assert!(read.unwrap().unwrap() > 0, "the process ended");
        // The test harness writes, too, and not always a line of its own.
        if let Some(at) = line.find(start) {
            return line[at + start.len()..].trim().to_owned();
        }
    }
}

fn spawn(url: &str, way: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .envs([("FLEET_URL", url), ("FLEET_WAY", way)])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// What four processes admit, and in how many seconds.
async fn admitted(way: &str) -> Option<(f64, f64)> {
    let server = Server::start().await?;
    let mut children: Vec<_> = (0..PROCESSES).map(|_| spawn(&server.url(), way)).collect();
    let mut lines: Vec<_> = children
        .iter_mut()
        .map(|child| BufReader::new(child.stdout.take().unwrap()))
        .collect();
    for child in &mut lines {
        line(child, "ready").await;
    }
    for child in &mut children {
        child
            .stdin
            .take()
            .unwrap()
            .write_all(b"go\n")
            .await
            .unwrap();
    }
    let (mut sum, mut longest) = (0.0, 0.0_f64);
    for child in &mut lines {
        let answer = line(child, "admitted ").await;
        let mut words = answer.split(' ');
        let mut number = || words.next().unwrap().parse::<f64>().unwrap();
        sum += number();
        longest = longest.max(number());
        assert_eq!(words.next(), Some("false"), "it lost its server meanwhile");
    }
    Some((sum, longest))
}

/// Twice the limit for ten seconds admits no more than `free + rate × t`, and, if the machine kept
/// up at all, not much less than the limit.
async fn bounded(way: &str, free: f64) {
    let Some((sum, seconds)) = admitted(way).await else {
        return;
    };
    let rate = f64::from(PER_SECOND);
    // They don't start and end in the same instant.
    let most = f64::from(BURST) + rate * (seconds + 0.1) + free;
    println!("{way}: {sum} in {seconds} s, at most {most}");
    assert!(sum <= most, "{way}: {sum} in {seconds} s, but {most}");
    assert!(sum >= 0.8 * rate * f64::from(SECONDS), "{way}: {sum}");
}

#[tokio::test]
async fn exact_admits_what_one_process_would() {
    bounded("exact", 0.0).await;
}

#[tokio::test]
async fn leased_is_at_most_two_percent_over() {
    bounded(
        "leased",
        0.02 * f64::from(PER_SECOND) + f64::from(PROCESSES),
    )
    .await;
}

#[tokio::test]
async fn synchronised_keeps_to_its_formula() {
    let unseen = f64::from(BURST) + f64::from(PER_SECOND) * (PERIOD.as_secs_f64() + 0.5);
    bounded("synchronised", f64::from(PROCESSES - 1) * unseen).await;
}
