use super::methods::Methods;
use super::protocol::RetryNames;
use crate::repeat::{AnswerKind, Look};
#[cfg(feature = "http")]
use buttress_core::pushback::Pushback;
use buttress_core::{Backoff, Outcome, Random, Reason, RetryBudget};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Whether trying again may help after an answer that looks like this: the default of
/// [`retry_on`](super::RetryBuilder::retry_on), for rules that add to it or take away from it.
///
/// The [module](super#what-is-retried) has it as a table.
pub fn is_worth_repeating(look: &Look) -> bool {
    match look.answer {
        AnswerKind::Rejected(rejection) => rejection.reason() == Reason::TimedOut,
        AnswerKind::Failed | AnswerKind::Answered => {
            matches!(look.outcome, Outcome::Failure | Outcome::Overload)
        }
        #[cfg(feature = "http")]
        AnswerKind::HttpStatus(status) => matches!(status.as_u16(), 429 | 502..=504),
        #[cfg(feature = "http")]
        AnswerKind::GrpcStatus(UNAVAILABLE) => true,
        #[cfg(feature = "http")]
        AnswerKind::GrpcStatus(RESOURCE_EXHAUSTED) => look.pushback.is_some(),
        #[cfg(feature = "http")]
        AnswerKind::GrpcStatus(_) => false,
    }
}

#[cfg(feature = "http")]
const RESOURCE_EXHAUSTED: u16 = 8;
#[cfg(feature = "http")]
const UNAVAILABLE: u16 = 14;

/// What all calls of a retry share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) name: &'static str,
    pub(crate) rules: Rules,
    /// Where each method has rules of its own, and those that are not named have none.
    pub(crate) methods: Option<Methods>,
    pub(crate) budget: Option<RetryBudget>,
    pub(crate) random: Random,
    pub(crate) names: RetryNames,
    pub(crate) replay_limit: usize,
    pub(crate) longest_wait: Duration,
    pub(crate) not_of_retries: bool,
}

impl Shared {
    /// Which rules a call has, if any.
    #[inline]
    pub(crate) fn rules_of<'a>(&self, method: impl FnOnce() -> Option<&'a str>) -> Option<usize> {
        if let Some(methods) = &self.methods {
            return methods.find(method()?);
        }
        Some(0)
    }

    /// The rules with that number.
    #[inline]
    pub(crate) fn rules(&self, number: usize) -> &Rules {
        if let Some(methods) = &self.methods {
            return methods.rules(number).unwrap_or(&self.rules);
        }
        &self.rules
    }
}

/// How one method is retried.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// With the first one.
    pub(crate) attempts: u32,
    pub(crate) backoff: Backoff,
    pub(crate) on: On,
}

/// After which answers.
#[derive(Clone)]
pub(crate) enum On {
    Usual,
    Function(Arc<dyn Fn(&Look) -> bool + Send + Sync>),
    /// gRPC status codes, each a bit.
    #[cfg(feature = "service-config")]
    Codes(u32),
}

/// What an answer comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Success,
    /// A failure, of a kind that is not retried.
    Final,
    /// The callee wants no retry.
    Forbidden,
    /// Another attempt may help.
    Again,
}

impl Rules {
    #[inline]
    pub(crate) fn judge(&self, look: &Look) -> Verdict {
        if look.outcome == Outcome::Success && matches!(self.on, On::Usual) && !is_forbidden(look) {
            return without_retry(look);
        }
        self.judge_failure(look)
    }

    fn judge_failure(&self, look: &Look) -> Verdict {
        if look.is_of_no_account() {
            return Verdict::Final;
        }
        if let AnswerKind::Rejected(rejection) = look.answer
            && rejection.reason() != Reason::TimedOut
        {
            return Verdict::Final;
        }
        if is_forbidden(look) {
            return Verdict::Forbidden;
        }
        let again = match &self.on {
            On::Usual => is_worth_repeating(look),
            On::Function(function) => function(look),
            #[cfg(feature = "service-config")]
            On::Codes(codes) => grpc_failure(look).is_some_and(|code| codes >> code & 1 == 1),
        };
        if again {
            return Verdict::Again;
        }
        without_retry(look)
    }
}

/// Whether the callee wants no retry.
#[inline]
#[cfg_attr(
    not(feature = "http"),
    expect(unused_variables, reason = "only HTTP can say so")
)]
pub(super) fn is_forbidden(look: &Look) -> bool {
    #[cfg(feature = "http")]
    return look.pushback == Some(Pushback::Never);
    #[cfg(not(feature = "http"))]
    false
}

/// An answer that is not retried is a success, or of no account.
#[inline]
fn without_retry(look: &Look) -> Verdict {
    match (look.outcome, look.answer) {
        #[cfg(feature = "http")]
        (_, AnswerKind::GrpcStatus(1..)) => Verdict::Final,
        (Outcome::Success, _) => Verdict::Success,
        _ => Verdict::Final,
    }
}

/// The gRPC status that a failure stands for, as the specification translates it.
#[cfg(feature = "service-config")]
fn grpc_failure(look: &Look) -> Option<u16> {
    match look.answer {
        AnswerKind::GrpcStatus(code) => Some(code).filter(|code| (1..=16).contains(code)),
        AnswerKind::HttpStatus(status) => match status.as_u16() {
            200 => None,
            400 | 431 => Some(13),
            401 => Some(16),
            403 => Some(7),
            404 => Some(12),
            429 | 502..=504 => Some(14),
            _ => Some(2),
        },
        // A connection that failed or broke is UNAVAILABLE to every gRPC client.
        AnswerKind::Failed => Some(14),
        AnswerKind::Rejected(_) => Some(4),
        AnswerKind::Answered => None,
    }
}

impl fmt::Debug for On {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usual => f.write_str("Usual"),
            Self::Function(_) => f.write_str("Function"),
            #[cfg(feature = "service-config")]
            Self::Codes(codes) => write!(f, "Codes({codes:#b})"),
        }
    }
}
