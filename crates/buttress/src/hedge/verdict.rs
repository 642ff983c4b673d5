use super::layer::Shared;
use super::plan::Failures;
use crate::repeat::{AnswerKind, Look};
use buttress_core::Outcome;
#[cfg(feature = "http")]
use buttress_core::pushback::Pushback;
use std::time::Duration;

/// What an answer means to the other attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is taken.
    Final,
    /// It is not, and the next attempt is not waited for.
    SendNext,
    /// It is not, if another one is better.
    Wait,
}

/// What a callee says about more copies of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    Nothing,
    #[cfg_attr(
        not(feature = "http"),
        expect(dead_code, reason = "only HTTP can say so")
    )]
    Wait(Duration),
    NoMore,
}

impl Wish {
    #[cfg(feature = "http")]
    pub(super) fn of(look: &Look) -> Self {
        match look.pushback.map(Pushback::wait) {
            None => Self::Nothing,
            Some(Some(wait)) if wait <= LONGEST_PUSHBACK => Self::Wait(wait),
            Some(_) => Self::NoMore,
        }
    }

    #[cfg(not(feature = "http"))]
    pub(super) fn of(_: &Look) -> Self {
        Self::Nothing
    }
}

/// A callee that asks for more wants no hedge, and its caller does not want to wait for one.
#[cfg(feature = "http")]
const LONGEST_PUSHBACK: Duration = Duration::from_secs(60);

impl Shared {
    /// What an answer means. The budget is told.
    #[inline]
    pub(super) fn judge(&self, look: &Look, failures: Failures) -> Verdict {
        let verdict = verdict(look, failures);
        if let Some(budget) = &self.budget
            && failures != Failures::AreFinal
        {
            if verdict == Verdict::Final && Wish::of(look) != Wish::NoMore {
                if look.outcome == Outcome::Success {
                    budget.succeeded();
                }
            } else if !matches!(look.answer, AnswerKind::Rejected(_)) && !look.is_of_no_account() {
                budget.failed();
            }
        }
        verdict
    }
}

#[inline]
fn verdict(look: &Look, failures: Failures) -> Verdict {
    match (failures, look.outcome) {
        (Failures::Wait, Outcome::Success) | (Failures::AreFinal, _) => Verdict::Final,
        (Failures::Wait, _) => Verdict::Wait,
        (Failures::Codes(codes), _) => match grpc_code(look) {
            None => Verdict::Wait,
            Some(code @ 1..=16) if codes >> code & 1 == 1 => Verdict::SendNext,
            Some(_) => Verdict::Final,
        },
    }
}

/// What an answer is in gRPC; nothing if a layer of ours refused the attempt.
fn grpc_code(look: &Look) -> Option<u16> {
    match look.answer {
        AnswerKind::Rejected(_) => None,
        #[cfg(feature = "http")]
        AnswerKind::GrpcStatus(code) => Some(code),
        _ if look.outcome == Outcome::Success => Some(0),
        #[cfg(feature = "http")]
        AnswerKind::HttpStatus(status) => Some(match status.as_u16() {
            400 | 431 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502..=504 => 14,
            _ => 2,
        }),
        // A connection that failed or broke is UNAVAILABLE to every gRPC client.
        _ => Some(14),
    }
}
