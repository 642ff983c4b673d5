//! Policies made of policies.
#![expect(
    clippy::needless_pass_by_value,
    reason = "an admission is asked once, and is gone"
)]
#![expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "calls are passed by reference"
)]

use crate::rate::CostBy;
use crate::{
    Admission, Gcra, Keyed, MissingKey, Now, Policy, RateLimiter, Reason, Rejection, Reloadable,
    SlidingWindow, Slots, by_fn, combine::MissingKeyMeans,
};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

const SECOND: Duration = Duration::from_secs(1);

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: the test moves it by hand"
)]
fn start() -> Instant {
    Instant::now()
}

#[expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]
fn per_second(burst: u32) -> RateLimiter {
    RateLimiter::new(Gcra::new(1, SECOND, burst).unwrap())
}

fn refused<P, W>(admission: Admission<P, W>) -> Option<Rejection> {
    match admission {
        Admission::Refused(rejection) => Some(rejection),
        Admission::Admitted(_) | Admission::Wait(_) => None,
    }
}

fn admitted<P, W>(admission: Admission<P, W>) -> Option<P> {
    match admission {
        Admission::Admitted(permit) => Some(permit),
        Admission::Refused(_) | Admission::Wait(_) => None,
    }
}

fn poll<C, P: Policy<C>>(
    policy: &P,
    waiting: &mut P::Waiting,
    call: &C,
    now: Instant,
) -> Poll<Result<P::Permit, Rejection>> {
    let mut context = Context::from_waker(Waker::noop());
    policy.poll_admit(waiting, call, &Now::at(now), &mut context)
}

#[test]
fn a_later_refusal_gives_back_what_earlier_policies_gave() {
    let now = Now::at(start());
    let (limit, slots) = (per_second(1), Slots::new(1).unwrap());
    let held = admitted(slots.admit(&(), &now));
    let both = (&limit, &slots, None::<Slots>);
    for _ in 0..3 {
        let rejection = refused(both.admit(&(), &now)).unwrap();
        assert_eq!(rejection.reason(), Reason::BulkheadFull);
    }
    drop(held);
    // The one call in the quota is still there.
    let permit = admitted(both.admit(&(), &now)).unwrap();
    let rejection = refused(both.admit(&(), &now)).unwrap();
    assert_eq!(rejection.reason(), Reason::RateLimited);
    drop(permit);
    assert_eq!(slots.taken(), 0);
}

#[test]
fn a_call_that_waits_for_a_later_policy_holds_what_earlier_ones_gave() {
    let begin = start();
    let slots = Slots::new(1).unwrap();
    let limit = per_second(1).wait_at_most(10 * SECOND).unwrap();
    let both = (&slots, &limit);
    drop(admitted(both.admit(&(), &Now::at(begin))).unwrap());
    let Admission::Wait(mut waiting) = both.admit(&(), &Now::at(begin)) else {
        panic!("the quota is used up");
    };
    assert_eq!(slots.taken(), 1);
    assert_eq!(Policy::<()>::wake_at(&both, &waiting), Some(begin + SECOND));
    let early = begin + Duration::from_millis(999);
    assert!(poll(&both, &mut waiting, &(), early).is_pending());
    let Poll::Ready(Ok(permit)) = poll(&both, &mut waiting, &(), begin + SECOND) else {
        panic!("its turn has come");
    };
    drop(permit);

    // One that gives up leaves its slot and its place.
    let Admission::Wait(waiting) = both.admit(&(), &Now::at(begin + SECOND)) else {
        panic!("the quota is used up");
    };
    both.abandon(waiting, &());
    assert_eq!(slots.taken(), 0);
    let Admission::Wait(waiting) = limit.admit(&(), &Now::at(begin + SECOND)) else {
        panic!("the quota is used up");
    };
    assert_eq!(
        Policy::<()>::wake_at(&limit, &waiting),
        Some(begin + 2 * SECOND)
    );
}

#[test]
fn waiting_calls_reserve_one_after_the_other_and_no_further_than_allowed() {
    let begin = start();
    let limit = per_second(1).wait_at_most(2 * SECOND).unwrap();
    assert!(admitted(limit.admit(&(), &Now::at(begin))).is_some());
    for seconds in [1, 2] {
        let Admission::Wait(waiting) = limit.admit(&(), &Now::at(begin)) else {
            panic!("there is room to wait");
        };
        let turn = begin + seconds * SECOND;
        assert_eq!(Policy::<()>::wake_at(&limit, &waiting), Some(turn));
    }
    let rejection = refused(limit.admit(&(), &Now::at(begin))).unwrap();
    assert_eq!(rejection.wait(), Some(3 * SECOND));
}

