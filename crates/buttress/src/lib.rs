#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "http")]
mod body;
mod bulkhead;
mod clock;
#[cfg(feature = "http")]
pub mod deadline;
mod guard;
#[cfg(feature = "http")]
pub mod key;
mod keyed;
mod rate_limit;
mod reloadable;
pub mod repeat;
mod run;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timeout;
mod timer;

pub use bulkhead::{Bulkhead, BulkheadBuilder};
pub use buttress_core::protocol;
pub use buttress_core::rate;
pub use buttress_core::{
    Admission, Gcra, Key, MissingKey, Never, Now, Outcome, PerKey, Permit, Plain, Policy, Protocol,
    Quota, RateLimiter, Reason, Reject, Rejection, Retention, SettingError, SlidingWindow, Slots,
    by_fn, combine::MissingKeyMeans,
};
#[cfg(feature = "http")]
pub use deadline::{Deadline, IncomingDeadline, OutgoingDeadline};
pub use guard::{Guard, GuardFuture, GuardLayer, GuardProtocol, guard};
pub use keyed::{Keyed, KeyedBuilder, KeyedParts};
pub use rate_limit::{RateLimit, RateLimitBuilder};
pub use reloadable::Reloadable;
pub use run::Run;
pub use timeout::Timeout;
#[cfg(feature = "http")]
pub use {body::AnswerBody, buttress_core::Http, guard::GuardBody};

/// The protocol of a layer that was not given one.
#[cfg(feature = "http")]
pub(crate) type DefaultProtocol = Http;
#[cfg(not(feature = "http"))]
pub(crate) type DefaultProtocol = Unchosen;

/// No protocol yet: call `.protocol(Plain::new())` on the layer.
///
/// Without the feature `http` there is no default that would still be the same when another crate
/// enables it.
#[cfg(not(feature = "http"))]
#[derive(Clone, Copy, Debug)]
pub struct Unchosen(());

#[cfg(not(feature = "http"))]
impl Unchosen {
    pub(crate) const fn new() -> Self {
        Self(())
    }
}
