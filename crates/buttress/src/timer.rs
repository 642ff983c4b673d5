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
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        work: impl FnOnce(&mut Context<'_>) -> Step<T>,
    ) -> Poll<T> {
        let watch = self.as_mut().watch(context);
        match work(context) {
            Step::Done(done) => Poll::Ready(done),
            Step::PendingUntil(own) => {
                watch.wait(self, context, own);
                Poll::Pending
            }
        }
    }

    /// Begins what [`poll`](Self::poll) does, for work whose result is large: what passes through a
    /// closure is copied once more. The work is done when this is dropped, and waits when it is told
    /// to.
    #[inline]
    pub(crate) fn watch(self: Pin<&mut Self>, context: &Context<'_>) -> Watch {
        let sleep = self.project().sleep.as_pin_mut();
        let rang = sleep.is_some_and(|sleep| sleep.is_elapsed());
        let scope = Scope::enter(context.waker(), rang);
        Watch { scope, rang }
    }
}

/// Work that is being polled.
#[must_use = "dropped, it is over"]
pub(crate) struct Watch {
    scope: Scope,
    rang: bool,
}

impl Watch {
    /// Nothing is done. The task is woken at this instant at the latest, by the alarm that began this.
    #[inline]
    pub(crate) fn wait(
        self,
        alarm: Pin<&mut Alarm>,
        context: &mut Context<'_>,
        own: Option<Instant>,
    ) {
        let Some(instant) = self.scope.leave(own) else {
            return;
        };
        let deadline = tokio::time::Instant::from_std(instant);
        let mut sleep = alarm.project().sleep;
        match sleep.as_mut().as_pin_mut() {
            None => sleep.set(Some(tokio::time::sleep_until(deadline))),
            // A timer is never put off: what it was set for is still of interest to somebody who
            // was not polled this time. At worst it rings once for nothing.
            Some(sleep) if self.rang || deadline < sleep.deadline() => sleep.reset(deadline),
            Some(_) => {}
        }
        let ringing = sleep
            .as_pin_mut()
            .is_some_and(|sleep| sleep.poll(context).is_ready());
        if ringing {
            // The instant passed while this was polled. Whose it is, the next poll finds out.
            context.waker().wake_by_ref();
        }
    }
}

/// Whether an instant has passed, as far as work that an [`Alarm`] watches is concerned: no clock is
/// read unless a timer rang.
#[inline]
pub(crate) fn has_passed(instant: Instant) -> bool {
    SHARED.with(|shared| shared.now.get().is_some_and(|now| instant <= now))
}

thread_local! {
    static SHARED: Shared = const {
        Shared {
            task: Cell::new(None),
            now: Cell::new(None),
            earliest: Cell::new(None),
        }
    };
}

/// What the futures nested in one task's poll share. Without a task, the rest means nothing.
struct Shared {
    /// The waker that the outermost was polled with.
    task: Cell<Option<Task>>,
    /// The time, if a timer rang.
    now: Cell<Option<Instant>>,
    /// The earliest instant at which a future inside wants to be woken.
    earliest: Cell<Option<Instant>>,
}

#[derive(Clone, Copy)]
struct Task {
    data: *const (),
    vtable: &'static RawWakerVTable,
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

/// One future's part of a nested poll. What the outermost of a task changes is restored on the
/// way out, panics included.
enum Scope {
    Inner,
    Outermost,
    /// The outermost of a task that is polled within the poll of another, as `FuturesUnordered`
    /// does it.
    Within(Task, Option<Instant>, Option<Instant>),
}

impl Scope {
    #[inline]
    fn enter(waker: &Waker, rang: bool) -> Self {
        let task = Task::of(waker);
        SHARED.with(|shared| {
            let scope = match shared.task.get() {
                None => Self::Outermost,
                Some(outer) if outer.is(task) => {
                    if rang && shared.now.get().is_none() {
                        shared.now.set(Some(clock::now()));
                    }
                    return Self::Inner;
                }
                Some(other) => Self::Within(other, shared.now.get(), shared.earliest.get()),
            };
            shared.task.set(Some(task));
            shared.now.set(rang.then(clock::now));
            shared.earliest.set(None);
            scope
        })
    }

    /// Tells the future further out when to wake the task; or, if there is none, returns the
    /// instant for which the timer must be set.
    #[inline]
    fn leave(self, own: Option<Instant>) -> Option<Instant> {
        SHARED.with(|shared| {
            let earliest = match (shared.earliest.get(), own) {
                (Some(inner), Some(own)) => Some(inner.min(own)),
                (inner, own) => inner.or(own),
            };
            if matches!(self, Self::Inner) {
                shared.earliest.set(earliest);
                return None;
            }
            earliest
        })
    }
}

impl Drop for Scope {
    #[inline]
    fn drop(&mut self) {
        match *self {
            Self::Inner => {}
            Self::Outermost => SHARED.with(|shared| shared.task.set(None)),
            Self::Within(task, now, earliest) => SHARED.with(|shared| {
                shared.task.set(Some(task));
                shared.now.set(now);
                shared.earliest.set(earliest);
            }),
        }
    }
}
