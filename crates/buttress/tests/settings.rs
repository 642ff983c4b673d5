//! Rule 13: every builder refuses nonsense, and says which field, which value and what is allowed.

use buttress::{Bulkhead, RateLimit, SettingError, by_fn};
use std::time::Duration;

fn field<T>(result: Result<T, SettingError>) -> &'static str {
    match result {
        Ok(_) => "nothing",
        Err(error) => error.field(),
    }
}

const SECOND: Duration = Duration::from_secs(1);
const TOO_LONG: Duration = Duration::from_secs(400 * 24 * 60 * 60);

#[test]
fn a_bulkhead_without_sense_is_refused_by_name() {
    let bulkhead = |limit| Bulkhead::builder(limit);
    assert_eq!(field(Bulkhead::new(0)), "limit");
    assert_eq!(
        field(bulkhead(1).waiting_room(0, SECOND).build()),
        "waiting_room.places"
    );
    let endless = bulkhead(1).waiting_room(1, TOO_LONG).build();
    assert_eq!(field(endless), "waiting_room.longest_wait");
    assert_eq!(field(bulkhead(1).named("").build()), "named");
    let slots = Bulkhead::new(1);
    assert_eq!(slots.map(|slots| field(slots.set_limit(0))), Ok("limit"));
}

#[test]
fn a_rate_limit_without_sense_is_refused_by_name() {
    let five = || RateLimit::per_second(5);
    assert_eq!(field(RateLimit::per_second(0).build()), "calls");
    assert_eq!(field(RateLimit::per(5, Duration::ZERO).build()), "period");
    assert_eq!(field(RateLimit::per(5, TOO_LONG).build()), "period");
    assert_eq!(
        field(RateLimit::per(5, Duration::from_nanos(4)).build()),
        "calls"
    );
    assert_eq!(
        field(RateLimit::per_day(1).burst(u32::MAX).build()),
        "burst"
    );
    assert_eq!(field(five().burst(0).build()), "burst");
    assert_eq!(field(five().cost(0).build()), "cost");
    assert_eq!(field(five().cost(6).build()), "cost");
    assert_eq!(
        field(five().wait_at_most(Duration::ZERO).build()),
        "wait_at_most"
    );
    assert_eq!(field(five().named("no\nname").build()), "named");
    assert_eq!(field(five().burst(5).sliding_window().build()), "burst");
    let waits = five().sliding_window().wait_at_most(SECOND);
    assert_eq!(field(waits.build()), "wait_at_most");
}

#[test]
fn a_limit_for_each_key_is_checked_with_everything_in_it() {
    let key = by_fn(|call: &u64| Ok(*call));
    assert_eq!(field(Bulkhead::builder(0).by(key).build()), "limit");
    assert_eq!(
        field(Bulkhead::builder(1).by(key).max_keys(0).build()),
        "max_keys"
    );
    let too_many = RateLimit::per_second(1).by(key).max_keys(u32::MAX);
    assert_eq!(field(too_many.build()), "max_keys");
}

#[test]
fn the_message_says_what_would_have_been_right() {
    let error = RateLimit::per_second(5).cost(6).build().map(drop);
    let message = error.map_err(|error| error.to_string());
    assert_eq!(
        message,
        Err("`cost` is 6, but must be from 1 to 5".to_owned())
    );
}

#[test]
fn a_sharding_without_sense_is_refused_by_name() {
    let key = by_fn(|call: &u64| Ok(*call));
    let sharded = |compartments, per_key| {
        field(
            Bulkhead::builder(4)
                .shuffle_sharded(compartments, per_key, key)
                .build(),
        )
    };
    assert_eq!(sharded(1, 1), "compartments");
    assert_eq!(sharded(5_000, 2), "compartments");
    assert_eq!(sharded(8, 0), "per_key");
    assert_eq!(sharded(8, 8), "per_key");
    let empty = Bulkhead::builder(0).shuffle_sharded(8, 2, key);
    assert_eq!(field(empty.build()), "limit");
}
