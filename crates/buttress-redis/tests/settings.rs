//! Nonsense is refused when built, by name.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

mod common;

use buttress::{RateLimit, SettingError, by_fn};
use buttress_redis::{BuildOn, ConnectError, Fleet, Memory};
use std::time::Duration;

fn field<T>(result: Result<T, SettingError>) -> &'static str {
    match result {
        Ok(_) => panic!("it was built"),
        Err(error) => error.field(),
    }
}

#[tokio::test]
async fn nonsense_is_refused_by_name() {
    let on = || Fleet::on(Memory::new());
    for bad in ["", "two words", "brace{", "neue-häuser", &"x".repeat(65)] {
        assert_eq!(field(on().namespace(bad).start()), "namespace", "{bad:?}");
    }
    assert_eq!(field(on().instances(0).start()), "instances");
    assert_eq!(field(on().instances(u32::MAX).start()), "instances");
    for bad in [
        Duration::ZERO,
        Duration::from_micros(999),
        Duration::from_secs(61),
        Duration::MAX,
    ] {
        assert_eq!(field(on().deadline(bad).start()), "deadline", "{bad:?}");
    }

    let fleet = Fleet::in_memory().unwrap();
    let limit = || RateLimit::per_second(10);
    let second = Duration::from_secs(1);
    assert_eq!(field(limit().burst(0).build_on(&fleet)), "burst");
    assert_eq!(field(limit().cost(11).build_on(&fleet)), "cost");
    assert_eq!(field(limit().named("").build_on(&fleet)), "named");
    for bad in [Duration::ZERO, Duration::from_secs(11)] {
        assert_eq!(field(limit().build_on(fleet.leased().lead(bad))), "lead");
    }
    for bad in [Duration::ZERO, Duration::from_secs(61)] {
        assert_eq!(field(limit().build_on(fleet.synchronised(bad))), "period");
    }
    for share in [fleet.leased(), fleet.synchronised(second)] {
        assert_eq!(
            field(limit().wait_at_most(second).build_on(share)),
            "wait_at_most"
        );
    }
    let short = RateLimit::per(1, Duration::from_micros(1)).sliding_window();
    assert_eq!(field(short.build_on(&fleet)), "period");
    let keyed = limit().by(by_fn(|call: &u8| Ok(*call)));
    assert_eq!(field(keyed.max_keys(0).build_on(&fleet)), "max_keys");
    let keyed = limit().burst(0).by(by_fn(|call: &u8| Ok(*call)));
    assert_eq!(field(keyed.build_on(&fleet)), "burst");
}

#[test]
fn a_fleet_needs_a_runtime() {
    assert_eq!(field(Fleet::in_memory()), "runtime");
    let fleet = Fleet::redis("redis://127.0.0.1/").connect_or_degrade();
    assert!(matches!(fleet, Err(ConnectError::Setting(error)) if error.field() == "runtime"));
}

#[tokio::test]
async fn an_address_that_cannot_be_used_is_a_clear_error() {
    for bad in [
        "",
        "localhost",
        "http://127.0.0.1/",
        "redis://",
        "redis://127.0.0.1:port/",
    ] {
        let error = Fleet::redis(bad).connect_or_degrade();
        assert!(
            matches!(error, Err(ConnectError::Address(_))),
            "{bad:?}: {error:?}"
        );
    }
    let none = Fleet::redis("redis://127.0.0.1/").connections(0);
    assert!(matches!(
        none.connect_or_degrade(),
        Err(ConnectError::Setting(error)) if error.field() == "connections"
    ));
    // Nobody listens there.
    let address = format!("redis://127.0.0.1:{}/", common::free_port());
    let error = Fleet::redis(address).connect().await.unwrap_err();
    assert!(matches!(error, ConnectError::Unreachable(_)));
    let text = error.to_string();
    assert!(
        text.starts_with("Redis cannot be reached: ") && text.contains("refused"),
        "{text}"
    );
}

#[tokio::test]
async fn what_is_shown_of_settings_holds_no_secrets() {
    let builder = Fleet::redis("redis://:a-password@127.0.0.1/").secret("a-secret");
    let shown = format!("{builder:?}");
    assert!(
        !shown.contains("a-password") && !shown.contains("a-secret"),
        "{shown}"
    );
}
