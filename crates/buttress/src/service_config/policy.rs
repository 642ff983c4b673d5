use super::codes::StatusCodes;
use crate::retry::rules::{On, Rules};
use buttress_core::{Backoff, RetryBudget};
use std::time::Duration;

/// What a service config says about some methods.
#[derive(Clone, Debug, PartialEq)]
pub struct MethodConfig {
    pub(super) names: Vec<MethodName>,
    pub(super) retry: Option<RetryPolicy>,
    pub(super) hedging: Option<HedgingPolicy>,
}

impl MethodConfig {
    /// The methods.
    pub fn names(&self) -> &[MethodName] {
        &self.names
    }

    /// How they are retried, if they are.
    pub fn retry(&self) -> Option<&RetryPolicy> {
        self.retry.as_ref()
    }

    /// How they are hedged, if they are. Never both.
    pub fn hedging(&self) -> Option<&HedgingPolicy> {
        self.hedging.as_ref()
    }
}

/// Names a method, all methods of a service, or everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MethodName {
    pub(super) service: String,
    pub(super) method: String,
}

impl MethodName {
    /// The service with its package; empty if everything is meant.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The method; empty if all methods of the service are meant.
    pub fn method(&self) -> &str {
        &self.method
    }

    pub(super) fn is(&self, service: &str, method: &str) -> bool {
        self.service == service && self.method == method
    }

    /// `service/method`, `service/`, or nothing.
    pub(super) fn key(&self) -> Box<str> {
        if self.service.is_empty() {
            return Box::from("");
        }
        format!("{}/{}", self.service, self.method).into()
    }
}

/// A `retryPolicy`.
#[derive(Clone, Debug, PartialEq)]
pub struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) initial_backoff: Duration,
    pub(super) max_backoff: Duration,
    pub(super) multiplier: f64,
    pub(super) codes: StatusCodes,
}

impl RetryPolicy {
    /// At most so many attempts, with the first one: 2 to 5. More count as 5.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The first wait is about this one.
    pub fn initial_backoff(&self) -> Duration {
        self.initial_backoff
    }

    /// No wait is much longer than this one.
    pub fn max_backoff(&self) -> Duration {
        self.max_backoff
    }

    /// How much each wait grows; more than 0.
    pub fn backoff_multiplier(&self) -> f64 {
        self.multiplier
    }

    /// The status codes that are retried. There is one at least.
    pub fn retryable_status_codes(&self) -> StatusCodes {
        self.codes
    }

    pub(super) fn rules(&self) -> Rules {
        Rules {
            attempts: self.attempts,
            backoff: Backoff::grpc(self.initial_backoff, self.multiplier, self.max_backoff),
            on: On::Codes(self.codes.bits()),
        }
    }
}

/// A `hedgingPolicy`, as plain data.
#[derive(Clone, Debug, PartialEq)]
pub struct HedgingPolicy {
    pub(super) attempts: u32,
    pub(super) delay: Duration,
    pub(super) codes: StatusCodes,
}

impl HedgingPolicy {
    /// At most so many attempts, with the first one: 2 to 5. More count as 5.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// How long after one the next is sent. If it is 0, which is the default, all are sent at once.
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// After these the next is sent at once; after others, the rest is cancelled.
    pub fn non_fatal_status_codes(&self) -> StatusCodes {
        self.codes
    }
}

/// `retryThrottling`, in thousandths of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryThrottling {
    pub(super) most: u32,
    pub(super) ratio: u32,
}

impl RetryThrottling {
    /// Thousandths of tokens at the start and at most: 1 to 1 000 000.
    pub fn max_tokens(&self) -> u32 {
        self.most
    }

    /// Thousandths that a success gives back; 1 at least.
    pub fn token_ratio(&self) -> u32 {
        self.ratio
    }

    /// A budget with these numbers. Each call makes a new one, so hand out clones.
    pub fn budget(&self) -> RetryBudget {
        // They have been read within these bounds.
        RetryBudget::tokens(self.most, self.ratio).unwrap_or_default()
    }
}
