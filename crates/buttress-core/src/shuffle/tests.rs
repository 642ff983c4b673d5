#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use super::*;
use crate::{MissingKey, Reason, by_fn};
use std::time::Duration;

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn now() -> Now {
    Now::at(Instant::now())
}

/// 8 compartments of 4 slots, 2 for each of the keys, which are numbers.
fn sharded() -> ShuffleSharding<impl Key<u32>> {
    let key = by_fn(|call: &u32| Ok(*call));
    let slots = Slots::new(4).unwrap();
    ShuffleSharding::new(key, Shards::new(8, 2).unwrap(), &slots)
}

/// The slot of a call that is admitted.
fn enter<K: Key<u32>>(sharded: &ShuffleSharding<K>, key: u32) -> Option<Slot> {
    match sharded.admit(&key, &now()) {
        Admission::Admitted(slot) => slot,
        Admission::Refused(rejection) => {
            assert_eq!(rejection.reason(), Reason::BulkheadFull);
            None
        }
        Admission::Wait(_) => panic!("there is no waiting room"),
    }
}

#[test]
fn a_poisonous_tenant_takes_down_only_its_own_shard() {
    const POISONOUS: u32 = 0;
    let sharded = sharded();
    let held: Vec<_> = std::iter::from_fn(|| enter(&sharded, POISONOUS)).collect();
    assert_eq!(held.len(), 8, "all of its two compartments, and no more");
    let poisoned = sharded.shards().of(&POISONOUS);
    let mut down = 0;
    for tenant in 1..1_000 {
        let shared = poisoned.shared_with(&sharded.shards().of(&tenant));
        assert_eq!(enter(&sharded, tenant).is_none(), shared == 2, "{tenant}");
        down += u32::from(shared == 2);
    }
    // One in 28 are 36 of 999; without sharding it would be all of them.
    assert!((15..60).contains(&down), "{down}");
    drop(held);
    assert_eq!(sharded.taken(), 0);
}

#[test]
fn a_call_takes_the_least_loaded_of_its_compartments() {
    let sharded = sharded();
    let members: Vec<_> = sharded.shards().of(&7).compartments().collect();
    let taken = || -> Vec<_> {
        let compartments = members.iter();
        compartments
            .map(|n| sharded.compartments()[*n].taken())
            .collect()
    };
    let mut held = Vec::new();
    for calls in 1..=8 {
        held.push(enter(&sharded, 7).unwrap());
        assert_eq!(taken(), [usize::div_ceil(calls, 2), calls / 2]);
    }
    assert!(enter(&sharded, 7).is_none());
    assert_eq!(sharded.taken(), 8);
}

#[test]
fn a_call_that_finds_all_of_them_full_waits_where_the_fewest_wait() {
    let key = by_fn(|call: &u32| Ok(*call));
    let slots = Slots::new(1).unwrap();
    let slots = slots.waiting_room(2, Duration::from_secs(1)).unwrap();
    let sharded = ShuffleSharding::new(key, Shards::new(8, 2).unwrap(), &slots);
    let held = (enter(&sharded, 7).unwrap(), enter(&sharded, 7).unwrap());
    let mut line = Vec::new();
    for _ in 0..4 {
        let Admission::Wait(turn) = sharded.admit(&7, &now()) else {
            panic!("there is room");
        };
        line.push(turn);
    }
    let waiting = |n: usize| sharded.compartments()[n].waiting();
    let members = sharded.shards().of(&7);
    assert!(members.compartments().all(|n| waiting(n) == 2));
    assert!(enter(&sharded, 7).is_none());
    drop((held, line));
    assert_eq!((sharded.taken(), sharded.waiting()), (0, 0));
}

#[test]
fn a_call_without_a_key_is_treated_as_was_said() {
    let nobody = || by_fn(|_: &u32| Err::<u32, _>(MissingKey::NotSent));
    let slots = Slots::new(1).unwrap();
    let shards = Shards::new(2, 1).unwrap();
    let means = |means| ShuffleSharding::new(nobody(), shards, &slots).missing_key(means);
    let refused = means(MissingKeyMeans::Refused).admit(&1, &now());
    assert!(matches!(refused, Admission::Refused(r) if r.reason() == Reason::KeyMissing));
    let admitted = means(MissingKeyMeans::Admitted).admit(&1, &now());
    assert!(matches!(admitted, Admission::Admitted(None)));
    let shared = means(MissingKeyMeans::Shared);
    let held = shared.admit(&1, &now());
    assert!(matches!(held, Admission::Admitted(Some(_))));
    assert!(matches!(shared.admit(&2, &now()), Admission::Refused(_)));
}

#[test]
fn one_with_other_settings_counts_the_calls_in_the_compartments_that_there_are() {
    let before = sharded();
    let held: Vec<_> = (0..100).map(|key| enter(&before, key)).collect();
    assert_eq!(before.taken(), 32, "all compartments are full");
    let key = by_fn(|call: &u32| Ok(*call));
    let shards = Shards::new(9, 3).unwrap().seed(1);
    let after = ShuffleSharding::new(key, shards, &Slots::new(4).unwrap());
    let after = after.with_compartments_of(&before);
    let more: Vec<_> = (0..100).filter_map(|key| enter(&after, key)).collect();
    assert_eq!((more.len(), after.taken()), (4, 36), "the ninth is new");
    drop((held, more));
    assert_eq!((before.taken(), after.taken()), (0, 0));
}
