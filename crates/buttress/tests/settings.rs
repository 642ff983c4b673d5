//! Rule 13: every builder refuses nonsense, and says which field, which value and what is allowed.

use buttress::{
    Bulkhead, CancelledCounts, CircuitBreaker, Hedge, RateLimit, SettingError, Throttle, by_fn,
};
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
fn a_circuit_breaker_without_sense_is_refused_by_name() {
    let breaker = || CircuitBreaker::builder("callee");
    assert_eq!(field(CircuitBreaker::new("")), "name");
    for rate in [0.0, -0.5, 1.01, f64::NAN, f64::INFINITY] {
        assert_eq!(field(breaker().failure_rate(rate).build()), "failure_rate");
        let slow = breaker().slow_calls(SECOND, rate);
        assert_eq!(field(slow.build()), "slow_calls.rate");
    }
    for time in [Duration::ZERO, TOO_LONG] {
        let slow = breaker().slow_calls(time, 0.5);
        assert_eq!(field(slow.build()), "slow_calls.duration");
        assert_eq!(field(breaker().time_window(time).build()), "time_window");
        assert_eq!(
            field(breaker().probe_patience(time).build()),
            "probe_patience"
        );
        assert_eq!(
            field(breaker().open_time(time, SECOND).build()),
            "open_time"
        );
        let longest = breaker().open_time(SECOND, time);
        assert_eq!(field(longest.build()), "longest_open_time");
        let cancelled = breaker().cancelled(CancelledCounts::AsFailureAfter(time));
        assert_eq!(field(cancelled.build()), "cancelled");
    }
    assert_eq!(
        field(breaker().time_window(SECOND / 11).build()),
        "time_window"
    );
    assert_eq!(
        field(breaker().open_time(2 * SECOND, SECOND).build()),
        "open_time"
    );
    assert_eq!(
        field(breaker().consecutive_failures(0).build()),
        "consecutive_failures"
    );
    assert_eq!(field(breaker().min_calls(0).build()), "min_calls");
    assert_eq!(field(breaker().count_window(0).build()), "count_window");
    assert_eq!(
        field(breaker().count_window(1_000_001).build()),
        "count_window"
    );
    // It could never hold enough calls.
    assert_eq!(field(breaker().count_window(19).build()), "min_calls");
    assert_eq!(field(breaker().probes(0).build()), "probes");
    assert_eq!(field(breaker().probes(21).build()), "probes");
    assert_eq!(field(breaker().probes(20).build()), "nothing");
    assert_eq!(
        field(breaker().probes(2).probes_to_close(3).build()),
        "probes_to_close"
    );
    assert_eq!(
        field(breaker().probes_to_close(0).build()),
        "probes_to_close"
    );
    for jitter in [-0.1, 1.0, f64::NAN] {
        assert_eq!(field(breaker().jitter(jitter).build()), "jitter");
    }
    // Nothing would ever open these.
    let never = || breaker().no_consecutive_failures();
    assert_eq!(
        field(never().no_time_window().build()),
        "consecutive_failures"
    );
    assert_eq!(
        field(never().no_failure_rate().build()),
        "consecutive_failures"
    );
    let uncounted = breaker().no_time_window().slow_calls(SECOND, 0.5);
    assert_eq!(field(uncounted.build()), "slow_calls");
    let key = by_fn(|call: &u64| Ok(*call));
    assert_eq!(
        field(breaker().failure_rate(2.0).by(key).build()),
        "failure_rate"
    );
    let error = breaker().probes(21).build().map(drop);
    assert_eq!(
        error.map_err(|error| error.to_string()),
        Err("`probes` is 21, but must be from 1 to the 20 calls of `min_calls`".to_owned())
    );
}

#[test]
fn a_throttle_without_sense_is_refused_by_name() {
    let throttle = Throttle::builder;
    for multiplier in [0.5, f64::NAN, f64::INFINITY, -2.0] {
        let built = throttle().multiplier(multiplier).build();
        assert_eq!(field(built), "multiplier");
    }
    assert_eq!(field(throttle().window(Duration::ZERO).build()), "window");
    assert_eq!(field(throttle().window(TOO_LONG).build()), "window");
    for share in [-0.1, 1.1, f64::NAN] {
        assert_eq!(
            field(throttle().most_refused(share).build()),
            "most_refused"
        );
    }
    assert_eq!(field(throttle().named("").build()), "named");
    let key = by_fn(|call: &u64| Ok(*call));
    assert_eq!(field(throttle().named("").by(key).build()), "named");
}

#[test]
fn a_hedge_without_sense_is_refused_by_name() {
    let hedge = Hedge::builder;
    assert_eq!(field(hedge().after(TOO_LONG).build()), "after");
    for quantile in [0.0, 0.49, 1.0, f64::NAN] {
        assert_eq!(field(hedge().quantile(quantile).build()), "quantile");
    }
    assert_eq!(field(hedge().min_samples(0).build()), "min_samples");
    assert_eq!(
        field(hedge().half_life(Duration::ZERO).build()),
        "half_life"
    );
    assert_eq!(field(hedge().half_life(TOO_LONG).build()), "half_life");
    for attempts in [0, 1, 6] {
        assert_eq!(field(hedge().attempts(attempts).build()), "attempts");
    }
    for share in [0.0, -1.0, 5.0, f64::NAN] {
        assert_eq!(field(hedge().extra_load(share).build()), "extra_load");
    }
    assert_eq!(field(hedge().after(Duration::ZERO).build()), "nothing");
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
fn an_adaptive_limit_without_sense_is_refused_by_name() {
    use buttress::AdaptiveLimit;
    use buttress::limit::{Gradient2, LatencyQuantile, Vegas};
    let adaptive = AdaptiveLimit::builder;
    assert_eq!(field(AdaptiveLimit::new()), "nothing");
    assert_eq!(
        field(adaptive().algorithm(Vegas::new().min(0)).build()),
        "min"
    );
    let start = LatencyQuantile::new().start(5_000);
    assert_eq!(field(adaptive().algorithm(start).build()), "start");
    let tolerance = Gradient2::new().tolerance(0.5);
    assert_eq!(field(adaptive().algorithm(tolerance).build()), "tolerance");
    assert_eq!(
        field(adaptive().waiting_room(0, SECOND).build()),
        "waiting_room.places"
    );
    assert_eq!(field(adaptive().named("").build()), "named");
}

#[test]
fn a_shedder_without_sense_is_refused_by_name() {
    use buttress::{DeadlineShedder, Pressure, QueueDelay};
    let delay = QueueDelay::builder;
    assert_eq!(field(delay().target(Duration::ZERO).build()), "target");
    assert_eq!(field(delay().interval(TOO_LONG).build()), "interval");
    assert_eq!(field(delay().named("").build()), "named");
    let pressure = Pressure::builder;
    assert_eq!(field(pressure().cpu(0.9, 0.5).build()), "cpu");
    assert_eq!(field(pressure().memory(0.0, 0.5).build()), "memory");
    assert_eq!(field(pressure().most_refused(1.5).build()), "most_refused");
    assert_eq!(
        field(pressure().every(Duration::from_millis(1)).build()),
        "every"
    );
    assert_eq!(field(pressure().named("").build()), "named");
    let deadline = DeadlineShedder::builder;
    assert_eq!(field(deadline().quantile(0.0).build()), "quantile");
    assert_eq!(field(deadline().half_life(TOO_LONG).build()), "half_life");
    assert_eq!(field(deadline().named("").build()), "named");
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
