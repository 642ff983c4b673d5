use crate::ask::Answer;
use crate::digest::Digest;
use crate::entry::Entry;
use crate::link::Unreachable;
use crate::permit::FleetPermit;
use crate::shared::{Decision, Shared};
use buttress_core::{Admission, Now, Rejection};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::futures::OwnedNotified;

/// The store's answer, when it comes.
pub(crate) type Asking = Pin<Box<dyn Future<Output = Result<Answer, Unreachable>> + Send>>;

/// A call that waits for the store, or for its turn.
pub(crate) enum Waiting {
    /// For the store's answer. It has a deadline of its own.
    Asking {
        answer: Asking,
        digest: Digest,
        cost: u32,
    },
    /// For its turn, which is certain to come.
    Turn { until: Instant, permit: FleetPermit },
    /// For a lease that is being fetched, together with the key's other calls.
    Lease {
        entry: Arc<Entry>,
        done: Pin<Box<OwnedNotified>>,
        cost: u32,
        lead: Duration,
        deadline: Instant,
    },
}

impl Waiting {
    pub(crate) fn wake_at(&self) -> Option<Instant> {
        match self {
            Self::Asking { .. } => None,
            Self::Turn { until, .. } => Some(*until),
            Self::Lease { deadline, .. } => Some(*deadline),
        }
    }

    pub(crate) fn poll(
        &mut self,
        shared: &Arc<Shared>,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<FleetPermit, Rejection>> {
        loop {
            let decision = match self {
                Self::Asking {
                    answer,
                    digest,
                    cost,
                } => match answer.as_mut().poll(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(answer) => shared.answered(*digest, *cost, answer, now),
                },
                Self::Turn { until, permit } => {
                    if now.instant() < *until {
                        return Poll::Pending;
                    }
                    let permit = std::mem::replace(permit, FleetPermit::free());
                    return Poll::Ready(Ok(permit));
                }
                Self::Lease {
                    entry,
                    done,
                    cost,
                    lead,
                    deadline,
                } => {
                    if done.as_mut().poll(context).is_pending() {
                        if now.instant() < *deadline {
                            return Poll::Pending;
                        }
                        shared.decide_alone(entry.digest, *cost, now)
                    } else {
                        shared.lease_again(entry, *cost, *lead, *deadline, now)
                    }
                }
            };
            match decision {
                Admission::Admitted(permit) => return Poll::Ready(Ok(permit)),
                Admission::Refused(rejection) => return Poll::Ready(Err(rejection)),
                Admission::Wait(next) => *self = next,
            }
        }
    }

    /// The caller went away. What was taken for it, or is being taken, is given back.
    pub(crate) fn abandon(self, shared: &Arc<Shared>, now: &Now) {
        match self {
            Self::Asking {
                answer,
                digest,
                cost,
            } => {
                let shared_too = Arc::clone(shared);
                shared.subject.link.spawn(async move {
                    let now = Now::lazy(|| tokio::time::Instant::now().into_std());
                    let decision = match answer.await {
                        Ok(answer) => shared_too.answered(digest, cost, Ok(answer), &now),
                        Err(Unreachable) => return,
                    };
                    shared_too.undo(decision, &now);
                });
            }
            Self::Turn { permit, .. } => shared.undo(Admission::Admitted(permit), now),
            Self::Lease { .. } => {}
        }
    }
}

impl Shared {
    fn undo(self: &Arc<Self>, decision: Decision, now: &Now) {
        let (Admission::Admitted(permit) | Admission::Wait(Waiting::Turn { permit, .. })) =
            decision
        else {
            return;
        };
        if let Some(taken) = permit.taken {
            self.give_back(taken, now);
        }
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Asking { .. } => "Asking",
            Self::Turn { .. } => "Turn",
            Self::Lease { .. } => "Lease",
        };
        f.write_str(what)
    }
}
