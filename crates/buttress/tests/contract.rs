//! Every layer keeps the contract, around plain services and around HTTP.
#![cfg(feature = "testing")]
#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use buttress::fallback::{Ended, head};
use buttress::retry::Everything;
use buttress::testing::{BrokenRule, Contract, Fixture, ServiceError};
use buttress::{
    Bulkhead, CircuitBreaker, Coalesce, Fallback, Hedge, IncomingAttempt, IncomingDeadline,
    OutgoingDeadline, Plain, RateLimit, Reloadable, Retry, StaleIfError, Throttle, Timeout, by_fn,
    guard,
};
use std::convert::Infallible;
use std::time::Duration;
use tower::service_fn;

const SECOND: Duration = Duration::from_secs(1);

/// `$layer` makes a layer; `$plain` makes one for plain services of it.
macro_rules! keeps_the_contract {
    ($($name:ident: $contract:expr;)*) => {$(
        #[test]
        fn $name() -> Result<(), BrokenRule> {
            $contract
        }
    )*};
}

fn ample() -> RateLimit {
    RateLimit::per_second(1_000_000).build().unwrap()
}

fn all_at_once() -> Hedge<Everything> {
    let hedge = Hedge::builder().repeats_all().after(Duration::ZERO);
    hedge.attempts(3).extra_load(4.0).build().unwrap()
}

fn waiting_room(limit: u32) -> Bulkhead {
    let builder = Bulkhead::builder(limit).waiting_room(8, SECOND);
    builder.build().unwrap()
}

/// Watches a bulkhead that is in the layer.
fn watched<L>(slots: &Bulkhead, layer: L) -> Fixture<L> {
    let slots = slots.clone();
    Fixture::new(layer).in_use(move || slots.in_flight() + slots.waiting())
}

fn key<C>() -> impl Fn(&C) -> Result<u8, buttress::MissingKey> + Clone {
    |_: &C| Ok(7)
}

