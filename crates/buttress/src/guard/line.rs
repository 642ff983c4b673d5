use crate::clock;
use crate::timer::{Alarm, Step};
use buttress_core::{Now, Policy, Rejection};
use pin_project::{pin_project, pinned_drop};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A call that stands in a policy's line. Dropping it abandons the place.
#[pin_project(PinnedDrop)]
pub(crate) struct Line<P: Policy<C>, C> {
    policy: P,
    /// Both are there until the call has been answered.
    standing: Option<(P::Waiting, C)>,
    #[pin]
    alarm: Alarm,
}

impl<P: Policy<C>, C> Line<P, C> {
    pub(crate) fn new(policy: P, waiting: P::Waiting, call: C) -> Self {
        Self {
            policy,
            standing: Some((waiting, call)),
            alarm: Alarm::new(),
        }
    }

    /// Waits for the turn, and hands the call back with the answer.
    pub(crate) fn poll(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<(C, Result<P::Permit, Rejection>)> {
        let this = self.project();
        let (policy, standing) = (this.policy, this.standing);
        this.alarm.poll(context, |context| {
            let Some((waiting, call)) = standing else {
                return Step::PendingUntil(None);
            };
            let now = Now::lazy(clock::now);
            match policy.poll_admit(waiting, call, &now, context) {
                Poll::Pending => Step::PendingUntil(policy.wake_at(waiting)),
                Poll::Ready(answer) => match standing.take() {
                    Some((_spent, call)) => Step::Done((call, answer)),
                    None => Step::PendingUntil(None),
                },
            }
        })
    }
}

#[pinned_drop]
impl<P: Policy<C>, C> PinnedDrop for Line<P, C> {
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        if let Some((waiting, call)) = this.standing.take() {
            this.policy.abandon(waiting, &call);
        }
    }
}
