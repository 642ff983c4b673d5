use super::Shared;
use crate::rejection::{Reason, Rejection};
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A call's place in the line. Dropping it leaves the line, and those behind move up.
#[must_use = "dropping it leaves the line"]
pub struct PaceTurn {
    pub(super) shared: Arc<Shared>,
    /// `None` once the answer has been given.
    pub(super) ticket: Option<u64>,
    /// It has waited for as long as it may.
    pub(super) until: Option<Instant>,
    pub(super) deadline: Option<Instant>,
    pub(super) wake_at: Option<Instant>,
}

impl PaceTurn {
    pub(super) fn poll(
        &mut self,
        now: Instant,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        let Some(ticket) = self.ticket else {
            return Poll::Pending;
        };
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            let name = self.shared.line.lock().settings.name;
            self.leave();
            return Poll::Ready(Err(Rejection::new(Reason::DeadlinePassed, name)));
        }
        let mut line = self.shared.line.lock();
        let next = line.next.unwrap_or(now);
        let waited_too_long = self.until.is_some_and(|until| until <= now);
        let held_up = if waited_too_long && !line.is_first(ticket) && next + HELD_UP <= now {
            line.put_first_out(ticket)
        } else {
            [None, None]
        };
        let is_first = line.is_first(ticket);
        let is_due = is_first && next <= now;
        if !line.tickets.contains_key(&ticket) || (waited_too_long && !is_due) {
            let name = line.settings.name;
            drop(line);
            held_up.into_iter().flatten().for_each(Waker::wake);
            self.leave();
            return Poll::Ready(Err(Rejection::new(Reason::WaitedTooLong, name)));
        }
        if is_due {
            line.tickets.remove(&ticket);
            line.next = line.settings.after(next, now);
            self.ticket = None;
            let successor = line.take_first_waker();
            drop(line);
            // Waking runs foreign code, so it happens outside the lock.
            let wakers = held_up.into_iter().chain([successor]);
            wakers.flatten().for_each(Waker::wake);
            return Poll::Ready(Ok(()));
        }
        // Only the first has its turn to wait for; the others wait to be the first.
        self.wake_at = [self.deadline, self.until, is_first.then_some(next)]
            .into_iter()
            .flatten()
            .min();
        let replaced = match line.tickets.get_mut(&ticket) {
            Some(Some(known)) if known.will_wake(context.waker()) => None,
            Some(known) => known.replace(context.waker().clone()),
            None => None,
        };
        drop(line);
        drop(replaced);
        Poll::Pending
    }

    fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else {
            return;
        };
        let mut line = self.shared.line.lock();
        let was_first = line.is_first(ticket);
        let own = line.tickets.remove(&ticket);
        let successor = if was_first {
            line.take_first_waker()
        } else {
            None
        };
        drop(line);
        drop(own);
        if let Some(waker) = successor {
            waker.wake();
        }
    }
}

impl Drop for PaceTurn {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for PaceTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PaceTurn")
            .field("ticket", &self.ticket)
            .finish_non_exhaustive()
    }
}

/// How long after its turn the first in line may come, while others wait in vain behind it.
const HELD_UP: Duration = Duration::from_millis(100);
