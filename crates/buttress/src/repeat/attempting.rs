use super::upload::Upload;
#[cfg(feature = "http")]
use buttress_core::{Outcome, Rejection};
use pin_project::{pin_project, pinned_drop};
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::mem::{self, ManuallyDrop};
use std::pin::Pin;
use std::task::{Context, Poll};

/// The future of an attempt whose body may still be on its way.
///
/// Guards inside of it learn who is waited for, if they ask while it is polled or dropped. So they
/// need not carry that about for the calls that end well; and what is asked by somebody in a task of
/// its own knows nothing of it, as if the body were complete.
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

    /// The same for an attempt whose body is complete. It hides that of an attempt around it.
    pub(crate) const fn of_complete(future: F) -> Self {
        Self::new(future, Upload::nothing())
    }

    /// What is known of its body, once it has been answered.
    #[inline]
    pub(crate) fn take_upload(self: Pin<&mut Self>) -> Upload {
        mem::take(self.project().upload)
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
        let _scope = Scope::enter(this.upload);
        future.poll(context)
    }
}

#[pinned_drop]
impl<F> PinnedDrop for Attempting<F> {
    #[inline]
    fn drop(self: Pin<&mut Self>) {
        let mut this = self.project();
        let _scope = Scope::enter(this.upload);
        this.future.set(None);
    }
}

impl<F> fmt::Debug for Attempting<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempting")
            .field("upload", &self.upload)
            .finish_non_exhaustive()
    }
}

/// Whether the caller of the attempt that is dropped cannot have lost patience with the callee.
pub(crate) fn excuses_leaving() -> bool {
    with_current(Upload::excuses_leaving)
}

/// How a call of the attempt that is polled went, if it has failed with an error, or by this refusal
/// of a layer further in.
#[cfg(feature = "http")]
pub(crate) fn excuse(outcome: Outcome, refusal: Option<&Rejection>) -> Outcome {
    with_current(|upload| upload.excuse(outcome, refusal))
}

/// The upload of the attempt that is polled.
#[cfg(feature = "http")]
pub(crate) fn current() -> Upload {
    with_current(Upload::share)
}

thread_local! {
    /// That of the attempt that is polled or dropped. Without a destructor, so that calls may be
    /// dropped when their thread ends: a [`Scope`] leaves nothing behind.
    static CURRENT: Cell<ManuallyDrop<Upload>> =
        const { Cell::new(ManuallyDrop::new(Upload::nothing())) };

    /// Whether there is one. Most attempts have none, and need not look further.
    static IS_THERE: Cell<bool> = const { Cell::new(false) };
}

/// While it lives, the attempt's upload is the current one, or none is if it has none.
enum Scope<'a> {
    /// Neither it nor one around it has any.
    Nothing,
    Swapped {
        place: &'a mut Upload,
        outer: Upload,
    },
}

impl<'a> Scope<'a> {
    #[inline]
    fn enter(place: &'a mut Upload) -> Self {
        if place.is_nothing() && !is_there() {
            return Self::Nothing;
        }
        let outer = replace(mem::take(place));
        Self::Swapped { place, outer }
    }
}

/// Also if the attempt panics.
impl Drop for Scope<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Self::Swapped { place, outer } = self {
            **place = replace(mem::take(outer));
        }
    }
}

fn with_current<R>(look: impl FnOnce(&Upload) -> R) -> R {
    if !is_there() {
        return look(&Upload::nothing());
    }
    let current = replace(Upload::nothing());
    let result = look(&current);
    replace(current);
    result
}

#[inline]
fn is_there() -> bool {
    IS_THERE.try_with(Cell::get).unwrap_or(false)
}

fn replace(upload: Upload) -> Upload {
    let _ = IS_THERE.try_with(|is_there| is_there.set(!upload.is_nothing()));
    let replaced = CURRENT.try_with(|current| current.replace(ManuallyDrop::new(upload)));
    replaced.map_or_else(|_| Upload::nothing(), ManuallyDrop::into_inner)
}

#[cfg(all(test, feature = "http"))]
mod tests {
    use super::super::upload::{Sending, Turn};
    use super::*;
    use futures_util::FutureExt;
    use std::future::{pending, poll_fn};
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn waiting() -> (Sending, Upload) {
        let sending = Sending(Upload::begin());
        sending.tell(Turn::Sender);
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
    fn an_attempt_within_another_hides_its_upload_only_while_it_is_polled_or_dropped() {
        struct AsksWhenDropped;
        impl Drop for AsksWhenDropped {
            fn drop(&mut self) {
                assert!(!excuses_leaving());
            }
        }
        for inner in [Upload::begin(), Upload::nothing()] {
            let (_sending, outer) = waiting();
            let dropped = AsksWhenDropped;
            let within = poll_fn(move |_| {
                let _ = &dropped;
                Poll::Ready(excuses_leaving())
            });
            let within = Attempting::new(within, inner);
            let both = within.map(|inside| (inside, excuses_leaving()));
            let seen = Attempting::new(both, outer).now_or_never();
            assert_eq!(seen, Some((false, true)));
        }
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
