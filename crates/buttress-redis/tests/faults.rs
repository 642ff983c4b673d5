//! What a real server can do to a limit: die, come back empty, stop for a while, forget scripts,
//! cut an answer in two, set its clock.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::RateLimit;
use buttress_redis::{BuildOn, ConnectError, Fleet, FleetLimit, Share};
use common::proxy::Proxy;
use common::{Server, call, until};
use std::time::Duration;
use tokio::time::{sleep, timeout};

const WAYS: [fn(&Fleet) -> Share; 3] = [Fleet::exact, Fleet::leased, |fleet| {
    fleet.synchronised(Duration::from_millis(20))
}];

/// A machine that runs tests may be slow by itself.
const DEADLINE: Duration = Duration::from_secs(1);

async fn fleet(url: String) -> Fleet {
    let builder = Fleet::redis(url).namespace("test").deadline(DEADLINE);
    builder.connect().await.unwrap()
}

fn ten_an_hour(share: impl Into<Share>) -> FleetLimit {
    RateLimit::per_hour(10).build_on(share).unwrap()
}

async fn admitted(limit: &FleetLimit, calls: u32) -> u32 {
    let mut admitted = 0;
    for _ in 0..calls {
        admitted += u32::from(call(limit).await.is_ok());
        // So that what goes on in the background does.
        sleep(Duration::from_millis(2)).await;
    }
    admitted
}

#[tokio::test]
async fn a_server_is_killed_and_comes_back_empty() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    for way in WAYS {
        let fleet = fleet(server.url()).await;
        let limit = ten_an_hour(way(&fleet));
        assert_eq!(admitted(&limit, 100).await, 10);
        server.kill();
        // A share of one instance is all of it.
        until("the loss is noticed", || fleet.is_degraded()).await;
        assert_eq!(admitted(&limit, 100).await, 10);
        server.start_again().await;
        until("the return is noticed", || !fleet.is_degraded()).await;
        // It has forgotten what was counted, and holds the limit again.
        let after = admitted(&limit, 100).await;
        assert!(after <= 10, "{after}");
        assert!(call(&limit).await.is_err());
        server.command(&["FLUSHALL"]).await;
    }
}

