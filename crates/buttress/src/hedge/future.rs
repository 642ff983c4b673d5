use super::layer::Shared;
use super::plan::Failures;
use super::race::{Race, Sent, Taken};
use super::verdict::Verdict;
use crate::clock;
use crate::repeat::{Attempting, Look, Repeat};
use crate::retry::RetryProtocol;
use crate::timer::{Alarm, Step};
use buttress_core::Outcome;
use pin_project::pin_project;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tower_service::Service;

/// The future of a call that may be hedged.
///
/// # Cancellation
///
/// It can be dropped at any point; all attempts are dropped with it.
#[pin_project]
pub struct HedgeFuture<S, Pr, Req>
where
    S: Service<Sent<Pr, Req>>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    /// The first attempt, while it runs.
    #[pin]
    first: Option<Attempting<S::Future>>,
    observer: Option<Pr::Observer>,
    /// Known if latencies are measured.
    arrival: Option<Instant>,
    failures: Failures,
    shared: Arc<Shared>,
    /// Not there if the call cannot be hedged.
    race: Option<Race<S, Pr, Req>>,
    #[pin]
    alarm: Alarm,
}

impl<S, Pr, Req> HedgeFuture<S, Pr, Req>
where
    S: Service<Sent<Pr, Req>>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    #[inline]
    pub(super) fn new(
        first: Attempting<S::Future>,
        observer: Pr::Observer,
        arrival: Option<Instant>,
        failures: Failures,
        shared: Arc<Shared>,
        race: Option<Race<S, Pr, Req>>,
    ) -> Self {
        Self {
            first: Some(first),
            observer: Some(observer),
            arrival,
            failures,
            shared,
            race,
            alarm: Alarm::new(),
        }
    }
}

impl<S, Pr, Req> Future for HedgeFuture<S, Pr, Req>
where
    S: Service<Sent<Pr, Req>> + Clone,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    type Output = Result<Pr::Response, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut first, observer, shared) = (this.first, this.observer, &**this.shared);
        let (arrival, failures) = (*this.arrival, *this.failures);
        let Some(race) = this.race else {
            let Some(mut future) = first.as_mut().as_pin_mut() else {
                return Poll::Pending;
            };
            let result = ready!(future.as_mut().poll(context));
            let upload = future.take_upload();
            first.set(None);
            let Some(observer) = observer.take() else {
                return Poll::Pending;
            };
            let (answer, mut look) = Pr::look(observer, result, context);
            upload.judge(&mut look);
            shared.judge(&look, failures);
            shared.record(arrival, &look);
            return Poll::Ready(answer);
        };
        this.alarm.poll(context, |context| {
            // The first attempt first: if it is ready together with a hedge, it wins.
            if let Some(mut future) = first.as_mut().as_pin_mut()
                && let Poll::Ready(result) = future.as_mut().poll(context)
                && let Some(observer) = observer.take()
            {
                let upload = future.take_upload();
                first.set(None);
                let (answer, mut look) = Pr::look(observer, result, context);
                upload.judge(&mut look);
                let verdict = shared.judge(&look, failures);
                if verdict == Verdict::Final {
                    race.stop();
                    shared.record(arrival, &look);
                    return Step::Done(answer);
                }
                if let Some(answer) = race.first_failed(answer, &look, verdict) {
                    race.stop();
                    return Step::Done(answer);
                }
            }
            let first_runs = first.is_some();
            if let Some(taken) = race.poll(shared, arrival, first_runs, context) {
                let Taken { answer, look } = taken;
                race.stop();
                if first_runs {
                    // How long the first attempt has taken so far stands for how long it would have.
                    shared.record(arrival, &look);
                    first.set(None);
                }
                shared.hedge_won();
                return Step::Done(answer);
            }
            if !first_runs && let Some(answer) = race.give_up(context) {
                return Step::Done(answer);
            }
            Step::PendingUntil(race.wake_at())
        })
    }
}

impl Shared {
    /// Remembers the latency of a call that succeeded.
    #[inline]
    fn record(&self, arrival: Option<Instant>, look: &Look) {
        if look.outcome == Outcome::Success
            && let (Some(measured), Some(arrival)) = (self.measures(), arrival)
        {
            let now = clock::now();
            measured.record(now.saturating_duration_since(arrival), now);
        }
    }
}

impl<S, Pr, Req> fmt::Debug for HedgeFuture<S, Pr, Req>
where
    S: Service<Sent<Pr, Req>>,
    Pr: Repeat<Req> + RetryProtocol<Req, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgeFuture").finish_non_exhaustive()
    }
}
