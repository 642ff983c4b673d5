//! The exact mode on a real server.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{RateLimit, Reason, Run, by_fn};
use buttress_redis::{BuildOn, Fleet};
use common::{Server, call};
use std::time::Duration;
use tower::BoxError;

async fn fleet(server: &Server) -> Fleet {
    Fleet::redis(server.url())
        .namespace("test")
        // The machine that runs the tests may be busy; what the deadline is for is shown elsewhere.
        .deadline(Duration::from_secs(5))
        .connect()
        .await
        .unwrap()
}

#[tokio::test]
async fn two_instances_admit_no_more_than_one() {
    let Some(server) = Server::start().await else {
        return;
    };
    let limit = || RateLimit::per_hour(10).burst(10).named("orders");
    let one = limit().build_on(&fleet(&server).await).unwrap();
    let two = limit().build_on(&fleet(&server).await).unwrap();
    for _ in 0..5 {
        call(&one).await.unwrap();
        call(&two).await.unwrap();
    }
    for limit in [&one, &two] {
        let rejection = call(limit).await.unwrap_err();
        assert_eq!(rejection.reason(), Reason::RateLimited);
        assert_eq!(rejection.policy(), "orders");
        let wait = rejection.wait().unwrap();
        assert!(wait <= Duration::from_secs(360) && wait > Duration::from_secs(300));
    }
}

#[tokio::test]
async fn a_sliding_window_is_shared_too() {
    let Some(server) = Server::start().await else {
        return;
    };
    let limit = || RateLimit::per_hour(4).sliding_window().cost(2);
    let one = limit().build_on(&fleet(&server).await).unwrap();
    let two = limit().build_on(&fleet(&server).await).unwrap();
    call(&one).await.unwrap();
    call(&two).await.unwrap();
    assert!(call(&one).await.is_err() && call(&two).await.is_err());
}

#[tokio::test]
async fn keys_are_apart_and_what_a_client_sends_never_reaches_the_server() {
    let Some(server) = Server::start().await else {
        return;
    };
    let limit = RateLimit::per_hour(1)
        .named("per client")
        .by(by_fn(|call: &String| Ok(call.clone())))
        .build_on(&fleet(&server).await)
        .unwrap();
    let hostile = ["a", "b}{", "\r\nFLUSHALL\r\n", &"x".repeat(1 << 20)];
    for client in hostile {
        for admitted in [true, false] {
            let call = limit.run_for(client.to_owned(), async { Ok::<_, BoxError>(()) });
            assert_eq!(call.await.is_ok(), admitted);
        }
    }
    let keys = server.keys().await;
    let keys: Vec<_> = keys
        .iter()
        .filter(|key| key.ends_with("per client"))
        .collect();
    assert_eq!(keys.len(), hostile.len());
    for key in keys {
        assert!(
            key.starts_with("test:{") && key.len() == "test:{}:per client".len() + 32,
            "{key}"
        );
        let expiry = server.command(&["PTTL", key]).await;
        let expiry: i64 = expiry.trim_start_matches(':').trim().parse().unwrap();
        assert!((1..=3_600_001).contains(&expiry), "{expiry}");
    }
}
