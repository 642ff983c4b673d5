//! A call that is decided in memory allocates nothing.
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::{Admission, Now, Policy, RateLimit, by_fn};
use buttress_redis::{BuildOn, Fleet};
use std::time::Duration;

fn of_a_call<P: Policy<str>>(limit: &P) -> u64 {
    let now = Now::lazy(|| tokio::time::Instant::now().into_std());
    allocation_counter::measure(|| {
        let admission = limit.admit("a client", &now);
        assert!(matches!(admission, Admission::Admitted(_)));
    })
    .count_total
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_decided_in_memory_allocates_nothing() {
    let fleet = Fleet::in_memory().unwrap();
    let limit = || RateLimit::per_second(1_000_000);
    let key = || by_fn(|call: &str| Ok(call.len()));
    let synchronised = || fleet.synchronised(Duration::from_secs(1));
    let leased = limit().build_on(fleet.leased()).unwrap();
    let leased_by = limit().by(key()).build_on(fleet.leased()).unwrap();
    let view = limit().build_on(synchronised()).unwrap();
    let view_by = limit().by(key()).build_on(synchronised()).unwrap();
    // A key that is new is remembered, and looked after from then on.
    for _ in 0..200 {
        for admission in [
            leased.admit(
                "a client",
                &Now::lazy(|| tokio::time::Instant::now().into_std()),
            ),
            leased_by.admit(
                "a client",
                &Now::lazy(|| tokio::time::Instant::now().into_std()),
            ),
        ] {
            drop(admission);
        }
        view.admit(
            "a client",
            &Now::lazy(|| tokio::time::Instant::now().into_std()),
        );
        view_by.admit(
            "a client",
            &Now::lazy(|| tokio::time::Instant::now().into_std()),
        );
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(of_a_call(&leased), 0);
    assert_eq!(of_a_call(&leased_by), 0);
    assert_eq!(of_a_call(&view), 0);
    assert_eq!(of_a_call(&view_by), 0);
}
