use super::attempt::Attempt;
use super::layer::Shared;
use super::plan::{Failures, Plan};
use super::verdict::{Verdict, Wish};
use crate::clock;
use crate::repeat::{Judge, Look, Repeat};
use crate::retry::{Origin, RetryProtocol};
use crate::timer::has_passed;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::task::coop::has_budget_remaining;
use tower_service::Service;

/// What the inner service is called with.
pub(super) type Sent<Pr, Req> = <Pr as Repeat<Req>>::Attempt;

/// The attempts beyond the first of a call, and what they are made of.
pub(super) struct Race<S, Pr, Req>
where
    S: Service<Sent<Pr, Req>>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    service: S,
    protocol: Pr,
    kept: Pr::Kept,
    origin: Origin,
    plan: Plan,
    deadline: Option<Instant>,
    next: Next,
    /// How many hedges were sent.
    sent: u32,
    hedges: Vec<Pin<Box<Hedge<S, Pr, Req>>>>,
    /// What to answer if nobody succeeds. In a box, since most calls need none.
    failed: Option<Box<Result<Pr::Response, S::Error>>>,
    /// How long to wait for the first attempt to have sent the body.
    patience: Duration,
}

type Hedge<S, Pr, Req> = Attempt<
    S,
    Sent<Pr, Req>,
    <Pr as Judge<
        Sent<Pr, Req>,
        <S as Service<Sent<Pr, Req>>>::Response,
        <S as Service<Sent<Pr, Req>>>::Error,
    >>::Observer,
>;

/// When to send the next hedge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// The call has not been pending yet.
    Unset,
    Now,
    At(Instant),
    Never,
}

/// An answer that is taken.
pub(super) struct Taken<A> {
    pub(super) answer: A,
    pub(super) look: Look,
}

