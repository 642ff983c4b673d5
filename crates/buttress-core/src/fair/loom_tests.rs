//! Every interleaving of a few calls.

use super::*;
use crate::by_fn;
use loom::thread;

fn enter<K: Key<u8>>(fair: &FairShare<K>, tenant: u8) -> Option<Share> {
    #[expect(clippy::disallowed_methods, reason = "no time passes")]
    let now = Now::at(std::time::Instant::now());
    match fair.admit(&tenant, &now) {
        Admission::Admitted(share) => share,
        Admission::Refused(_) => None,
        Admission::Wait(never) => match never {},
    }
}

#[test]
fn loom_of_two_tenants_at_once_no_more_enter_than_there_are_slots() {
    // All of them are too many.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let fair = Arc::new(FairShare::new(1, by_fn(|call: &u8| Ok(*call))).unwrap());
        let other = Arc::clone(&fair);
        let thread = thread::spawn(move || enter(&other, 1));
        let one = enter(&fair, 2);
        let other = thread.join().unwrap();
        assert!(one.is_none() || other.is_none());
        drop((one, other));
        assert_eq!(fair.taken(), 0);
        // What was counted is gone again.
        assert!(enter(&fair, 1).is_some());
        assert!(enter(&fair, 2).is_some());
    });
}