#[test]
fn weights_count_and_what_never_fits_is_refused_without_a_wait() {
    let now = Now::at(start());
    let limit = per_second(5).weighed(CostBy(|call: &u32| *call));
    assert!(admitted(limit.admit(&0, &now)).is_some());
    assert!(admitted(limit.admit(&4, &now)).is_some());
    let rejection = refused(limit.admit(&3, &now)).unwrap();
    assert_eq!(rejection.wait(), Some(2 * SECOND));
    assert_eq!(refused(limit.admit(&6, &now)).unwrap().wait(), None);
    limit.revoke(admitted(limit.admit(&1, &now)).unwrap(), &1);
    assert!(admitted(limit.admit(&1, &now)).is_some());
}

#[test]
fn an_announced_quota_says_what_is_left() {
    use crate::Permit;
    let now = Now::at(start());
    let limit = per_second(3).announced().named("gold").unwrap();
    let mut seen = Vec::new();
    let permit = admitted(limit.admit(&(), &now)).unwrap();
    permit.quotas(&mut |quota| seen.push(*quota));
    let quota = seen[0];
    assert_eq!((quota.policy, quota.limit, quota.window), ("gold", 3, 3));
    assert_eq!((quota.remaining, quota.reset), (2, 1));
    let _ = (limit.admit(&(), &now), limit.admit(&(), &now));
    let rejection = refused(limit.admit(&(), &now)).unwrap();
    let quota = rejection.exceeded().unwrap();
    assert_eq!((quota.remaining, quota.reset), (0, 1));
}

#[test]
fn a_sliding_window_cannot_wait() {
    let window = RateLimiter::new(SlidingWindow::new(1, SECOND).unwrap());
    assert_eq!(
        window.wait_at_most(SECOND).unwrap_err().field(),
        "wait_at_most"
    );
}

fn tenant(call: &u32) -> Result<u32, MissingKey> {
    match call {
        0 => Err(MissingKey::NotSent),
        99 => Err(MissingKey::NotSetUp("say who calls")),
        tenant => Ok(*tenant),
    }
}

#[test]
fn each_key_has_its_own() {
    let now = Now::at(start());
    let template = per_second(1);
    let keyed = Keyed::new(by_fn(tenant), move || template.fresh());
    for tenant in [1, 2] {
        assert!(admitted(keyed.admit(&tenant, &now)).is_some());
        assert!(refused(keyed.admit(&tenant, &now)).is_some());
    }
    assert_eq!(keyed.len(), 2);
    // What is given back is given back to the right one.
    let permit = admitted(keyed.admit(&3, &now)).unwrap();
    keyed.revoke(permit, &3);
    assert!(refused(keyed.admit(&1, &now)).is_some());
    assert!(admitted(keyed.admit(&3, &now)).is_some());
}

#[test]
fn calls_without_a_key_are_treated_as_told() {
    let now = Now::at(start());
    let keyed = |means| {
        let template = per_second(1);
        Keyed::new(by_fn(tenant), move || template.fresh()).missing_key(means)
    };
    let refusing = keyed(MissingKeyMeans::Refused);
    let reason = |call| refused(refusing.admit(&call, &now)).unwrap().reason();
    assert_eq!(reason(0), Reason::KeyMissing);
    assert_eq!(reason(99), Reason::KeyUnavailable);
    let sharing = keyed(MissingKeyMeans::Shared);
    assert!(admitted(sharing.admit(&0, &now)).is_some());
    assert!(refused(sharing.admit(&99, &now)).is_some());
    let admitting = keyed(MissingKeyMeans::Admitted);
    for _ in 0..3 {
        assert!(admitted(admitting.admit(&0, &now)).is_some());
    }
    assert!(admitting.is_empty());
}

#[test]
fn a_new_key_finds_no_room_while_calls_hold_all_of_it() {
    let now = Now::at(start());
    let template = Slots::new(1).unwrap();
    let keyed = Keyed::new(by_fn(tenant), move || template.fresh());
    let keyed = keyed.max_keys(2).unwrap();
    let one = admitted(keyed.admit(&1, &now)).unwrap();
    let two = admitted(keyed.admit(&2, &now)).unwrap();
    let rejection = refused(keyed.admit(&3, &now)).unwrap();
    assert_eq!(rejection.reason(), Reason::Overloaded);
    drop(one);
    assert!(admitted(keyed.admit(&3, &now)).is_some());
    assert!(refused(keyed.admit(&2, &now)).is_some());
    drop(two);
}

