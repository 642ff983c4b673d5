use super::pool::Kept;
use super::{AnyPolicy, Managed};
use buttress::{Admission, Now, Outcome, Permit, Policy, Quota, Rejection};
use http::Request;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Policies that decide in order, as many as a file names. A later refusal gives the earlier
/// permits back.
///
/// A tuple of all the kinds of policies that there are would do the same, and make every call carry
/// the room for a permit of each, through every layer. Here a call carries a list of its permits, and
/// the lists are used again.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    policies: Box<[Managed]>,
}

impl Policies {
    /// Of these.
    pub fn new(policies: Vec<Managed>) -> Self {
        let policies = policies.into();
        Self { policies }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }

    /// Whether calls come to that very policy.
    pub fn come_to(&self, known: &Managed) -> bool {
        let mut newest = self.policies.iter().map(newest_of);
        newest.any(|policy| std::ptr::eq(policy.policy(), known.policy()))
    }
}

/// The permits of a call that all policies have admitted.
#[derive(Debug)]
pub struct Permits {
    kept: Kept,
}

/// A call that waits for one of the policies, and holds what those before it gave.
#[derive(Debug)]
pub struct Place<W> {
    waiting: W,
    /// In whose line it stands.
    asked: Managed,
    /// One permit for each of the policies before.
    earlier: Kept,
    /// Who gave each of them.
    givers: Vec<Managed>,
}

/// A place in a policy's line. In a box, so that the calls that don't wait are the smaller for it.
type PlaceFor<B> = Box<Place<<AnyPolicy as Policy<Request<B>>>::Waiting>>;

impl Policies {
    /// Each of the policies before has given one permit. For a call that has waited, `givers` are those
    /// that gave them up to then.
    #[inline]
    fn admit_rest<B>(
        &self,
        mut earlier: Kept,
        givers: &[Managed],
        call: &Request<B>,
        now: &Now,
    ) -> Admission<Permits, PlaceFor<B>> {
        for policy in self.policies.iter().skip(earlier.len()) {
            let newest = policy.policy().newest();
            let policy = newest.as_ref().unwrap_or(policy);
            // What `Shadow` does, without the copy of the permit that its own answer would be.
            let admission = policy
                .policy()
                .admit_by(call, now, |policy| policy.admit_to(call, now, &mut earlier));
            match admission {
                Admission::Admitted(()) => {}
                Admission::Refused(rejection) if policy.is_enforced() => {
                    self.give_back(earlier, givers, call);
                    return Admission::Refused(rejection);
                }
                Admission::Wait(waiting) if policy.is_enforced() => {
                    return Admission::Wait(Box::new(Place {
                        waiting,
                        asked: policy.clone(),
                        givers: self.givers(&earlier, givers),
                        earlier,
                    }));
                }
                Admission::Refused(rejection) => {
                    policy.note(&rejection);
                    earlier.push(|| None);
                }
                Admission::Wait(waiting) => {
                    policy.policy().abandon(waiting, call);
                    policy.note_wait();
                    earlier.push(|| None);
                }
            }
        }
        Admission::Admitted(Permits { kept: earlier })
    }

    /// Who gave each of these permits: up to the last wait those that are known, then whoever stands in
    /// their places now.
    #[cold]
    fn givers(&self, earlier: &Kept, known: &[Managed]) -> Vec<Managed> {
        let asked = self.policies.iter().take(earlier.len());
        let newest = asked.skip(known.len()).map(newest_of);
        known.iter().cloned().chain(newest).collect()
    }

    /// What was given goes back to its giver. In the place of one that was replaced since, the next may
    /// never have counted it, and would let in more than it allows. If it has, it counts until it comes
    /// free by itself: that is the stricter side.
    #[cold]
    fn give_back<B>(&self, mut earlier: Kept, givers: &[Managed], call: &Request<B>) {
        while let Some(permit) = earlier.pop() {
            let index = earlier.len();
            match (givers.get(index), self.policies.get(index)) {
                (Some(giver), _) => giver.revoke(permit, call),
                // It gave the permit a moment ago.
                (None, Some(policy)) => newest_of(policy).revoke(permit, call),
                (None, None) => {}
            }
        }
    }
}

fn newest_of(policy: &Managed) -> Managed {
    let newest = policy.policy().newest();
    newest.unwrap_or_else(|| policy.clone())
}

impl<B> Policy<Request<B>> for Policies {
    type Permit = Permits;
    type Waiting = PlaceFor<B>;

    #[inline]
    fn admit(&self, call: &Request<B>, now: &Now) -> Admission<Permits, Self::Waiting> {
        if self.is_empty() {
            let kept = Kept::default();
            return Admission::Admitted(Permits { kept });
        }
        self.admit_rest(Kept::new(), &[], call, now)
    }

    fn poll_admit(
        &self,
        place: &mut Self::Waiting,
        call: &Request<B>,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Permits, Rejection>> {
        loop {
            let answer = ready!(
                place
                    .asked
                    .poll_admit(&mut place.waiting, call, now, context)
            );
            let mut earlier = std::mem::take(&mut place.earlier);
            match answer {
                Ok(permit) => {
                    earlier.push(|| permit);
                    place.givers.push(place.asked.clone());
                }
                Err(rejection) => {
                    self.give_back(earlier, &place.givers, call);
                    return Poll::Ready(Err(rejection));
                }
            }
            match self.admit_rest(earlier, &place.givers, call, now) {
                Admission::Admitted(permits) => return Poll::Ready(Ok(permits)),
                Admission::Refused(rejection) => return Poll::Ready(Err(rejection)),
                // That one has not seen this task yet.
                Admission::Wait(next) => *place = next,
            }
        }
    }

    fn wake_at(&self, place: &Self::Waiting) -> Option<Instant> {
        Policy::<Request<B>>::wake_at(&place.asked, &place.waiting)
    }

    fn abandon(&self, place: Self::Waiting, call: &Request<B>) {
        let place = *place;
        place.asked.abandon(place.waiting, call);
        self.give_back(place.earlier, &place.givers, call);
    }

    fn revoke(&self, permits: Permits, call: &Request<B>) {
        self.give_back(permits.kept, &[], call);
    }
}

impl Permit for Permits {
    const WANTS_OUTCOME: bool = true;

    #[inline]
    fn complete(mut self, outcome: Outcome, now: &Now) {
        while let Some(permit) = self.kept.pop() {
            permit.complete(outcome, now);
        }
    }

    fn expired(mut self, now: &Now) {
        while let Some(permit) = self.kept.pop() {
            permit.expired(now);
        }
    }

    fn pushback(&mut self, wait: Duration) {
        for permit in self.kept.iter_mut() {
            permit.pushback(wait);
        }
    }

    #[inline]
    fn answered(&mut self) {
        for permit in self.kept.iter_mut() {
            permit.answered();
        }
    }

    #[inline]
    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        for permit in self.kept.iter() {
            permit.quotas(each);
        }
    }

    #[inline]
    fn wants_outcome(&self) -> bool {
        self.kept.iter().any(Permit::wants_outcome)
    }
}