#[tokio::test]
async fn a_server_that_stops_for_a_while_stalls_nobody() {
    let Some(server) = Server::start().await else {
        return;
    };
    let mut ways = Vec::new();
    for way in WAYS {
        let fleet = fleet(server.url()).await;
        let limit = RateLimit::per_second(1_000_000).build_on(way(&fleet));
        let limit = limit.unwrap();
        call(&limit).await.unwrap();
        ways.push((fleet, limit));
    }
    let port = server.port.to_string();
    // The sleep is far longer than what happens meanwhile, which takes one deadline.
    let mut sleeping = std::process::Command::new("redis-cli")
        .args(["-p", &port, "DEBUG", "SLEEP", "8"])
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    for (fleet, limit) in &ways {
        until("it is asleep", || fleet.is_degraded()).await;
        // All of these pass while it sleeps.
        for _ in 0..1_000 {
            call(limit).await.unwrap();
        }
    }
    assert!(sleeping.try_wait().unwrap().is_none());
    until("it is awake", || sleeping.try_wait().unwrap().is_some()).await;
    for (fleet, limit) in &ways {
        until("its return is noticed", || !fleet.is_degraded()).await;
        call(limit).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_is_cut_in_two_is_no_answer() {
    let Some(server) = Server::start().await else {
        return;
    };
    let proxy = Proxy::to(server.port).await;
    let fleet = fleet(proxy.url()).await;
    let limit = ten_an_hour(&fleet);
    for bytes in [0, 1, 5, 9] {
        proxy.cut_after(bytes);
        // Decided here.
        call(&limit).await.unwrap();
        until("the cut is noticed", || fleet.is_degraded()).await;
        until("it is connected again", || !fleet.is_degraded()).await;
    }
    // Those of which the answer was lost were counted.
    let rest = admitted(&limit, 100).await;
    assert!((6..=10).contains(&rest), "{rest}");
}

#[tokio::test]
async fn a_peer_that_vanishes_without_a_word_is_connected_to_anew() {
    let Some(server) = Server::start().await else {
        return;
    };
    let proxy = Proxy::to(server.port).await;
    let fleet = fleet(proxy.url()).await;
    let limit = ten_an_hour(&fleet);
    call(&limit).await.unwrap();
    let before = proxy.connections();
    proxy.freeze();
    call(&limit).await.unwrap();
    assert!(fleet.is_degraded());
    until("it is connected anew", || !fleet.is_degraded()).await;
    assert!(proxy.connections() > before);
    assert_eq!(admitted(&limit, 100).await, 9);
}

#[tokio::test]
async fn scripts_that_were_flushed_are_loaded_again() {
    let Some(server) = Server::start().await else {
        return;
    };
    let fleet = fleet(server.url()).await;
    let even = ten_an_hour(&fleet);
    let window = RateLimit::per_hour(10).sliding_window();
    let window = window.build_on(&fleet).unwrap();
    for _ in 0..10 {
        server.command(&["SCRIPT", "FLUSH"]).await;
        call(&even).await.unwrap();
        call(&window).await.unwrap();
        assert!(!fleet.is_degraded());
    }
    assert!(call(&even).await.is_err() && call(&window).await.is_err());
}

#[tokio::test]
async fn wrong_types_under_our_keys_are_replaced() {
    let Some(server) = Server::start().await else {
        return;
    };
    let fleet = fleet(server.url()).await;
    let limit = RateLimit::per_hour(1).build_on(&fleet).unwrap();
    call(&limit).await.unwrap();
    assert!(call(&limit).await.is_err());
    for key in server.keys().await {
        server.command(&["DEL", &key]).await;
        server.command(&["RPUSH", &key, "a list"]).await;
    }
    call(&limit).await.unwrap();
    assert!(call(&limit).await.is_err());
    // And those who are there are counted on, for all that was among them.
    while server.command(&["TYPE", "test:instances"]).await != "+zset\r\n" {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!((fleet.is_degraded(), fleet.instances()), (false, 1));
}

#[tokio::test]
async fn numbers_that_nobody_of_ours_wrote_are_replaced() {
    let Some(server) = Server::start().await else {
        return;
    };
    let fleet = fleet(server.url()).await;
    let even = RateLimit::per_hour(1).build_on(&fleet).unwrap();
    let window = RateLimit::per_hour(1).sliding_window();
    let window = window.build_on(&fleet).unwrap();
    call(&even).await.unwrap();
    call(&window).await.unwrap();
    for key in server.keys().await {
        if key.ends_with("instances") {
            continue;
        }
        let kept = server.command(&["GET", &key]).await;
        let numbers = kept
            .lines()
            .nth(1)
            .map_or(0, |kept| kept.split(' ').count());
        let long = vec!["9".repeat(30); numbers].join(" ");
        server.command(&["SET", &key, &long]).await;
    }
    call(&even).await.unwrap();
    call(&window).await.unwrap();
    assert!(call(&even).await.is_err() && call(&window).await.is_err());
    assert!(!fleet.is_degraded());
}

#[tokio::test]
async fn a_clock_that_was_set_back_does_not_shut_the_limit() {
    let Some(server) = Server::start().await else {
        return;
    };
    let fleet = fleet(server.url()).await;
    let limit = RateLimit::per_second(20).burst(1).build_on(&fleet).unwrap();
    call(&limit).await.unwrap();
    for key in server.keys().await {
        let kept = server.command(&["GET", &key]).await;
        let Some(kept) = kept.lines().nth(1).map(str::to_owned) else {
            continue;
        };
        let Some((_, at)) = kept.split_once(' ') else {
            continue;
        };
        // What a server has written whose clock was an hour ahead, and is not any more.
        let ahead = at.trim().parse::<u64>().unwrap() + 3_600_000_000;
        let kept = format!("50000000 {ahead}");
        server.command(&["SET", &key, &kept]).await;
    }
    // It is used up, as it was written down: for 50 ms from now, and not for an hour.
    let wait = call(&limit).await.unwrap_err().wait().unwrap();
    assert!(wait <= Duration::from_millis(50), "{wait:?}");
    sleep(wait).await;
    call(&limit).await.unwrap();
}

#[tokio::test]
async fn who_is_not_let_in_is_told_so() {
    let user = ["--user", "tenant", "on", ">secret", "~test:*", "+@all"];
    let Some(server) = Server::start_with(&user).await else {
        return;
    };
    let url = |password: &str| format!("redis://tenant:{password}@127.0.0.1:{}/", server.port);
    let wrong = Fleet::redis(url("guess")).namespace("test").connect();
    let error = timeout(Duration::from_secs(10), wrong).await.unwrap();
    assert!(
        matches!(error, Err(ConnectError::Unreachable(_))),
        "{error:?}"
    );
    // The keys of another namespace are not this user's.
    let elsewhere = Fleet::redis(url("secret"))
        .namespace("other")
        .connect()
        .await;
    assert!(
        matches!(elsewhere, Err(ConnectError::Unreachable(_))),
        "{elsewhere:?}"
    );
    let fleet = fleet(url("secret")).await;
    assert_eq!(admitted(&ten_an_hour(&fleet), 20).await, 10);
}

#[tokio::test]
async fn a_fleet_that_starts_before_its_server_counts_when_it_comes() {
    let Some(mut server) = Server::start().await else {
        return;
    };
    server.kill();
    let builder = Fleet::redis(server.url()).deadline(DEADLINE).connections(4);
    let fleet = builder.connect_or_degrade().unwrap();
    let limit = ten_an_hour(&fleet);
    assert_eq!(admitted(&limit, 20).await, 10);
    server.start_again().await;
    until("it is there", || !fleet.is_degraded()).await;
    assert_eq!(admitted(&limit, 20).await, 10);
}
