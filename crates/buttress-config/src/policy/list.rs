use buttress::{Admission, Now, Outcome, Permit, Policy, Quota, Rejection};
use smallvec::SmallVec;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

/// Policies that decide in order, as many as a file names. A later refusal gives the earlier
/// permits back.
///
/// A tuple of all the kinds of policies that there are would do the same, and make every call carry
/// the room for a permit of each. Here a call carries those permits of which something comes, three
/// without an allocation.
#[derive(Clone, Debug)]
pub struct List<P> {
    policies: Box<[P]>,
}

impl<P> List<P> {
    /// Of these.
    pub fn new(policies: Vec<P>) -> Self {
        let policies = policies.into();
        Self { policies }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.policies.is_empty()
    }
}

/// What the policies before gave, while the others are asked: one permit for each.
type Earlier<P> = SmallVec<[P; 6]>;

/// The permits of a call that all policies have admitted.
#[derive(Debug)]
pub struct Permits<P> {
    kept: SmallVec<[P; 3]>,
}

/// A call that waits for one of the policies, and holds what those before it gave.
#[derive(Debug)]
pub struct ListPlace<W, P> {
    waiting: W,
    earlier: Earlier<P>,
}

type PlaceOf<P, C> = ListPlace<<P as Policy<C>>::Waiting, <P as Policy<C>>::Permit>;

impl<P> List<P> {
    #[inline]
    fn admit_rest<C: ?Sized>(
        &self,
        mut earlier: Earlier<P::Permit>,
        call: &C,
        now: &Now,
    ) -> Admission<Permits<P::Permit>, PlaceOf<P, C>>
    where
        P: Policy<C>,
    {
        // Each of the policies before has given one permit.
        for policy in self.policies.iter().skip(earlier.len()) {
            match policy.admit(call, now) {
                Admission::Admitted(permit) => earlier.push(permit),
                Admission::Refused(rejection) => {
                    self.give_back(earlier, call);
                    return Admission::Refused(rejection);
                }
                Admission::Wait(waiting) => return Admission::Wait(ListPlace { waiting, earlier }),
            }
        }
        let mut kept = SmallVec::new();
        for permit in earlier {
            if !permit.is_idle() {
                kept.push(permit);
            }
        }
        Admission::Admitted(Permits { kept })
    }

    #[cold]
    fn give_back<C: ?Sized>(&self, mut earlier: Earlier<P::Permit>, call: &C)
    where
        P: Policy<C>,
    {
        while let Some(permit) = earlier.pop() {
            if let Some(policy) = self.policies.get(earlier.len()) {
                policy.revoke(permit, call);
            }
        }
    }

    /// The policy that a call waits for.
    fn waited_for<W, Q>(&self, place: &ListPlace<W, Q>) -> Option<&P> {
        self.policies.get(place.earlier.len())
    }
}

impl<C: ?Sized, P: Policy<C>> Policy<C> for List<P> {
    type Permit = Permits<P::Permit>;
    type Waiting = PlaceOf<P, C>;

    #[inline]
    fn admit(&self, call: &C, now: &Now) -> Admission<Self::Permit, Self::Waiting> {
        self.admit_rest(Earlier::new(), call, now)
    }

    fn poll_admit(
        &self,
        place: &mut Self::Waiting,
        call: &C,
        now: &Now,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Permit, Rejection>> {
        loop {
            let Some(policy) = self.waited_for(place) else {
                return Poll::Pending;
            };
            let answer = ready!(policy.poll_admit(&mut place.waiting, call, now, context));
            let mut earlier = std::mem::take(&mut place.earlier);
            match answer {
                Ok(permit) => earlier.push(permit),
                Err(rejection) => {
                    self.give_back(earlier, call);
                    return Poll::Ready(Err(rejection));
                }
            }
            match self.admit_rest(earlier, call, now) {
                Admission::Admitted(permits) => return Poll::Ready(Ok(permits)),
                Admission::Refused(rejection) => return Poll::Ready(Err(rejection)),
                // That one has not seen this task yet.
                Admission::Wait(next) => *place = next,
            }
        }
    }

    fn wake_at(&self, place: &Self::Waiting) -> Option<Instant> {
        self.waited_for(place)?.wake_at(&place.waiting)
    }

    fn abandon(&self, place: Self::Waiting, call: &C) {
        if let Some(policy) = self.waited_for(&place) {
            policy.abandon(place.waiting, call);
        }
        self.give_back(place.earlier, call);
    }

    /// What nothing comes of was not kept, so nothing of it can be given back: this is for policies
    /// that are the last to be asked.
    fn revoke(&self, permits: Self::Permit, _: &C) {
        drop(permits);
    }
}

impl<P: Permit> Permit for Permits<P> {
    const WANTS_OUTCOME: bool = P::WANTS_OUTCOME;

    #[inline]
    fn complete(mut self, outcome: Outcome, now: &Now) {
        while let Some(permit) = self.kept.pop() {
            permit.complete(outcome, now);
        }
    }

    fn pushback(&mut self, wait: Duration) {
        for permit in &mut self.kept {
            permit.pushback(wait);
        }
    }

    #[inline]
    fn answered(&mut self) {
        for permit in &mut self.kept {
            permit.answered();
        }
    }

    #[inline]
    fn quotas(&self, each: &mut dyn FnMut(&Quota)) {
        for permit in &self.kept {
            permit.quotas(each);
        }
    }

    fn is_idle(&self) -> bool {
        self.kept.is_empty()
    }
}