impl<S, Pr, Req> Race<S, Pr, Req>
where
    S: Service<Sent<Pr, Req>> + Clone,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    pub(super) fn new(
        service: S,
        protocol: Pr,
        kept: Pr::Kept,
        origin: Origin,
        plan: Plan,
        deadline: Option<Instant>,
    ) -> Self {
        Self {
            service,
            protocol,
            kept,
            origin,
            plan,
            deadline,
            next: Next::Unset,
            sent: 0,
            hedges: Vec::new(),
            failed: None,
            patience: SHORTEST_PATIENCE,
        }
    }

    /// The first attempt has ended without being taken. Returns its answer if there is nothing to
    /// wait for.
    pub(super) fn first_failed(
        &mut self,
        answer: Result<Pr::Response, S::Error>,
        look: &Look,
        verdict: Verdict,
    ) -> Option<Result<Pr::Response, S::Error>> {
        self.heed(look, verdict);
        if verdict == Verdict::Wait && !self.is_running() && !self.is_interrupted() {
            return Some(answer);
        }
        if self.protocol.again(&self.kept).is_none() {
            // It will never have been sent through now.
            self.next = Next::Never;
        }
        self.failed = Some(Box::new(answer));
        None
    }

    /// Polls the hedges, and sends those that are due. Returns the answer that is taken.
    pub(super) fn poll(
        &mut self,
        shared: &Shared,
        arrival: Option<Instant>,
        first_runs: bool,
        context: &mut Context<'_>,
    ) -> Option<Taken<Result<Pr::Response, S::Error>>> {
        if self.next == Next::Unset {
            let at = arrival.unwrap_or_else(clock::now) + self.plan.delay;
            self.next = if self.plan.delay.is_zero() {
                Next::Now
            } else {
                Next::At(at)
            };
        }
        loop {
            let mut index = 0;
            while let Some(hedge) = self.hedges.get_mut(index) {
                let Poll::Ready(answered) = hedge.as_mut().poll(context) else {
                    index += 1;
                    continue;
                };
                drop(self.hedges.swap_remove(index));
                let Some((result, observer)) = answered else {
                    continue;
                };
                let (answer, look) = Pr::look(observer, result, context);
                let verdict = shared.judge(&look, self.plan.failures);
                if verdict == Verdict::Final {
                    return Some(Taken { answer, look });
                }
                self.heed(&look, verdict);
                if verdict == Verdict::SendNext {
                    self.failed = Some(Box::new(answer));
                }
            }
            let due = match self.next {
                Next::Now => true,
                Next::At(instant) => has_passed(instant),
                Next::Unset | Next::Never => false,
            };
            if !due {
                return None;
            }
            self.send(shared, first_runs);
        }
    }

    /// The answer if nobody is left who could give a better one.
    pub(super) fn give_up(
        &mut self,
        context: &mut Context<'_>,
    ) -> Option<Result<Pr::Response, S::Error>> {
        // Where failures send the next attempt it is waited for, unless nobody else does.
        let hope = match self.next {
            Next::At(instant) => self.deadline.is_none_or(|deadline| instant < deadline),
            _ => false,
        };
        if self.is_running() || (hope && matches!(self.plan.failures, Failures::Codes(_))) {
            return None;
        }
        if self.is_interrupted() {
            context.waker().wake_by_ref();
            return None;
        }
        let failed = self.failed.take();
        // Those that are not ready are no hope.
        self.stop();
        failed.map(|failed| *failed)
    }

    /// Drops the hedges, and the answer of one that failed.
    pub(super) fn stop(&mut self) {
        self.next = Next::Never;
        self.hedges.clear();
        self.failed = None;
    }

    /// When the next hedge is due.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match self.next {
            Next::At(instant) => Some(instant),
            Next::Unset | Next::Now | Next::Never => None,
        }
    }

    fn is_running(&self) -> bool {
        self.hedges.iter().any(|hedge| hedge.is_running())
    }

    /// Whether it is not known if a hedge would be ready: tokio's own primitives are pending without
    /// a reason when a task has run for long.
    fn is_interrupted(&self) -> bool {
        !self.hedges.is_empty() && !has_budget_remaining()
    }

    /// Changes when the next is sent by what an answer said.
    fn heed(&mut self, look: &Look, verdict: Verdict) {
        if self.next == Next::Never {
            return;
        }
        match Wish::of(look) {
            Wish::Wait(wait) => {
                let at = clock::now() + wait;
                self.next = match self.next {
                    // Nobody asked for it to come sooner.
                    Next::At(later) if verdict == Verdict::Wait => Next::At(later.max(at)),
                    _ => Next::At(at),
                };
            }
            Wish::NoMore => self.next = Next::Never,
            Wish::Nothing if verdict == Verdict::SendNext => self.next = Next::Now,
            Wish::Nothing => {}
        }
    }

    fn send(&mut self, shared: &Shared, first_runs: bool) {
        self.next = Next::Never;
        if self.sent + 1 >= self.plan.attempts {
            return;
        }
        let now = clock::now();
        let Some(mut attempt) = self.protocol.again(&self.kept) else {
            // Perhaps the body has not been sent through. Nobody tells when it has been.
            if first_runs {
                self.next = Next::At(now + self.patience);
                self.patience = (2 * self.patience).min(LONGEST_PATIENCE);
            }
            return;
        };
        if !shared.withdraw(now) {
            return;
        }
        self.sent += 1;
        self.protocol
            .tell_attempts(&mut attempt, self.sent, &self.origin, &shared.names);
        let observer = self.protocol.observe(&attempt);
        let hedge = Attempt::new(self.service.clone(), attempt, observer);
        self.hedges.push(Box::pin(hedge));
        if self.sent + 1 < self.plan.attempts {
            self.next = if self.plan.delay.is_zero() {
                Next::Now
            } else {
                Next::At(now + self.plan.delay)
            };
        }
    }
}

const SHORTEST_PATIENCE: Duration = Duration::from_millis(1);
const LONGEST_PATIENCE: Duration = Duration::from_secs(1);
