//! Other settings, while calls run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use super::tests::{PATIENCE, Sees, Waiter, full, stand, start};
use super::*;
use crate::criticality::Criticality;

fn refused(slots: &Slots, now: Instant) -> bool {
    matches!(slots.admit(&(), &Now::at(now)), Admission::Refused(_))
}

#[test]
fn a_room_that_is_gone_serves_those_who_are_in_it_and_takes_nobody_else() {
    let mut now = start();
    let (slots, held, mut waiters) = full(Discipline::Fifo, 2, &mut now);
    slots.follow(&Slots::new(1).unwrap());
    assert!(refused(&slots, now));
    drop(held);
    // The slot is the first one's, also before it fetches it.
    assert!(refused(&slots, now));
    let Poll::Ready(Ok(second)) = waiters[0].poll(now) else {
        panic!("its turn has come");
    };
    assert!(refused(&slots, now));
    assert_eq!((slots.taken(), slots.waiting()), (1, 1));
    // It waits for as long as it might have.
    now += 100 * PATIENCE;
    assert_eq!(waiters[1].refused(now), Some(Reason::WaitedTooLong));
    drop(second);
    let free = slots.admit(&(), &Now::at(now));
    assert!(matches!(free, Admission::Admitted(_)));
}

#[test]
fn a_room_that_is_added_or_changed_is_there_at_once_and_calls_stay_counted() {
    let mut now = start();
    let slots = Slots::new(1).unwrap();
    let room = |places, wait| {
        let slots = Slots::new(1).and_then(|slots| slots.waiting_room(places, wait));
        slots.unwrap()
    };
    let Admission::Admitted(_held) = slots.admit(&(), &Now::at(now)) else {
        panic!("it is free");
    };
    slots.follow(&room(2, PATIENCE));
    let mut first = stand(&slots, 1, &mut now);
    slots.follow(&room(1, 9 * PATIENCE));
    assert!(refused(&slots, now), "the one place is taken");
    slots.follow(&room(3, 9 * PATIENCE));
    let mut second = stand(&slots, 2, &mut now);
    now += 2 * PATIENCE;
    assert_eq!(first.refused(now), Some(Reason::WaitedTooLong));
    assert!(second.poll(now).is_pending(), "it came under the new rule");
    assert_eq!((slots.taken(), slots.waiting()), (1, 1));
}

#[test]
fn a_new_discipline_is_also_for_those_who_wait() {
    let now = start();
    let slots = |discipline| {
        Slots::new(1)
            .and_then(|slots| slots.waiting_room(9, PATIENCE))
            .and_then(|slots| slots.discipline(discipline))
            .unwrap()
            .looking(Sees)
    };
    let line = slots(Discipline::Fifo);
    let Admission::Admitted(mut held) = line.admit(&(Criticality::Critical, None), &Now::at(now))
    else {
        panic!("it is free");
    };
    let ranks = [1, 3, 0, 3, 2];
    let mut waiters: Vec<_> = ranks
        .into_iter()
        .enumerate()
        .map(|(number, rank)| {
            let Admission::Wait(turn) = line.admit(&(Criticality::ALL[rank], None), &Now::at(now))
            else {
                panic!("it must wait");
            };
            let mut waiter = Waiter::new(turn, number);
            assert!(waiter.poll(now).is_pending());
            waiter
        })
        .collect();
    let mut serve = |held: Slot| {
        drop(held);
        let index = waiters.iter().position(Waiter::was_woken).unwrap();
        let mut waiter = waiters.remove(index);
        match waiter.poll(now) {
            Poll::Ready(Ok(slot)) => (waiter.number, slot),
            _ => panic!("its turn has come"),
        }
    };
    line.follow(&slots(Discipline::Priority));
    let mut order = Vec::new();
    for step in 0..5 {
        if step == 2 {
            // Back again: who came first is served first.
            line.follow(&slots(Discipline::Fifo));
        }
        let (number, next) = serve(held);
        order.push(number);
        held = next;
    }
    assert_eq!(order, [1, 3, 0, 2, 4]);
    drop(held);
    assert_eq!((line.taken(), line.waiting()), (0, 0));
}

/// As soon as somebody waits.
const NEWEST_FIRST: Discipline = Discipline::AdaptiveLifo {
    after: Duration::from_millis(1),
};

/// A slot that is taken, and a room in which somebody of each of the ranks waits.
fn crowd(slots: &Slots<Sees>, ranks: &[usize], now: Instant) -> (Slot, Vec<Waiter>) {
    let call = |rank: usize| slots.admit(&(Criticality::ALL[rank], None), &Now::at(now));
    let Admission::Admitted(held) = call(2) else {
        panic!("it is free");
    };
    let waiters = ranks.iter().enumerate().map(|(number, rank)| {
        let Admission::Wait(turn) = call(*rank) else {
            panic!("it must wait");
        };
        let mut waiter = Waiter::new(turn, number);
        assert!(waiter.poll(now).is_pending());
        waiter
    });
    let waiters = waiters.collect();
    (held, waiters)
}

fn of_three(discipline: Discipline) -> Slots<Sees> {
    Slots::new(1)
        .and_then(|slots| slots.waiting_room(3, PATIENCE))
        .and_then(|slots| slots.discipline(discipline))
        .unwrap()
        .looking(Sees)
}

#[test]
fn when_the_newest_are_served_first_the_oldest_give_way_and_not_the_most_critical() {
    let mut now = start();
    let slots = of_three(Discipline::Priority);
    let (_held, mut waiters) = crowd(&slots, &[0, 3, 1], now);
    slots.follow(&of_three(NEWEST_FIRST));
    now += PATIENCE / 2;
    for displaced in 0..3 {
        let newcomer = slots.admit(&(Criticality::Sheddable, None), &Now::at(now));
        let Admission::Wait(turn) = newcomer else {
            panic!("somebody gives way");
        };
        waiters.push(Waiter::new(turn, 9));
        let index = waiters.iter().position(Waiter::was_woken).unwrap();
        let mut gone = waiters.remove(index);
        assert_eq!(
            (gone.number, gone.refused(now)),
            (displaced, Some(Reason::BulkheadFull))
        );
    }
}

#[test]
fn nobody_takes_the_place_of_one_in_a_room_that_has_too_many() {
    let mut now = start();
    for discipline in [Discipline::Priority, NEWEST_FIRST] {
        let slots = of_three(discipline);
        let (held, mut waiters) = crowd(&slots, &[0, 0, 0], now);
        let smaller = of_three(discipline).waiting_room(1, PATIENCE).unwrap();
        slots.follow(&smaller);
        now += PATIENCE / 2;
        let critical = || slots.admit(&(Criticality::CriticalPlus, None), &Now::at(now));
        assert!(matches!(critical(), Admission::Refused(_)));
        assert_eq!(slots.waiting(), 3);
        waiters.truncate(1);
        assert!(
            matches!(critical(), Admission::Wait(_)),
            "as many as there is room for"
        );
        assert_eq!(slots.waiting(), 0, "the other one has given way");
        drop(held);
    }
}

#[test]
fn refusals_carry_the_new_name() {
    let now = Now::at(start());
    let slots = Slots::new(1).unwrap();
    let held = slots.admit(&(), &now);
    slots.follow(&Slots::new(1).and_then(|slots| slots.named("new")).unwrap());
    let Admission::Refused(rejection) = slots.admit(&(), &now) else {
        panic!("it is full");
    };
    assert_eq!(rejection.policy(), "new");
    drop(held);
}
