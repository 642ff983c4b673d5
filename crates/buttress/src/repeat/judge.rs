use super::{AnswerKind, Look};
use buttress_core::protocol::Classify;
use buttress_core::{Plain, Rejection};
use std::task::Context;

/// How a kind of service looks at an answer before it is passed on.
///
/// [`Plain`] and `Http` implement it; there is no need for others to.
pub trait Judge<Attempt, Res, Err> {
    /// What is remembered of an attempt in order to judge its answer.
    type Observer;

    /// What the answer is passed on as.
    type Response;

    /// Looks at an attempt that goes on to the service.
    fn observe(&self, attempt: &Attempt) -> Self::Observer;

    /// Looks at its answer. Nothing is awaited: of a body, at most the frame that is there already
    /// is looked at, and it is passed on with the rest.
    ///
    /// # Errors
    ///
    /// The inner service's, unchanged.
    fn look(
        observer: Self::Observer,
        result: Result<Res, Err>,
        context: &mut Context<'_>,
    ) -> (Result<Self::Response, Err>, Look);
}

impl<Attempt, Res, Err: 'static, F> Judge<Attempt, Res, Err> for Plain<F>
where
    F: Classify<Res, Err> + Clone,
{
    type Observer = Self;
    type Response = Res;

    #[inline]
    fn observe(&self, _: &Attempt) -> Self {
        self.clone()
    }

    #[inline]
    fn look(
        protocol: Self,
        result: Result<Res, Err>,
        _: &mut Context<'_>,
    ) -> (Result<Res, Err>, Look) {
        let outcome = protocol.outcome(&result);
        let answer = match &result {
            Ok(_) => AnswerKind::Answered,
            Err(error) => of_error(error),
        };
        (result, Look::new(outcome, answer))
    }
}

/// What an error of a type that nothing is known about is.
pub(super) fn of_error<E: 'static>(error: &E) -> AnswerKind {
    Rejection::of(error).map_or(AnswerKind::Failed, |rejection| {
        AnswerKind::Rejected(*rejection)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use buttress_core::{Outcome, Reason};
    use std::error::Error;
    use std::task::Waker;

    fn look(result: Result<u8, Box<dyn Error + Send + Sync>>) -> Look {
        let mut context = Context::from_waker(Waker::noop());
        let protocol = Plain::new();
        let observer = Judge::<u8, u8, Box<dyn Error + Send + Sync>>::observe(&protocol, &1);
        <Plain as Judge<u8, _, _>>::look(observer, result, &mut context).1
    }

    #[test]
    fn a_refusal_of_ours_is_told_from_an_error_of_the_service() {
        let full = Rejection::new(Reason::BulkheadFull, "slots");
        let refused = look(Err(full.into()));
        assert_eq!(refused.outcome, Outcome::Cancelled);
        assert_eq!(refused.answer, AnswerKind::Rejected(full));
        let failed = look(Err("no route to host".into()));
        assert_eq!(failed.outcome, Outcome::Failure);
        assert_eq!(failed.answer, AnswerKind::Failed);
        assert_eq!(look(Ok(1)).outcome, Outcome::Success);
    }
}
