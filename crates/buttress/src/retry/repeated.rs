//! From one attempt to the next.

use super::origin::Origin;
use super::protocol::RetryProtocol;
use super::rules::{Shared, Verdict};
use crate::clock;
use crate::repeat::{Judge, Look, Repeat};
use buttress_core::backoff::Waits;
#[cfg(feature = "http")]
use buttress_core::pushback::Pushback;
use buttress_core::{Here, Now};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::coop::has_budget_remaining;
use tower_service::Service;

/// A call that may be made again, and what is needed to.
pub(super) struct Repeated<S, Pr: Repeat<Req>, Req> {
    pub(super) service: S,
    pub(super) protocol: Pr,
    pub(super) shared: Here<Shared>,
    /// Which of the shared rules.
    pub(super) rules: usize,
    pub(super) kept: Pr::Kept,
    pub(super) origin: Origin,
    pub(super) deadline: Option<Instant>,
    /// That were made so far.
    pub(super) retries: u32,
    pub(super) waits: Waits,
}

/// What follows an answer.
pub(super) enum Next<A, T> {
    /// It is the caller's.
    Answer(T),
    /// Another attempt. In a box, so that the calls that succeed at once are the smaller for it.
    Wait(Box<Waiting<A, T>>),
}

/// A [`Next`] of a service and a protocol.
pub(super) type NextOf<S, Pr, Req> = Next<<Pr as Repeat<Req>>::Attempt, AnswerOf<S, Pr, Req>>;

/// What a retry answers.
pub(super) type AnswerOf<S, Pr, Req> = Result<
    <Pr as Judge<
        <Pr as Repeat<Req>>::Attempt,
        <S as Service<<Pr as Repeat<Req>>::Attempt>>::Response,
        <S as Service<<Pr as Repeat<Req>>::Attempt>>::Error,
    >>::Response,
    <S as Service<<Pr as Repeat<Req>>::Attempt>>::Error,
>;

/// What there is between two attempts.
pub(super) struct Waiting<A, T> {
    /// The caller's, if the next attempt cannot be made.
    pub(super) answer: T,
    pub(super) next: A,
    pub(super) due: Due,
}

/// When the next attempt is due.
#[derive(Clone, Copy, Debug)]
pub(super) enum Due {
    Now,
    At(Instant),
}

/// Whether the service takes another attempt.
pub(super) enum Ready<S> {
    Yes(S),
    No,
    /// This task has to let others run first. It will be woken.
    Unknown,
}

impl<S, Pr, Req> Repeated<S, Pr, Req>
where
    S: Service<<Pr as Repeat<Req>>::Attempt> + Clone,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    /// Decides what follows an answer that looks like this.
    #[inline]
    pub(super) fn after(
        &mut self,
        answer: AnswerOf<S, Pr, Req>,
        look: &Look,
    ) -> NextOf<S, Pr, Req> {
        match self.shared.rules(self.rules).judge(look) {
            Verdict::Success => {
                if let Some(budget) = &self.shared.budget {
                    budget.succeeded();
                }
                Next::Answer(answer)
            }
            Verdict::Final => Next::Answer(answer),
            Verdict::Forbidden => self.forbidden(answer),
            Verdict::Again if Pr::is_marked(&answer, &self.shared.names) => self.forbidden(answer),
            Verdict::Again => self.again(answer, look),
        }
    }

    fn forbidden(&self, answer: AnswerOf<S, Pr, Req>) -> NextOf<S, Pr, Req> {
        if let Some(budget) = &self.shared.budget {
            budget.failed();
        }
        self.origin.give_up();
        Next::Answer(answer)
    }

    #[cold]
    fn again(&mut self, answer: AnswerOf<S, Pr, Req>, look: &Look) -> NextOf<S, Pr, Req> {
        if let Some(budget) = &self.shared.budget {
            budget.failed();
        }
        if self.retries + 1 >= self.shared.rules(self.rules).attempts {
            return Next::Answer(self.not_made(answer));
        }
        let (wait, asked) = self.wait(look);
        let now = Now::lazy(clock::now);
        let Some(due) = self.due(wait, &now) else {
            // Whoever is further up must not come back sooner either.
            return Next::Answer(if asked {
                self.given_up(answer)
            } else {
                self.not_made(answer)
            });
        };
        let Some(mut next) = self.protocol.again(&self.kept) else {
            return Next::Answer(self.not_made(answer));
        };
        // Last, so that nothing is taken from the budget that is not used.
        let budget = self.shared.budget.as_ref();
        if budget.is_some_and(|budget| !budget.withdraw(&now)) {
            return Next::Answer(self.given_up(answer));
        }
        let names = &self.shared.names;
        self.protocol
            .tell_attempts(&mut next, self.retries + 1, &self.origin, names);
        Next::Wait(Box::new(Waiting { answer, next, due }))
    }

    /// How long to wait, and whether the callee asked for it.
    fn wait(&mut self, look: &Look) -> (Duration, bool) {
        #[cfg(feature = "http")]
        if let Some(asked) = look.pushback.and_then(Pushback::wait) {
            self.waits.start_again();
            return (asked, true);
        }
        let overloaded = look.outcome == buttress_core::Outcome::Overload;
        let backoff = &self.shared.rules(self.rules).backoff;
        let wait = backoff.next(&mut self.waits, overloaded, &self.shared.random);
        (wait, false)
    }

    /// When the next attempt is due, unless nobody would wait for it.
    fn due(&self, wait: Duration, now: &Now) -> Option<Due> {
        if wait > self.shared.longest_wait {
            return None;
        }
        // A year at most, so that this does not overflow any platform's clock.
        let at = now.instant() + wait;
        let in_time = self.deadline.is_none_or(|deadline| at < deadline);
        in_time.then_some(if wait.is_zero() {
            Due::Now
        } else {
            Due::At(at)
        })
    }

    /// Asks a fresh clone. One that is not ready is not waited for.
    pub(super) fn ready(&self, task: &mut Context<'_>) -> Ready<S> {
        let mut fresh = self.service.clone();
        match fresh.poll_ready(task) {
            Poll::Ready(Ok(())) => Ready::Yes(fresh),
            // tokio's own primitives are pending without a reason when a task has run for long.
            Poll::Pending if !has_budget_remaining() => {
                task.waker().wake_by_ref();
                Ready::Unknown
            }
            Poll::Pending | Poll::Ready(Err(_)) => Ready::No,
        }
    }

    /// The answer when the next attempt cannot be made: given up, if it was retried.
    pub(super) fn not_made(&self, answer: AnswerOf<S, Pr, Req>) -> AnswerOf<S, Pr, Req> {
        if self.retries == 0 {
            return answer;
        }
        self.given_up(answer)
    }

    fn given_up(&self, mut answer: AnswerOf<S, Pr, Req>) -> AnswerOf<S, Pr, Req> {
        Pr::mark(&mut answer, &self.shared.names);
        self.origin.give_up();
        answer
    }
}
