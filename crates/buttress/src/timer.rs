//! One timer for a whole stack of layers.
//!
//! Registering a timer with the runtime costs more than everything else that a timeout does. So
//! of all the futures of ours that are nested in one task, only the outermost registers one, for
//! the earliest of their instants; those inside tell it theirs.
//!
//! That is sound because the nesting is real: an inner future is told apart by being polled
//! *during* the outer one's poll, with the very same waker. Whatever stands between the two and
//! passes its waker on has promised to poll the inner one whenever the task is woken. Where
//! something in between brings a waker of its own (`FuturesUnordered`, a spawned task), the inner
//! one registers its own timer.

use crate::clock;
use pin_project::pin_project;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::ptr;
use std::task::{Context, Poll, RawWakerVTable, Waker};
use std::time::Instant;
use tokio::time::Sleep;

/// A timer that is registered when first needed, and only if no future further out has one.
#[pin_project]
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    #[pin]
    sleep: Option<Sleep>,
}

/// What polling the work inside came to.
pub(crate) enum Step<T> {
    Done(T),
    /// Poll again when woken, and at this instant at the latest.
    PendingUntil(Option<Instant>),
}

impl Alarm {
    pub(crate) const fn new() -> Self {
        Self { sleep: None }
    }

    /// Polls the work inside, and sees to it that the task is woken at the instant that the work
    /// names.
    #[inline]
    pub(crate) fn poll<T>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Context<'_>) -> Step<T>,
    ) -> Poll<T> {
        let mut sleep = self.project().sleep;
        let rang = sleep
            .as_ref()
            .as_pin_ref()
            .is_some_and(|sleep| sleep.is_elapsed());
        let scope = Scope::enter(context.waker(), rang);
        let own = match work(context) {
            Step::Done(done) => return Poll::Ready(done),
            Step::PendingUntil(own) => own,
        };
        let Some(instant) = scope.leave(own) else {
            return Poll::Pending;
        };
        let deadline = tokio::time::Instant::from_std(instant);
        match sleep.as_mut().as_pin_mut() {
            None => sleep.set(Some(tokio::time::sleep_until(deadline))),
            // A timer is never put off: what it was set for is still of interest to somebody who
            // was not polled this time. At worst it rings once for nothing.
            Some(sleep) if rang || deadline < sleep.deadline() => sleep.reset(deadline),
            Some(_) => {}
        }
        let ringing = sleep
            .as_pin_mut()
            .is_some_and(|sleep| sleep.poll(context).is_ready());
        if ringing {
            // The instant passed while this was polled. Whose it is, the next poll finds out.
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

/// Whether an instant has passed, as far as the work inside an [`Alarm::poll`] is concerned: no
/// clock is read unless a timer rang.
#[inline]
pub(crate) fn has_passed(instant: Instant) -> bool {
    SHARED.get().now.is_some_and(|now| instant <= now)
}

/// What the futures nested in one task's poll share.
#[derive(Clone, Copy)]
struct Shared {
    /// The waker that the outermost was polled with.
    task: Option<Task>,
    /// The time, if a timer rang.
    now: Option<Instant>,
    /// The earliest instant at which a future inside wants to be woken.
    earliest: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Task {
    data: *const (),
    vtable: *const RawWakerVTable,
}

impl Task {
    fn of(waker: &Waker) -> Self {
        Self {
            data: waker.data(),
            vtable: waker.vtable(),
        }
    }

    fn is(self, other: Self) -> bool {
        self.data == other.data && ptr::eq(self.vtable, other.vtable)
    }
}

thread_local! {
    static SHARED: Cell<Shared> = const {
        Cell::new(Shared { task: None, now: None, earliest: None })
    };
}

/// One future's part of a nested poll.
struct Scope {
    /// What was shared when this future was entered, if it is the outermost. It is restored on
    /// the way out, panics included.
    outside: Option<Shared>,
}

impl Scope {
    #[inline]
    fn enter(waker: &Waker, rang: bool) -> Self {
        let shared = SHARED.get();
        let task = Task::of(waker);
        if shared.task.is_some_and(|outer| outer.is(task)) {
            if rang && shared.now.is_none() {
                let now = Some(clock::now());
                SHARED.set(Shared { now, ..shared });
            }
            return Self { outside: None };
        }
        SHARED.set(Shared {
            task: Some(task),
            now: rang.then(clock::now),
            earliest: None,
        });
        Self {
            outside: Some(shared),
        }
    }

    /// Tells the future further out when to wake the task; or, if there is none, returns the
    /// instant for which the timer must be set.
    #[inline]
    fn leave(self, own: Option<Instant>) -> Option<Instant> {
        let shared = SHARED.get();
        let earliest = match (shared.earliest, own) {
            (Some(inner), Some(own)) => Some(inner.min(own)),
            (inner, own) => inner.or(own),
        };
        if self.outside.is_some() {
            return earliest;
        }
        SHARED.set(Shared { earliest, ..shared });
        None
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        if let Some(outside) = self.outside {
            SHARED.set(outside);
        }
    }
}
