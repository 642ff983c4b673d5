use crate::clock;
use crate::guard::{Held, Line, settle_refused};
use buttress_core::protocol::{Classify, SuccessIfOk};
use buttress_core::{Admission, Now, Policy, Rejection};
use std::future::{Future, poll_fn};
use std::pin::pin;

/// Runs a future under a policy, where there is no tower service to put a layer around.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
/// use buttress::{Bulkhead, Run};
/// use tower::BoxError;
///
/// let slots = Bulkhead::new(8)?;
/// let row = slots.run(async { Ok::<_, BoxError>("a row") }).await?;
/// assert_eq!(row, "a row");
/// # Ok(())
/// # }
/// ```
pub trait Run {
    /// Admits a call, or waits until it is, and runs `future`.
    ///
    /// # Errors
    ///
    /// The future's own, or the [`Rejection`] as one.
    ///
    /// # Cancellation
    ///
    /// Dropping the returned future leaves the waiting line, drops `future`, and gives the permit
    /// back.
    fn run<F, T, E>(&self, future: F) -> impl Future<Output = Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Rejection> + 'static,
        Self: Policy<()>,
    {
        self.run_for((), future)
    }

    /// The same for a policy that looks at the call: that has a key for instance.
    ///
    /// # Errors
    ///
    /// The future's own, or the [`Rejection`] as one.
    fn run_for<C, F, T, E>(&self, call: C, future: F) -> impl Future<Output = Result<T, E>>
    where
        F: Future<Output = Result<T, E>>,
        E: From<Rejection> + 'static,
        Self: Policy<C>,
    {
        async move {
            let now = Now::lazy(clock::now);
            let admission = self.admit(&call, &now);
            let permit = match admission {
                Admission::Admitted(permit) => permit,
                Admission::Refused(rejection) => return Err(rejection.into()),
                Admission::Wait(waiting) => {
                    let mut line = pin!(Line::new(self, waiting, call));
                    let (_, answer) = poll_fn(|context| line.as_mut().poll(context)).await;
                    answer?
                }
            };
            // Before the future, so that it is dropped after it.
            let mut permit = Held::new(permit);
            let mut future = pin!(future);
            let result = poll_fn(|context| {
                let watch = permit.watch();
                let polled = future.as_mut().poll(context);
                watch.done();
                polled
            })
            .await;
            if let Some(permit) = permit.take() {
                let outcome = SuccessIfOk.classify(result.as_ref());
                let refusal = result.as_ref().err().and_then(Rejection::of);
                settle_refused(permit, outcome, refusal);
            }
            result
        }
    }
}

impl<P: ?Sized> Run for P {}