#[test]
fn an_update_keeps_what_it_carries_over() {
    let now = Now::at(start());
    let slots = Slots::new(1).unwrap();
    let policy = Reloadable::new((slots.clone(), None));
    let held = admitted(policy.admit(&(), &now)).unwrap();
    policy.update(|(slots, _)| (slots.clone(), Some(Slots::new(5).unwrap())));
    // The old call still counts.
    assert!(refused(policy.admit(&(), &now)).is_some());
    drop(held);
    let permit = admitted(policy.admit(&(), &now)).unwrap();
    policy.replace((Slots::new(1).unwrap(), None));
    // A call belongs to the policy that it met.
    assert_eq!(slots.taken(), 1);
    policy.revoke(permit, &());
    assert_eq!(slots.taken(), 0);
}

#[test]
fn a_change_is_for_the_keys_that_there_are_and_for_those_that_come() {
    let now = Now::at(start());
    let slots = |limit| Slots::new(limit).unwrap();
    let (one, two) = (slots(1), slots(2));
    let keyed = Keyed::new(by_fn(tenant), move || one.fresh());
    let held = admitted(keyed.admit(&1, &now));
    let enters = |key| admitted(keyed.admit(&key, &now));
    assert!(enters(1).is_none());
    let next = two.clone();
    keyed.change(move || next.fresh(), |slots| slots.follow(&two));
    let (second, other) = (enters(1), (enters(2), enters(2)));
    assert!(second.is_some() && enters(1).is_none(), "two, not three");
    assert!(other.0.is_some() && other.1.is_some() && enters(2).is_none());
    assert_eq!(keyed.for_a_new_key().limit(), 2);
    let mut taken: Vec<_> = keyed.policies().iter().map(Slots::taken).collect();
    taken.sort_unstable();
    assert_eq!(taken, [2, 2]);
    drop((held, second, other));
}

#[test]
fn no_key_that_comes_during_a_change_is_left_out() {
    let now = start();
    let keyed = Keyed::new(by_fn(tenant), || Slots::new(1).unwrap().fresh());
    for round in 2..50 {
        let next = Slots::new(round).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..2 {
                let keyed = &keyed;
                scope.spawn(move || {
                    for key in 0..200 {
                        let key = (round * 2 + thread) * 1_000 + key;
                        drop(keyed.admit(&key, &Now::at(now)));
                    }
                });
            }
            let template = next.clone();
            keyed.change(move || template.fresh(), |slots| slots.follow(&next));
        });
        let policies = keyed.policies();
        assert!(policies.iter().all(|slots| slots.limit() == round));
    }
    assert_eq!(keyed.len(), 48 * 2 * 200);
}

#[test]
fn what_is_taken_over_is_known_by_the_same_keys() {
    let now = Now::at(start());
    let slots = Slots::new(1).unwrap();
    let template = slots.clone();
    let before = Keyed::new(by_fn(tenant), move || template.fresh());
    let held = admitted(before.admit(&1, &now));
    drop(before.admit(&2, &now));
    let after = Keyed::new(by_fn(tenant), move || slots.fresh());
    let after = after.max_keys(1).unwrap();
    after.take_over(&before, |slots: &Slots| {
        (slots.taken() > 0).then(|| slots.clone())
    });
    assert_eq!(after.len(), 1);
    assert!(refused(after.admit(&1, &now)).is_some(), "it is held");
    drop(held);
    assert!(admitted(after.admit(&1, &now)).is_some());
}

#[test]
fn a_changed_rate_limit_begins_with_what_was_taken() {
    let now = start();
    let taken = |limit: &RateLimiter, calls| {
        (0..calls).all(|_| admitted(limit.admit(&(), &Now::at(now))).is_some())
    };
    for (burst, next_burst, calls, left) in [(4, 6, 3, 3), (4, 2, 3, 0), (4, 6, 0, 6), (9, 3, 2, 1)]
    {
        let before = per_second(burst);
        assert!(taken(&before, calls));
        let next = per_second(next_burst);
        next.take_over(&before, &Now::at(now));
        assert!(taken(&next, left), "{burst} {next_burst} {calls}");
        assert!(refused(next.admit(&(), &Now::at(now))).is_some());
    }
    // What has come free since does not count.
    let before = per_second(4);
    assert!(taken(&before, 4));
    let next = RateLimiter::new(SlidingWindow::new(4, SECOND).unwrap());
    let later = Now::at(now + 3 * SECOND);
    next.take_over(&before, &later);
    let admits = || admitted(next.admit(&(), &later)).is_some();
    assert!((0..3).all(|_| admits()) && !admits());
}
