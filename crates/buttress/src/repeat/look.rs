#[cfg(feature = "http")]
use buttress_core::pushback::Pushback;
use buttress_core::{Outcome, Rejection};

/// What an answer looks like before anything is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Look {
    /// How the attempt went, as the protocol's classifier says. A stream of gRPC that has begun
    /// well counts as a success, since its end is not known yet.
    pub outcome: Outcome,
    /// What kind of answer it is.
    pub answer: AnswerKind,
    /// What the callee says about being called again.
    #[cfg(feature = "http")]
    pub pushback: Option<Pushback>,
}

/// What kind of answer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AnswerKind {
    /// A layer of ours refused the attempt, or gave it up.
    Rejected(Rejection),
    /// The service failed with an error of its own: for a client, that there was no connection, or
    /// that it broke.
    Failed,
    /// The service answered, in a protocol of which nothing is known.
    Answered,
    /// An HTTP response with this status.
    #[cfg(feature = "http")]
    HttpStatus(http::StatusCode),
    /// A gRPC response with this status code, which came before any message.
    #[cfg(feature = "http")]
    GrpcStatus(u16),
}

impl Look {
    /// Whether there is no answer, and that says nothing about the callee: the call never reached it,
    /// or its sender is to blame.
    pub(crate) fn is_of_no_account(&self) -> bool {
        self.outcome == Outcome::Cancelled
            && matches!(self.answer, AnswerKind::Failed | AnswerKind::Rejected(_))
    }

    pub(super) const fn new(outcome: Outcome, answer: AnswerKind) -> Self {
        Self {
            outcome,
            answer,
            #[cfg(feature = "http")]
            pushback: None,
        }
    }
}
