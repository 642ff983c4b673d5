use super::upload::{Turn, Upload};
#[cfg(feature = "http")]
use buttress_core::Outcome;
use pin_project::{pin_project, pinned_drop};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

/// The future of an attempt whose body may still be on its way.
///
/// Timeouts and guards inside of it learn who is waited for, if they ask while it is polled or
/// dropped. So they need not carry that about for the calls that end well; and what is asked by
/// somebody in a task of its own knows nothing of it, as if the body were complete.
///
/// # Cancellation
///
/// Dropping it drops the attempt's own future.
#[pin_project(PinnedDrop)]
pub struct Attempting<F> {
    /// Until it is dropped.
    #[pin]
    future: Option<F>,
    upload: Upload,
}

impl<F> Attempting<F> {
    /// The future of an attempt, and its [upload](super::Repeat::upload).
    #[inline]
    pub const fn new(future: F, upload: Upload) -> Self {
        let future = Some(future);
        Self { future, upload }
    }
}

impl<F: Future> Future for Attempting<F> {
    type Output = F::Output;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some(future) = this.future.as_pin_mut() else {
            return Poll::Pending;
        };
        if this.upload.is_nothing() {
            return future.poll(context);
        }
        let _scope = Scope::enter(this.upload);
        future.poll(context)
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Attempting<F> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        if !this.upload.is_nothing() {
            let _scope = Scope::enter(this.upload);
            this.future.set(None);
        }
    }
}

impl<F> fmt::Debug for Attempting<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempting")
            .field("upload", &self.upload)
            .finish_non_exhaustive()
    }
}

/// From when on the callee of the attempt that is polled has been waited for, and the deadline of the
/// whole call. Nothing if that is from the beginning, as far as anybody knows.
pub(crate) fn callee_since(now: Instant) -> Option<(Instant, Option<Instant>)> {
    with_current(|upload| Some((upload.turn()?.callee_since(now)?, upload.deadline())))
}

/// Whether the caller of the attempt that is dropped cannot have lost patience with the callee.
pub(crate) fn excuses_leaving() -> bool {
    with_current(|upload| upload.turn().is_some_and(Turn::excuses_leaving))
}

/// How a call went that has failed, and whether because it was not done by its caller's deadline.
#[cfg(feature = "http")]
pub(crate) fn failed(outcome: Outcome, is_late: bool) -> Outcome {
    if outcome != Outcome::Failure {
        return outcome;
    }
    let turn = with_current(Upload::turn);
    match turn {
        Some(Turn::Broken) => Outcome::Cancelled,
        Some(turn) if is_late && turn.excuses_leaving() => Outcome::Cancelled,
        _ => outcome,
    }
}

thread_local! {
    /// That of the attempt that is polled or dropped.
    static CURRENT: Cell<Upload> = const { Cell::new(Upload::nothing()) };
}

/// While it lives, the attempt's upload is the current one.
struct Scope<'a> {
    place: &'a mut Upload,
    outer: Upload,
}

impl<'a> Scope<'a> {
    fn enter(place: &'a mut Upload) -> Self {
        let own = mem::take(place);
        let outer = CURRENT.replace(own);
        Self { place, outer }
    }
}

/// Also if the attempt panics.
impl Drop for Scope<'_> {
    fn drop(&mut self) {
        *self.place = CURRENT.replace(mem::take(&mut self.outer));
    }
}

fn with_current<R>(look: impl FnOnce(&Upload) -> R) -> R {
    let current = CURRENT.take();
    let result = look(&current);
    CURRENT.set(current);
    result
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::super::upload::{Asked, Sending};
    use super::*;
    use futures_util::FutureExt;
    use std::future::{pending, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn waiting() -> (Sending, Upload) {
        let mut sending = Sending(Upload::begin(None));
        sending.note(Asked::Nothing);
        let upload = sending.0.share();
        (sending, upload)
    }

    #[test]
    fn only_what_is_inside_of_an_attempt_hears_of_its_upload() {
        let (_sending, upload) = waiting();
        assert!(!excuses_leaving());
        let inside = poll_fn(|_| Poll::Ready(excuses_leaving()));
        assert_eq!(Attempting::new(inside, upload).now_or_never(), Some(true));
        assert!(!excuses_leaving());
    }

    #[test]
    fn an_attempt_within_another_hides_its_upload_only_while_it_is_polled() {
        let (_sending, outer) = waiting();
        let untouched = Sending(Upload::begin(None));
        let inner = poll_fn(|_| Poll::Ready(excuses_leaving()));
        let inner = Attempting::new(inner, untouched.0.share());
        let both = inner.map(|inside| (inside, excuses_leaving()));
        let seen = Attempting::new(both, outer).now_or_never();
        assert_eq!(seen, Some((false, true)));
    }

    #[test]
    fn a_panic_leaves_no_upload_behind() {
        struct PanicsWhenDropped;
        impl Drop for PanicsWhenDropped {
            fn drop(&mut self) {
                assert!(!excuses_leaving(), "as it is meant to be");
            }
        }
        let (_sending, upload) = waiting();
        let panics = poll_fn(|_| -> Poll<()> { panic!("as it is meant to be") });
        let call = || Attempting::new(panics, upload.share()).now_or_never();
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
        assert!(!excuses_leaving());
        let dropped = || {
            let held = PanicsWhenDropped;
            let waits = async move {
                let _held = held;
                pending::<()>().await;
            };
            Attempting::new(waits, upload.share()).now_or_never()
        };
        assert!(catch_unwind(AssertUnwindSafe(dropped)).is_err());
        assert!(!excuses_leaving());
    }
}
