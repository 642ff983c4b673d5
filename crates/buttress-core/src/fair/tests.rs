#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use super::*;
use crate::{MissingKey, by_fn};
use proptest::prelude::*;
use std::time::Instant;

#[expect(clippy::disallowed_methods, reason = "any instant will do")]
fn now() -> Now {
    Now::at(Instant::now())
}

fn fair(limit: u32) -> FairShare<impl Key<u64>> {
    FairShare::new(limit, by_fn(|call: &u64| Ok(*call))).unwrap()
}

fn enter<K: Key<u64>>(fair: &FairShare<K>, tenant: u64) -> Option<Share> {
    match fair.admit(&tenant, &now()) {
        Admission::Admitted(share) => share,
        Admission::Refused(rejection) => {
            assert_eq!(rejection.reason(), Reason::Overloaded);
            None
        }
        Admission::Wait(never) => match never {},
    }
}

/// All that a tenant can get.
fn greedy<K: Key<u64>>(fair: &FairShare<K>, tenant: u64) -> Vec<Share> {
    std::iter::from_fn(|| enter(fair, tenant)).collect()
}

#[test]
fn one_that_is_alone_gets_most_and_leaves_room_for_the_next() {
    let fair = fair(100);
    let noisy = greedy(&fair, 1);
    assert_eq!(noisy.len(), 70);
    let others: Vec<_> = (2..=20).map(|tenant| enter(&fair, tenant)).collect();
    assert!(others.iter().all(Option::is_some));
    drop((noisy, others));
    assert_eq!(fair.taken(), 0);
}

#[test]
fn those_that_want_everything_get_the_same() {
    let fair = fair(100);
    let mut shares: Vec<Vec<Share>> = (0..3).map(|_| Vec::new()).collect();
    for _ in 0..200 {
        for (tenant, held) in shares.iter_mut().enumerate() {
            held.extend(enter(&fair, tenant as u64));
        }
    }
    assert!(shares.iter().all(|held| (28..=30).contains(&held.len())));
    assert!(enter(&fair, 99).is_some());
}

#[test]
fn the_limit_holds_and_one_slot_is_enough_to_be_served() {
    let one = fair(1);
    let held = enter(&one, 1);
    assert!(held.is_some() && enter(&one, 2).is_none());
    let four = fair(4);
    let held: Vec<_> = (0..10).filter_map(|tenant| enter(&four, tenant)).collect();
    assert_eq!(held.len(), 4);
    four.set_limit(5).unwrap();
    assert!(enter(&four, 0).is_none());
    assert!(enter(&four, 10).is_some());
    drop(held);
}

#[test]
fn a_flood_of_tenants_takes_no_memory_and_is_forgotten() {
    let fair = fair(1_000);
    let size = fair.shared.counters.len();
    for tenant in 0..100_000 {
        drop(enter(&fair, tenant));
    }
    assert_eq!(fair.shared.counters.len(), size);
    let zero = |counter: &AtomicU32| counter.load(Ordering::Relaxed) == 0;
    assert!(fair.shared.counters.iter().all(zero));
    // Also while it lasts, one that has no calls yet is let in.
    let flood: Vec<_> = (0..900).map(|tenant| enter(&fair, tenant)).collect();
    assert!(flood.iter().all(Option::is_some));
    assert!((1_000..1_100).all(|tenant| enter(&fair, tenant).is_some()));
}

/// As many tenants as there are slots, each with one call: whom a new one shares counters with.
#[test]
fn tenants_hardly_ever_share_all_of_their_counters() {
    let fair = fair(8_000);
    let others: Vec<_> = (0..8_000)
        .map(|tenant: u64| Share::take(&fair.shared, fair.cells(&tenant)).0)
        .collect();
    let seems_to_have_some = |tenant: &u64| fair.shared.counts(fair.cells(tenant)).1 > 0;
    let mistaken = (10_000..110_000_u64).filter(seems_to_have_some).count();
    assert!(mistaken < 100, "{mistaken} of 100 000");
    drop(others);
    assert_eq!(fair.taken(), 0);
}

#[test]
fn a_call_without_a_key_is_treated_as_was_said() {
    let nobody = || by_fn(|_: &u64| Err::<u64, _>(MissingKey::NotSent));
    let means = |means| FairShare::new(1, nobody()).unwrap().missing_key(means);
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
fn nonsense_is_refused_by_name() {
    let key = || by_fn(|call: &u64| Ok(*call));
    let field = |error: Option<SettingError>| error.map(|error| error.field());
    assert_eq!(field(FairShare::new(0, key()).err()), Some("limit"));
    let fair = || FairShare::new(1, key()).unwrap();
    for part in [0.0, 1.0, f64::NAN, -1.0] {
        assert_eq!(
            field(fair().largest_share(part).err()),
            Some("largest_share")
        );
    }
    assert_eq!(field(fair().named("").err()), Some("named"));
    assert_eq!(field(fair().set_limit(0).err()), Some("limit"));
}

proptest! {
    /// The model counts exactly. With few tenants the sketch does, too.
    #[test]
    fn shares_agree_with_a_count_for_each_tenant(
        limit in 1_u32..40,
        steps in prop::collection::vec((0_u64..5, any::<bool>()), 1..200),
    ) {
        let fair = fair(limit);
        let mut held: Vec<Vec<Share>> = (0..5).map(|_| Vec::new()).collect();
        for (tenant, enters) in steps {
            let taken: usize = held.iter().map(Vec::len).sum();
            let own = &mut held[tenant as usize];
            if enters {
                let free = limit as usize - taken;
                let expected = free > 0 && (own.is_empty() || 3 * (own.len() + 1) <= 7 * (free - 1));
                let share = enter(&fair, tenant);
                prop_assert_eq!(share.is_some(), expected);
                own.extend(share);
            } else {
                own.pop();
            }
        }
        let taken: usize = held.iter().map(Vec::len).sum();
        prop_assert_eq!(fair.taken() as usize, taken);
    }
}

#[test]
fn threads_never_exceed_the_limit_and_lose_nothing() {
    let fair = fair(3);
    let at_once = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for tenant in 0..4 {
            let (fair, at_once) = (&fair, &at_once);
            scope.spawn(move || {
                for _ in 0..2_000 {
                    if let Some(share) = enter(fair, tenant) {
                        assert!(at_once.fetch_add(1, Ordering::SeqCst) < 3);
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        drop(share);
                    }
                }
            });
        }
    });
    assert_eq!(fair.taken(), 0);
}

#[test]
fn one_with_other_settings_counts_the_calls_that_there_are() {
    let before = fair(100);
    let noisy = greedy(&before, 1);
    let after = fair(10).largest_share(0.8).unwrap().counting_with(&before);
    assert_eq!((after.limit(), after.taken()), (100, 70));
    let more = greedy(&after, 1);
    assert_eq!(more.len(), 10, "80 in all");
    assert!(enter(&before, 1).is_none());
    after.set_limit(80).unwrap();
    assert!(enter(&after, 2).is_none(), "no more than the limit");
    drop((noisy, more));
    assert_eq!((before.taken(), after.taken()), (0, 0));
}
