//! Every interleaving of a few calls: `RUSTFLAGS="--cfg loom" cargo test -p buttress-core --release loom`.

use super::*;
use crate::criticality::Criticality;
use loom::thread;
use std::cell::Cell;
use std::future::poll_fn;
use std::time::Duration;

loom::thread_local! {
    /// Which shelf a thread uses.
    pub(super) static NUMBER: Cell<usize> = Cell::new(0);
}

fn spawn(work: impl FnOnce() + 'static) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        NUMBER.with(|number| number.set(1));
        work();
    })
}

fn now() -> Now {
    #[expect(
        clippy::disallowed_methods,
        reason = "any instant will do: no time passes"
    )]
    Now::at(Instant::now())
}

fn enter(slots: &Slots) -> Option<Slot> {
    match slots.admit(&(), &now()) {
        Admission::Admitted(slot) => Some(slot),
        Admission::Refused(_) => None,
        Admission::Wait(mut turn) => {
            loom::future::block_on(poll_fn(|context| turn.poll(&now(), context))).ok()
        }
    }
}

#[test]
fn loom_the_limit_holds() {
    loom::model(|| {
        let slots = Slots::new(1).unwrap();
        let other = slots.clone();
        let thread = spawn(move || {
            if let Some(slot) = enter(&other) {
                assert_eq!(other.taken(), 1);
                drop(slot);
            }
        });
        if let Some(slot) = enter(&slots) {
            assert_eq!(slots.taken(), 1);
            drop(slot);
        }
        thread.join().unwrap();
        assert_eq!(slots.taken(), 0);
    });
}

#[test]
fn loom_no_wake_up_is_lost() {
    loom::model(|| {
        let slots = Slots::new(1)
            .and_then(|slots| slots.waiting_room(2, Duration::from_secs(1)))
            .unwrap();
        let other = slots.clone();
        let thread = spawn(move || drop(enter(&other).unwrap()));
        drop(enter(&slots).unwrap());
        thread.join().unwrap();
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    });
}

#[test]
fn loom_a_waiter_that_gives_up_passes_its_slot_on() {
    loom::model(|| {
        let slots = Slots::new(1)
            .and_then(|slots| slots.waiting_room(2, Duration::from_secs(1)))
            .unwrap();
        let first = enter(&slots).unwrap();
        let Admission::Wait(gives_up) = slots.admit(&(), &now()) else {
            panic!("the slot is taken");
        };
        let other = slots.clone();
        let waits = spawn(move || drop(enter(&other).unwrap()));
        drop(first);
        drop(gives_up);
        waits.join().unwrap();
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    });
}

#[test]
fn loom_a_lowered_limit_holds_for_what_lies_at_hand() {
    loom::model(|| {
        let slots = Slots::new(2).unwrap();
        drop((enter(&slots), enter(&slots)));
        let other = slots.clone();
        let thread = spawn(move || drop(enter(&other)));
        slots.set_limit(1).unwrap();
        thread.join().unwrap();
        let held = enter(&slots);
        assert!(held.is_some());
        assert!(enter(&slots).is_none());
    });
}

#[test]
fn loom_what_lies_on_another_shelf_is_found() {
    loom::model(|| {
        let slots = Slots::new(1).unwrap();
        drop(enter(&slots).unwrap());
        let other = slots.clone();
        spawn(move || drop(enter(&other).unwrap())).join().unwrap();
        assert_eq!(slots.taken(), 0);
        assert!(enter(&slots).is_some());
    });
}

#[test]
fn loom_a_raised_limit_wakes_a_waiter() {
    loom::model(|| {
        let slots = Slots::new(1)
            .and_then(|slots| slots.waiting_room(1, Duration::from_secs(1)))
            .unwrap();
        let held = enter(&slots).unwrap();
        let other = slots.clone();
        let waits = spawn(move || drop(enter(&other).unwrap()));
        slots.set_limit(2).unwrap();
        waits.join().unwrap();
        drop(held);
        assert_eq!(slots.taken(), 0);
    });
}

#[test]
fn loom_no_newcomer_overtakes_who_waits() {
    loom::model(|| {
        let slots = Slots::new(1)
            .and_then(|slots| slots.waiting_room(2, Duration::from_secs(1)))
            .unwrap();
        let held = enter(&slots).unwrap();
        let Admission::Wait(mut first) = slots.admit(&(), &now()) else {
            panic!("the slot is taken");
        };
        let other = slots.clone();
        let newcomer = spawn(move || {
            // The first has not fetched its slot, so whatever is free is its.
            assert!(matches!(other.admit(&(), &now()), Admission::Wait(_)));
        });
        drop(held);
        newcomer.join().unwrap();
        let slot = loom::future::block_on(poll_fn(|context| first.poll(&now(), context)));
        drop(slot.unwrap());
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    });
}

#[test]
fn loom_a_raised_limit_frees_what_lies_at_hand_only_once() {
    loom::model(|| {
        let slots = Slots::new(1).unwrap();
        drop(enter(&slots));
        let other = slots.clone();
        let thread = spawn(move || drop(enter(&other)));
        slots.set_limit(2).unwrap();
        thread.join().unwrap();
        let held = (enter(&slots), enter(&slots));
        assert!(held.0.is_some() && held.1.is_some());
        assert!(enter(&slots).is_none());
    });
}

