use crate::causes;
use crate::quota::Quota;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why a call was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The callee took longer than this service waits for it.
    TimedOut,
    /// The deadline that the caller set had passed, or passed while the call was under way.
    DeadlinePassed,
    /// The caller sent a deadline that cannot be read.
    BadDeadline,
    /// Too many calls are under way, and the waiting room, if there is one, is full.
    BulkheadFull,
    /// The call waited for its turn as long as it may.
    WaitedTooLong,
    /// The caller has used up its quota.
    RateLimited,
    /// The service protects itself: it has more to remember or to do than it can.
    Overloaded,
    /// The callee has been failing, and is being left alone for a while.
    CircuitOpen,
    /// The callee turns many calls away, so some are not sent to it at all.
    Throttled,
    /// The service is shutting down.
    Draining,
    /// The call does not carry what it is told apart by, such as an API key.
    KeyMissing,
    /// The service is not set up to tell calls apart the way that the policy needs.
    KeyUnavailable,
}

impl Reason {
    /// A short sentence for people. It tells nothing about the service's insides.
    pub const fn message(self) -> &'static str {
        match self {
            Self::TimedOut => "the call took too long",
            Self::DeadlinePassed => "the deadline has passed",
            Self::BadDeadline => "the deadline cannot be read",
            Self::BulkheadFull => "too many calls are under way",
            Self::WaitedTooLong => "the call waited too long for its turn",
            Self::RateLimited => "the quota is used up",
            Self::Overloaded => "the service is overloaded",
            Self::CircuitOpen => "the service is recovering",
            Self::Throttled => "the service turns calls away",
            Self::Draining => "the service is shutting down",
            Self::KeyMissing => "the call does not say who makes it",
            Self::KeyUnavailable => "the service cannot tell who makes the call",
        }
    }
}

/// A refusal: its reason, the policy that decided it, and when to come back where that is known.
///
/// It is `Copy` and borrows nothing, because refusing must cost less than serving. It is an error,
/// so a client whose error type is `BoxError` gets it boxed, and [`Rejection::find`] gets it back.
///
/// ```
/// use buttress_core::{Reason, Rejection};
/// use std::time::Duration;
///
/// let rejection = Rejection::new(Reason::RateLimited, "per-tenant")
///     .retry_after(Duration::from_millis(1500));
/// assert_eq!(
///     rejection.to_string(),
///     "refused by `per-tenant`: the quota is used up; try again in 1.5s"
/// );
///
/// let error: Box<dyn std::error::Error + Send + Sync> = rejection.into();
/// assert_eq!(Rejection::find(&*error), Some(&rejection));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejection {
    reason: Reason,
    policy: &'static str,
    retry_after: Option<Duration>,
    quota: Option<Quota>,
}

impl Rejection {
    /// A refusal for `reason`, decided by the policy of that name.
    pub const fn new(reason: Reason, policy: &'static str) -> Self {
        Self {
            reason,
            policy,
            retry_after: None,
            quota: None,
        }
    }

    /// Adds how long to wait before the same call would pass.
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds the quota that was exceeded, for the `RateLimit` header fields.
    pub const fn quota(mut self, quota: Quota) -> Self {
        self.quota = Some(quota);
        self
    }

    /// Why the call was refused.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The name of the policy that refused it.
    pub const fn policy(&self) -> &'static str {
        self.policy
    }

    /// How long to wait before the same call would pass, where that is known.
    pub const fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The quota that was exceeded, where the policy announces it.
    pub const fn exceeded(&self) -> Option<&Quota> {
        self.quota.as_ref()
    }

    /// The rejection that `error` is, or that is in its chain if it is a `BoxError`. For errors of a
    /// type that nothing is known about, not even that it is an [`Error`].
    pub fn of<E: 'static>(error: &E) -> Option<&Self> {
        causes::of(error)
    }

    /// The rejection in `error` or in its chain of sources, if there is one.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        causes::find(error)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "refused by `{}`: {}", self.policy, self.reason.message())?;
        match self.retry_after {
            Some(wait) => write!(f, "; try again in {wait:?}"),
            None => Ok(()),
        }
    }
}

impl Error for Rejection {}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Wrapped(Rejection);

    impl fmt::Display for Wrapped {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the request failed")
        }
    }

    impl Error for Wrapped {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn a_rejection_is_found_down_the_chain_of_sources() {
        let rejection = Rejection::new(Reason::BulkheadFull, "pay");
        assert_eq!(Rejection::find(&Wrapped(rejection)), Some(&rejection));
        assert_eq!(Rejection::find(&fmt::Error), None);
    }
}
