//! Circuit breakers: a callee that fails is left alone for a while.
//!
//! A callee that is down fails all its calls, and its callers pay for each: with a connection, a
//! timeout's worth of waiting, a retry. And one that is struggling is kept down by the very calls
//! that fail. A breaker watches how calls go. When too many fail it *opens*: calls are refused at
//! once, for nothing. After a while it is *half-open*: a few calls pass as probes. If they succeed
//! it *closes* again; if they fail it opens for twice as long.
//!
//! What an open one refuses says when probes are let in; what a half-open one refuses does not,
//! since nobody knows when the probes will be back.
//!
//! # How it fails when misused
//!
//! - **One breaker for many callees** opens for all of them when one is down. Use one for each
//!   upstream, or [`by`](CircuitBreakerBuilder::by) the authority.
//! - **A timeout outside, breaker inside** hides a dead callee from most breakers, because a call
//!   that is dropped is never recorded. This one counts a dropped call as a failure if it had been
//!   running for long; see [`cancelled`](CircuitBreakerBuilder::cancelled). Still, put a
//!   [`Timeout::per_attempt`](crate::Timeout::per_attempt) inside of it: then it knows at once.
//! - **Thresholds without a minimum of calls** open at night, when two of three calls fail.
//! - **A breaker around calls that are refused by a limit further in** is of no harm here: such
//!   refusals never count.
//!
//! # What counts as what
//!
//! | the call | counts as |
//! | --- | --- |
//! | failed: an error, a 5xx, gRPC `INTERNAL` and its kin, a timeout further in, a panic | a failure |
//! | was refused by the callee for being too much: 429, `RESOURCE_EXHAUSTED`, 503 with `Retry-After` | a failure for the rate, and nothing for failures in a row; [`overload`](CircuitBreakerBuilder::overload) changes that |
//! | succeeded, or was the client's own mistake (4xx) | a success, and slow if it took long |
//! | was dropped unanswered, or ended further in by its caller's deadline, having run for the [slow](CircuitBreakerBuilder::slow_calls) time, or 250 ms if none is set | a failure, and slow |
//! | was dropped earlier, or while its answer came in | nothing |
//! | was refused by one of our layers further in, unless by its deadline | nothing |
//! | was timed out further in, or dropped unanswered, while the [sender](crate::timeout#slow-senders) of its body was waited for | nothing |
//! | failed, before or after its answer began, because the request's body broke off | nothing |
//!
//! The last two are known of attempts inside of a [`Retry`](crate::Retry), a [`Hedge`](crate::Hedge)
//! or a configured upstream. What the callee answers itself counts in any case, and a call is as slow
//! as it took, also if that was its sender's doing. A stream of requests that stays open while nothing
//! is sent looks like a slow sender: if the callee of such calls hangs, timeouts end them, and the
//! breaker does not see it.
//!
//! gRPC calls are judged by their status, in the trailers if it is there.
//!
//! # What it costs
//!
//! A call through a closed breaker takes no lock and allocates nothing, and its windows cost the
//! same whatever is in them. With a time window, or with cancelled calls that may count, the clock
//! is read when the call comes, which the layers of a stack share; only
//! [`slow_calls`](CircuitBreakerBuilder::slow_calls) reads it for each call's end, too.

mod builder;
mod keyed;
mod transitions;

pub use builder::CircuitBreakerBuilder;
pub use transitions::{News, Transitions};

use crate::clock;
use crate::guard::policy_layer;
pub use buttress_core::breaker::{
    Breaker, CancelledCounts, Cause, CircuitState, OverloadCounts, Snapshot, Tally, Transition,
};
use buttress_core::{Now, SettingError};
use transitions::Sender;