/// One slot that is taken, and a room in which somebody waits already.
fn contended(discipline: Discipline, rank: Criticality) -> (Slots<Sees>, Slot, Turn) {
    let slots = Slots::new(1)
        .and_then(|slots| slots.waiting_room(1, Duration::from_secs(1)))
        .and_then(|slots| slots.discipline(discipline))
        .unwrap()
        .looking(Sees);
    let Admission::Admitted(held) = slots.admit(&Criticality::Critical, &now()) else {
        panic!("it is free");
    };
    let Admission::Wait(turn) = slots.admit(&rank, &now()) else {
        panic!("the slot is taken");
    };
    (slots, held, turn)
}

#[derive(Clone)]
struct Sees;

impl Look<Criticality> for Sees {
    fn criticality(&self, call: &Criticality) -> Criticality {
        *call
    }
}

#[test]
fn loom_who_is_displaced_hears_of_it_and_who_displaced_it_is_served() {
    // With two that wait there are too many interleavings to see them all.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(2);
    model.check(|| {
        let (slots, held, mut turn) = contended(Discipline::Priority, Criticality::Sheddable);
        let other = slots.clone();
        let more_critical = spawn(
            move || match other.admit(&Criticality::CriticalPlus, &now()) {
                Admission::Admitted(slot) => drop(slot),
                Admission::Wait(mut turn) => {
                    let turn = poll_fn(|context| turn.poll(&now(), context));
                    drop(loom::future::block_on(turn).unwrap());
                }
                Admission::Refused(_) => panic!("it displaces the other"),
            },
        );
        drop(held);
        // Either the slot came first, or the more critical call.
        let answer = loom::future::block_on(poll_fn(|context| turn.poll(&now(), context)));
        match answer {
            Ok(slot) => drop(slot),
            Err(rejection) => assert_eq!(rejection.reason(), Reason::BulkheadFull),
        }
        more_critical.join().unwrap();
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    });
}

#[test]
fn loom_a_slot_that_comes_too_late_is_passed_on() {
    loom::model(|| {
        let slots = Slots::new(1)
            .and_then(|slots| slots.waiting_room(2, Duration::from_secs(1)))
            .unwrap()
            .looking(Gone);
        let Admission::Admitted(held) = slots.admit(&false, &now()) else {
            panic!("it is free");
        };
        let Admission::Wait(mut gone) = slots.admit(&true, &now()) else {
            panic!("the slot is taken");
        };
        let other = slots.clone();
        let waits = spawn(move || match other.admit(&false, &now()) {
            Admission::Admitted(slot) => drop(slot),
            Admission::Wait(mut turn) => {
                let turn = poll_fn(|context| turn.poll(&now(), context));
                drop(loom::future::block_on(turn).unwrap());
            }
            Admission::Refused(_) => panic!("there is room"),
        });
        drop(held);
        let much_later = Now::at(now().instant() + Duration::from_millis(999));
        let mut answer = None;
        loom::future::block_on(poll_fn(|context| match gone.poll(&much_later, context) {
            Poll::Ready(result) => {
                answer = Some(result);
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }));
        assert!(answer.is_some_and(|answer| answer.is_err()));
        waits.join().unwrap();
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    });
}

/// Sees a caller that goes away soon, in calls that say so.
#[derive(Clone)]
struct Gone;

impl Look<bool> for Gone {
    fn deadline(&self, call: &bool) -> Option<Instant> {
        call.then(|| now().instant() + Duration::from_millis(500))
    }
}

/// Threads that are interrupted three times at most: each change clears the shelves and looks at the
/// line, so to see all of it takes more than minutes.
fn nearly_every_interleaving(work: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(work);
}

fn with_room(limit: u32) -> Slots {
    Slots::new(limit)
        .and_then(|slots| slots.waiting_room(2, Duration::from_secs(1)))
        .unwrap()
}

#[test]
fn loom_a_room_that_goes_while_somebody_enters_it_strands_nobody() {
    nearly_every_interleaving(|| {
        let slots = with_room(1);
        let held = enter(&slots).unwrap();
        let other = slots.clone();
        // It is refused, or it is served: it never waits for ever.
        let enters = spawn(move || drop(enter(&other)));
        slots.follow(&Slots::new(1).unwrap());
        drop(held);
        enters.join().unwrap();
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
        drop(enter(&slots).unwrap());
    });
}

#[test]
fn loom_a_room_that_comes_loses_no_wake_up() {
    nearly_every_interleaving(|| {
        let slots = Slots::new(1).unwrap();
        let held = enter(&slots).unwrap();
        let other = slots.clone();
        let enters = spawn(move || drop(enter(&other)));
        slots.follow(&with_room(1));
        drop(held);
        enters.join().unwrap();
        assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    });
}

#[test]
fn loom_settings_that_change_keep_the_limit() {
    nearly_every_interleaving(|| {
        let slots = Slots::new(2).unwrap();
        drop((enter(&slots), enter(&slots)));
        let other = slots.clone();
        let thread = spawn(move || drop(enter(&other)));
        slots.follow(&with_room(1));
        thread.join().unwrap();
        let held = enter(&slots);
        assert!(held.is_some());
        assert!(matches!(slots.admit(&(), &now()), Admission::Wait(_)));
    });
}
