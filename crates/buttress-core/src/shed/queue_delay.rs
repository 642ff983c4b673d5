use super::{CoDel, InstantOf};
use crate::never::Never;
use crate::now::Now;
use crate::policy::{Admission, Policy};
use crate::rejection::{Reason, Rejection};
use crate::setting::{SettingError, check_name};
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Refuses calls that waited for too long before their turn came, while the queue stands.
///
/// The wait is from the instant at which a call arrived, which it must carry, to the admission: in
/// a waiting room further out, in an executor's queue, wherever. A call that carries no instant is
/// admitted, and the log says so once.
pub struct QueueDelay<A> {
    codel: CoDel,
    arrival: A,
    name: &'static str,
    reported: AtomicBool,
}

impl<A> QueueDelay<A> {
    /// Calls arrived when `arrival` says. The name is `"queue-delay"`.
    pub fn new(codel: CoDel, arrival: A) -> Self {
        Self {
            codel,
            arrival,
            name: "queue-delay",
            reported: AtomicBool::new(false),
        }
    }

    /// The name that refusals carry.
    ///
    /// # Errors
    ///
    /// `name` is not 1 to 64 printable ASCII characters.
    pub fn named(mut self, name: &'static str) -> Result<Self, SettingError> {
        self.name = check_name("named", name)?;
        Ok(self)
    }

    /// Whether the queue stands.
    pub fn is_overloaded(&self) -> bool {
        self.codel.is_overloaded()
    }

    #[cold]
    fn report(&self) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            // Once, however many calls come: it is the service that must be mended.
            tracing::error!(
                policy = self.name,
                "calls do not say when they arrived, so nobody knows how long they waited"
            );
        }
    }
}

impl<C: ?Sized, A: InstantOf<C>> Policy<C> for QueueDelay<A> {
    type Permit = ();
    type Waiting = Never;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<(), Never> {
        let Some(arrived) = self.arrival.instant_of(call) else {
            self.report();
            return Admission::Admitted(());
        };
        let now = now.instant();
        let wait = now.saturating_duration_since(arrived);
        if self.codel.is_too_late(wait, now) {
            return Admission::Refused(Rejection::new(Reason::Overloaded, self.name));
        }
        Admission::Admitted(())
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &C,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<(), Rejection>> {
        match *waiting {}
    }
}

impl<A> fmt::Debug for QueueDelay<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueDelay")
            .field("name", &self.name)
            .field("codel", &self.codel)
            .finish_non_exhaustive()
    }
}