keeps_the_contract! {
    bulkhead_plain: Contract::new(|| {
        let slots = Bulkhead::new(3).unwrap();
        watched(&slots, slots.protocol(Plain::new()))
    }).limit(3).check_plain();

    bulkhead_http: Contract::new(|| {
        let slots = Bulkhead::new(3).unwrap();
        watched(&slots, slots.clone())
    }).limit(3).check_http();

    bulkhead_of_one_plain: Contract::new(|| {
        let slots = Bulkhead::new(1).unwrap();
        watched(&slots, slots.protocol(Plain::new()))
    }).limit(1).check_plain();

    bulkhead_with_a_waiting_room_plain: Contract::new(|| {
        let slots = waiting_room(2);
        watched(&slots, slots.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    bulkhead_with_a_waiting_room_http: Contract::new(|| {
        let slots = waiting_room(2);
        watched(&slots, slots.clone())
    }).limit(2).waiting().check_http();

    bulkhead_per_key_plain: Contract::new(|| {
        let slots = Bulkhead::builder(2).by(by_fn(key::<u32>())).build().unwrap();
        Fixture::new(slots.protocol(Plain::new()))
    }).limit(2).check_plain();

    bulkhead_per_key_http: Contract::new(|| {
        let key = by_fn(key::<http::Request<buttress::testing::Body>>());
        Fixture::new(Bulkhead::builder(2).by(key).build().unwrap())
    }).limit(2).check_http();

    bulkhead_per_key_with_a_waiting_room_plain: Contract::new(|| {
        let slots = Bulkhead::builder(2).waiting_room(8, SECOND);
        let slots = slots.by(by_fn(key::<u32>())).build().unwrap();
        Fixture::new(slots.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    bulkhead_per_key_with_a_waiting_room_http: Contract::new(|| {
        let slots = Bulkhead::builder(2).waiting_room(8, SECOND);
        let key = by_fn(key::<http::Request<buttress::testing::Body>>());
        Fixture::new(slots.by(key).build().unwrap())
    }).limit(2).waiting().check_http();

    an_optional_bulkhead_plain: Contract::new(|| {
        let slots = Bulkhead::new(2).unwrap();
        watched(&slots, guard(Some(slots.clone())).protocol(Plain::new()))
    }).limit(2).check_plain();

    no_policy_http: Contract::new(|| Fixture::new(guard(None::<Bulkhead>))).check_http();

    rate_limit_plain: Contract::new(|| {
        Fixture::new(ample().protocol(Plain::new()))
    }).check_plain();

    rate_limit_http: Contract::new(|| Fixture::new(ample())).check_http();

    rate_limit_announced_http: Contract::new(|| {
        Fixture::new(RateLimit::per_second(1_000_000).announced().build().unwrap())
    }).check_http();

    rate_limit_announced_plain: Contract::new(|| {
        let limit = RateLimit::per_second(1_000_000).announced().build().unwrap();
        Fixture::new(limit.protocol(Plain::new()))
    }).check_plain();

    rate_limit_that_delays_plain: Contract::new(|| {
        let limit = RateLimit::per_second(1_000_000).wait_at_most(SECOND);
        Fixture::new(limit.build().unwrap().protocol(Plain::new()))
    }).check_plain();

    rate_limit_that_delays_http: Contract::new(|| {
        let limit = RateLimit::per_second(1_000_000).wait_at_most(SECOND);
        Fixture::new(limit.build().unwrap())
    }).check_http();

    rate_limit_per_key_plain: Contract::new(|| {
        let limit = RateLimit::per_second(1_000_000).by(by_fn(key::<u32>()));
        Fixture::new(limit.build().unwrap().protocol(Plain::new()))
    }).check_plain();

    rate_limit_used_up_plain: Contract::new(|| {
        let limit = RateLimit::per_hour(1).build().unwrap();
        use_up(&limit);
        Fixture::new(limit.protocol(Plain::new()))
    }).refusing().check_plain();

    rate_limit_used_up_http: Contract::new(|| {
        let limit = RateLimit::per_hour(1).announced().build().unwrap();
        use_up(&limit);
        Fixture::new(limit)
    }).refusing().check_http();

    rate_limit_per_key_http: Contract::new(|| {
        let key = by_fn(key::<http::Request<buttress::testing::Body>>());
        Fixture::new(RateLimit::per_second(1_000_000).by(key).build().unwrap())
    }).check_http();

    throttle_plain: Contract::new(|| {
        Fixture::new(Throttle::new().protocol(Plain::new()))
    }).check_plain();

    throttle_http: Contract::new(|| Fixture::new(Throttle::new())).check_http();

    throttle_per_key_plain: Contract::new(|| {
        let throttle = Throttle::builder().by(by_fn(key::<u32>())).build().unwrap();
        Fixture::new(throttle.protocol(Plain::new()))
    }).check_plain();

    throttle_per_key_http: Contract::new(|| {
        let key = by_fn(key::<http::Request<buttress::testing::Body>>());
        Fixture::new(Throttle::builder().by(key).build().unwrap())
    }).check_http();

    sliding_window_plain: Contract::new(|| {
        let limit = RateLimit::per_second(1_000_000).sliding_window().build().unwrap();
        Fixture::new(limit.protocol(Plain::new()))
    }).check_plain();

    sliding_window_http: Contract::new(|| {
        Fixture::new(RateLimit::per_second(1_000_000).sliding_window().build().unwrap())
    }).check_http();

    circuit_breaker_plain: Contract::new(|| {
        Fixture::new(CircuitBreaker::new("callee").unwrap().protocol(Plain::new()))
    }).check_plain();

    circuit_breaker_http: Contract::new(|| {
        let second = Duration::from_secs(1);
        let breaker = CircuitBreaker::builder("callee").slow_calls(second, 0.5);
        Fixture::new(breaker.count_window(100).build().unwrap())
    }).check_http();

    circuit_breaker_metrics_only_http: Contract::new(|| {
        let breaker = CircuitBreaker::new("callee").unwrap();
        breaker.metrics_only();
        Fixture::new(breaker)
    }).check_http();

    circuit_breaker_open_plain: Contract::new(|| {
        let breaker = CircuitBreaker::new("callee").unwrap();
        breaker.force_open();
        Fixture::new(breaker.protocol(Plain::new()))
    }).refusing().check_plain();

    circuit_breaker_open_http: Contract::new(|| {
        let breaker = CircuitBreaker::new("callee").unwrap();
        breaker.force_open();
        Fixture::new(breaker)
    }).refusing().check_http();

    circuit_breaker_per_key_plain: Contract::new(|| {
        let breakers = CircuitBreaker::builder("callee").by(by_fn(key::<u32>()));
        Fixture::new(breakers.build().unwrap().protocol(Plain::new()))
    }).check_plain();

    circuit_breaker_per_key_http: Contract::new(|| {
        let key = by_fn(key::<http::Request<buttress::testing::Body>>());
        Fixture::new(CircuitBreaker::builder("callee").by(key).build().unwrap())
    }).check_http();

    timeout_plain: Contract::new(|| {
        Fixture::new(Timeout::new(SECOND).unwrap().protocol(Plain::new()))
    }).check_plain();

    timeout_http: Contract::new(|| Fixture::new(Timeout::new(SECOND).unwrap())).check_http();

    timeout_per_attempt_http: Contract::new(|| {
        Fixture::new(Timeout::per_attempt(SECOND).unwrap().sets_deadline())
    }).check_http();

    timeout_of_the_body_http: Contract::new(|| {
        let timeout = Timeout::new(SECOND).unwrap();
        let timeout = timeout.idle_body(SECOND).unwrap().whole_body(2 * SECOND).unwrap();
        Fixture::new(timeout)
    }).check_http();

    hedge_plain: Contract::new(|| {
        Fixture::new(Hedge::new().protocol(Plain::new()))
    }).check_plain();

    hedge_http: Contract::new(|| Fixture::new(Hedge::new())).check_http();

    hedge_that_sends_all_at_once_plain: Contract::new(|| {
        Fixture::new(all_at_once().protocol(Plain::new()))
    }).check_plain();

    hedge_that_sends_all_at_once_http: Contract::new(|| {
        Fixture::new(all_at_once())
    }).check_http();

    hedge_around_a_bulkhead_http: Contract::new(|| {
        let slots = Bulkhead::new(2).unwrap();
        watched(&slots, (all_at_once(), slots.clone()))
    }).check_http();

    incoming_deadline_http: Contract::new(|| {
        Fixture::new(IncomingDeadline::at_most(SECOND).unwrap())
    }).check_http();

    outgoing_deadline_http: Contract::new(|| {
        Fixture::new(OutgoingDeadline::header("x-deadline").unwrap())
    }).check_http();

    timeout_per_attempt_plain: Contract::new(|| {
        Fixture::new(Timeout::per_attempt(SECOND).unwrap().protocol(Plain::new()))
    }).check_plain();

    retry_plain: Contract::new(|| {
        Fixture::new(Retry::new().protocol(Plain::new()))
    }).check_plain();

    // A POST, which is sent once.
    retry_http: Contract::new(|| Fixture::new(Retry::new())).check_http();

    retry_of_everything_http: Contract::new(|| {
        let retry = Retry::builder().repeats_all().attempt_header("x-attempts");
        Fixture::new(retry.build().unwrap())
    }).check_http();

    retry_around_a_bulkhead_http: Contract::new(|| {
        let retry = Retry::builder().repeats_all().build().unwrap();
        let slots = Bulkhead::new(3).unwrap();
        watched(&slots, (retry, slots.clone()))
    }).limit(3).check_http();

    retry_around_a_waiting_room_http: Contract::new(|| {
        let retry = Retry::builder().repeats_all().build().unwrap();
        let slots = waiting_room(2);
        watched(&slots, (Timeout::new(SECOND).unwrap(), retry, slots.clone()))
    }).limit(2).waiting().check_http();

    incoming_attempt_http: Contract::new(|| {
        Fixture::new(IncomingAttempt::new())
    }).check_http();

    two_policies_in_one_guard_plain: Contract::new(|| {
        let slots = waiting_room(2);
        watched(&slots, guard((ample(), slots.clone())).protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    three_policies_in_one_guard_http: Contract::new(|| {
        let slots = waiting_room(2);
        watched(&slots, guard((slots.clone(), ample(), ample())))
    }).limit(2).waiting().check_http();

    five_policies_in_one_guard_plain: Contract::new(|| {
        let slots = waiting_room(2);
        let five = (ample(), ample(), ample(), ample(), slots.clone());
        watched(&slots, guard(five).protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    seven_policies_in_one_guard_http: Contract::new(|| {
        let slots = waiting_room(2);
        let one = || Some(ample());
        let seven = (one(), one(), one(), slots.clone(), one(), one(), one());
        watched(&slots, guard(seven))
    }).limit(2).waiting().check_http();

    several_policies_in_one_guard_plain: Contract::new(|| {
        let slots = Bulkhead::new(2).unwrap();
        let none: Option<Bulkhead> = None;
        let policies = (ample(), none, slots.clone(), Some(ample()));
        watched(&slots, guard(policies).protocol(Plain::new()))
    }).limit(2).check_plain();

    several_policies_in_one_guard_http: Contract::new(|| {
        let slots = waiting_room(2);
        let more = Bulkhead::new(64).unwrap();
        let six = (ample(), ample(), ample(), slots.clone(), more, ample());
        watched(&slots, guard(six))
    }).limit(2).waiting().check_http();

    eight_policies_in_one_guard_http: Contract::new(|| {
        let slots = Bulkhead::new(2).unwrap();
        let one = || Some(Bulkhead::new(64).unwrap());
        let eight = (one(), one(), one(), one(), slots.clone(), one(), one(), one());
        watched(&slots, guard(eight))
    }).limit(2).check_http();

    reloadable_plain: Contract::new(|| {
        let slots = waiting_room(2);
        let policy = Reloadable::new((slots.clone(), ample()));
        watched(&slots, policy.protocol(Plain::new()))
    }).limit(2).waiting().check_plain();

    reloadable_http: Contract::new(|| {
        let slots = Bulkhead::new(2).unwrap();
        watched(&slots, Reloadable::new(slots.clone()))
    }).limit(2).check_http();

    coalesce_plain: Contract::new(|| {
        let coalesce = Coalesce::by(by_fn(key::<u32>())).build().unwrap();
        let watched = coalesce.clone();
        Fixture::new(coalesce.protocol(Plain::new())).in_use(move || watched.in_flight())
    }).check_plain();

    coalesce_http: Contract::new(|| {
        let key = by_fn(key::<http::Request<buttress::testing::Body>>());
        let coalesce = Coalesce::by(key).build().unwrap();
        let watched = coalesce.clone();
        Fixture::new(coalesce).in_use(move || watched.in_flight())
    }).check_http();

    coalesce_by_the_default_key_http: Contract::new(|| {
        let coalesce = Coalesce::builder().build().unwrap();
        let watched = coalesce.clone();
        Fixture::new(coalesce).in_use(move || watched.in_flight())
    }).check_http();

    fallback_to_a_value_plain: Contract::new(|| {
        Fixture::new(Fallback::value(0_u32).protocol(Plain::new()))
    }).check_plain();

    fallback_to_a_value_http: Contract::new(|| {
        Fixture::new(Fallback::value(http::Response::new(bytes::Bytes::new())))
    }).check_http();

    fallback_to_a_function_plain: Contract::new(|| {
        let function = |kept: u32, _: Ended<'_, u32, ServiceError>| Some(kept);
        let fallback = Fallback::keeping(|request: &u32| *request).by(function);
        Fixture::new(fallback.protocol(Plain::new()))
    }).check_plain();

    fallback_to_a_service_plain: Contract::new(|| {
        let elsewhere = service_fn(|request: u32| async move { Ok::<_, ServiceError>(request) });
        let fallback = Fallback::keeping(|request: &u32| *request).service(elsewhere);
        Fixture::new(fallback.protocol(Plain::new()))
    }).check_plain();

    fallback_to_a_service_http: Contract::new(|| {
        let elsewhere = service_fn(|_: http::Request<()>| async {
            Ok::<_, Infallible>(http::Response::new(buttress::testing::Body::default()))
        });
        Fixture::new(Fallback::keeping(head).service(elsewhere))
    }).check_http();

    stale_if_error_http: Contract::new(|| {
        Fixture::new(StaleIfError::builder().build().unwrap())
    }).check_http();

    a_whole_stack_http: Contract::new(|| {
        let slots = waiting_room(2);
        let deadline = IncomingDeadline::at_most(SECOND).unwrap();
        let timeout = Timeout::new(SECOND).unwrap();
        watched(&slots, (deadline, ample(), slots.clone(), timeout))
    }).limit(2).waiting().check_http();
}

fn use_up(limit: &RateLimit) {
    use buttress::{Admission, Now, Policy};
    let now = Now::at(tokio::time::Instant::now().into_std());
    assert!(matches!(limit.admit(&(), &now), Admission::Admitted(_)));
}