/// Refuses calls to a callee that fails, and probes it until it is well.
///
/// It is a handle: clones share the state. See the [module](self) for what it counts.
///
/// ```
/// use buttress::{CircuitBreaker, Plain, Timeout};
/// use std::time::Duration;
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// // 5 failures in a row, or half of at least 20 calls in 30 s.
/// let payments = CircuitBreaker::new("payments")?;
///
/// let service = ServiceBuilder::new()
///     .layer(payments.protocol(Plain::new()))
///     .layer(Timeout::per_attempt(Duration::from_millis(800))?.protocol(Plain::new()))
///     .service(service_fn(|amount: u32| async move { Ok::<_, BoxError>(amount) }));
/// # let _ = service;
///
/// payments.force_open();
/// assert_eq!(payments.state().name(), "forced open");
/// # Ok::<(), buttress::SettingError>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The idea is from Michael Nygard's *Release It!* (2007).
#[derive(Clone, Debug)]
pub struct CircuitBreaker {
    breaker: Breaker,
    transitions: Sender,
}

impl CircuitBreaker {
    /// A breaker with the defaults: it opens after 5 failures in a row (as Finagle's and Envoy's
    /// do), or when half of at least 20 calls in 30 s failed (Hystrix' numbers, in Polly's
    /// window); for 5 s at first and 60 s at most; and one probe decides. Refusals and logs carry
    /// the name: 1 to 64 printable ASCII characters.
    ///
    /// # Errors
    ///
    /// The name is none.
    pub fn new(name: &'static str) -> Result<Self, SettingError> {
        Self::builder(name).build()
    }

    /// The same with other settings.
    pub fn builder(name: &'static str) -> CircuitBreakerBuilder {
        CircuitBreakerBuilder::new(name)
    }

    /// What the next call meets. When the open time has passed that is
    /// [`HalfOpen`](CircuitState::HalfOpen), even if nobody has called since.
    pub fn state(&self) -> CircuitState {
        self.breaker.state(&now())
    }

    /// The state, and the numbers that led to it.
    pub fn snapshot(&self) -> Snapshot {
        self.breaker.snapshot(&now())
    }

    /// Refuses every call from now on, until somebody says otherwise. Such refusals don't say when
    /// to come back.
    pub fn force_open(&self) {
        self.breaker.force_open(&now());
    }

    /// Closes it, whatever it was, with empty windows. From then on it counts and decides by
    /// itself again. If it opens soon it is for longer than the last time.
    pub fn force_close(&self) {
        self.breaker.force_close(&now());
    }

    /// Makes it as new: closed, automatic, and with nothing in its memory.
    pub fn reset(&self) {
        self.breaker.reset(&now());
    }

    /// Lets every call pass from now on and counts nothing, until somebody says otherwise.
    pub fn disable(&self) {
        self.breaker.disable(&now());
    }

    /// Lets every call pass from now on, but counts and decides all the same, and counts what it
    /// [would have refused](Snapshot::would_have_refused): to try settings out in production.
    pub fn metrics_only(&self) {
        self.breaker.metrics_only(&now());
    }

    /// Goes on from where another breaker is, whose settings may be others: in the same mode, and
    /// open for as long as that one would have been. If it opens again soon it is for longer than the
    /// last time. The windows stay empty.
    pub fn take_over(&self, before: &Self) {
        self.breaker.take_over(&before.breaker, &now());
    }

    /// The mode in which it was put by hand. `None` if it decides by itself.
    pub fn mode(&self) -> Option<CircuitState> {
        self.breaker.mode()
    }

    /// Begins in the [mode](Self::mode) of another breaker in whose place it is, and takes over nothing
    /// else. States that are no mode change nothing.
    pub fn begin_in(&self, mode: CircuitState) {
        self.breaker.begin_in(mode, &now());
    }

    /// The changes of the state from now on, in order. Each is also one event of `tracing`; calls
    /// are none.
    pub fn transitions(&self) -> Transitions {
        self.transitions.subscribe()
    }
}

policy_layer!([] CircuitBreaker, breaker: Breaker);

fn now() -> Now {
    Now::lazy(clock::now)
}
