//! Ours, one function for each job.

use crate::inner;
use crate::measure::Runner;
use buttress::key::peer;
use buttress::{Admission, Bulkhead, Deadline, Now, Plain, Policy, RateLimit, Timeout, guard};
use std::time::{Duration, Instant};
use tower::Layer;

const LIMIT: u32 = 64;
const SECOND: Duration = Duration::from_secs(1);

/// A limit that never refuses.
fn ample() -> RateLimit {
    RateLimit::per_second(1_000_000_000).build().unwrap()
}

/// A limit that is used up.
fn used_up() -> RateLimit {
    let limit = RateLimit::per_hour(1).build().unwrap();
    let admitted = limit.admit(&(), &Now::at(Instant::now()));
    assert!(matches!(admitted, Admission::Admitted(_)));
    limit
}

fn plain(number: u64) -> u64 {
    number
}

/// The service without anything.
pub fn bare() -> Runner {
    Runner::new(inner::Plain, plain)
}

/// The same in HTTP.
pub fn bare_http() -> Runner {
    Runner::new(inner::Http, inner::request)
}

/// A bulkhead.
pub fn bulkhead() -> Runner {
    let layer = Bulkhead::new(LIMIT).unwrap().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// A rate limit.
pub fn rate_limit() -> Runner {
    let layer = ample().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// A rate limit around HTTP.
pub fn rate_limit_http() -> Runner {
    Runner::new(ample().layer(inner::Http), inner::request)
}

/// A rate limit for each peer, 100 000 of them.
pub fn rate_limit_keyed() -> Runner {
    let limit = RateLimit::per_second(1_000_000_000).by(peer());
    let layer = limit.max_keys(200_000).build().unwrap();
    Runner::new(layer.layer(inner::Http), scattered_request)
}

/// A rate limit for each number, 100 000 of them, without HTTP.
pub fn rate_limit_keyed_plain() -> Runner {
    let limit = RateLimit::per_second(1_000_000_000).by(buttress::by_fn(|call: &u64| Ok(*call)));
    let layer = limit.max_keys(200_000).build().unwrap();
    Runner::new(layer.protocol(Plain::new()).layer(inner::Plain), scattered)
}

/// A timeout around what is ready.
pub fn timeout_ready() -> Runner {
    let layer = Timeout::new(SECOND).unwrap().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// The same in HTTP.
pub fn timeout_ready_http() -> Runner {
    Runner::new(
        Timeout::new(SECOND).unwrap().layer(inner::Http),
        inner::request,
    )
}

/// A timeout around what is pending once.
pub fn timeout_pending() -> Runner {
    let layer = Timeout::new(SECOND).unwrap().protocol(Plain::new());
    Runner::new(layer.layer(inner::PlainPending), plain)
}

/// Three clocks around what is pending once: of the call, of the attempt, and a deadline.
pub fn deadlines_pending() -> Runner {
    let call = Timeout::new(3 * SECOND).unwrap().protocol(Plain::new());
    let attempt = Timeout::per_attempt(SECOND).unwrap().protocol(Plain::new());
    let deadline = Timeout::new(2 * SECOND).unwrap().protocol(Plain::new());
    let service = call.layer(deadline.layer(attempt.layer(inner::PlainPending)));
    Runner::new(service, plain)
}

/// The same in HTTP, where the request carries the deadline.
pub fn deadlines_ready_http() -> Runner {
    let call = Timeout::new(3 * SECOND).unwrap();
    let attempt = Timeout::per_attempt(SECOND).unwrap();
    Runner::new((call, attempt).layer(inner::Http), |number| {
        let mut request = inner::request(number);
        Deadline::after(2 * SECOND).put(request.extensions_mut());
        request
    })
}

/// A timeout, a bulkhead and a rate limit.
pub fn stack_server() -> Runner {
    let timeout = Timeout::new(SECOND).unwrap().protocol(Plain::new());
    let slots = Bulkhead::new(LIMIT).unwrap();
    let guarded = guard((slots, ample())).protocol(Plain::new());
    Runner::new(timeout.layer(guarded.layer(inner::Plain)), plain)
}

/// A refusal as an error.
pub fn refusal_plain() -> Runner {
    let layer = used_up().protocol(Plain::new());
    Runner::new(layer.layer(inner::Plain), plain)
}

/// A refusal as an error, by a full bulkhead.
pub fn refusal_bulkhead() -> Runner {
    let slots = Bulkhead::new(1).unwrap();
    let Admission::Admitted(slot) = slots.admit(&(), &Now::at(Instant::now())) else {
        panic!("the bulkhead is new");
    };
    // Held for as long as the process runs.
    std::mem::forget(slot);
    Runner::new(slots.protocol(Plain::new()).layer(inner::Plain), plain)
}

/// A refusal as a response.
pub fn refusal_http() -> Runner {
    Runner::new(used_up().layer(inner::Http), inner::request)
}

/// The `n`-th of 100 000 keys in an order without an order.
pub fn scattered(number: u64) -> u64 {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 100_000
}

/// The same as a request's address.
pub fn scattered_request(number: u64) -> http::Request<axum::body::Body> {
    inner::request(scattered(number))
}
