#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use super::*;
use crate::criticality::Criticality;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

#[derive(Default)]
pub(super) struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waiting call as its task sees it.
pub(super) struct Waiter {
    turn: Turn,
    wakes: Arc<Wakes>,
    pub(super) number: usize,
}

impl Waiter {
    pub(super) fn new(turn: Turn, number: usize) -> Self {
        let wakes = Arc::default();
        Self {
            turn,
            wakes,
            number,
        }
    }

    pub(super) fn poll(&mut self, now: Instant) -> Poll<Result<Slot, Rejection>> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let mut context = Context::from_waker(&waker);
        self.turn.poll(&Now::at(now), &mut context)
    }

    pub(super) fn was_woken(&self) -> bool {
        self.wakes.0.load(Ordering::SeqCst) > 0
    }

    pub(super) fn refused(&mut self, now: Instant) -> Option<Reason> {
        match self.poll(now) {
            Poll::Ready(Err(rejection)) => Some(rejection.reason()),
            _ => None,
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: the test moves it by hand"
)]
pub(super) fn start() -> Instant {
    Instant::now()
}

/// A call: its criticality, and when its caller goes away.
type TestCall = (Criticality, Option<Instant>);

pub(super) struct Sees;

impl Look<TestCall> for Sees {
    fn criticality(&self, call: &TestCall) -> Criticality {
        call.0
    }

    fn deadline(&self, call: &TestCall) -> Option<Instant> {
        call.1
    }
}

pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// One slot that is taken, and so many that wait, a millisecond after each other.
pub(super) fn full(
    discipline: Discipline,
    waiting: usize,
    now: &mut Instant,
) -> (Slots, Slot, Vec<Waiter>) {
    let slots = Slots::new(1)
        .and_then(|slots| slots.waiting_room(100, 100 * PATIENCE))
        .and_then(|slots| slots.discipline(discipline))
        .unwrap();
    let Admission::Admitted(slot) = slots.admit(&(), &Now::at(*now)) else {
        panic!("it is free");
    };
    let waiters = (0..waiting).map(|number| stand(&slots, number, now));
    let waiters = waiters.collect();
    (slots, slot, waiters)
}

pub(super) fn stand(slots: &Slots, number: usize, now: &mut Instant) -> Waiter {
    *now += Duration::from_millis(1);
    let Admission::Wait(turn) = slots.admit(&(), &Now::at(*now)) else {
        panic!("it must wait");
    };
    let mut waiter = Waiter::new(turn, number);
    assert!(waiter.poll(*now).is_pending());
    waiter
}

#[test]
fn a_standing_queue_is_dropped_and_a_burst_is_not() {
    let mut now = start();
    let (slots, mut slot, burst) = full(Discipline::codel(), 10, &mut now);
    // The burst waits for up to 55 ms, and all of it is served.
    for mut waiter in burst {
        now += Duration::from_millis(5);
        drop(slot);
        let Poll::Ready(Ok(next)) = waiter.poll(now) else {
            panic!("a burst is not an overload");
        };
        slot = next;
    }
    // From now on ten always wait, for about 50 ms each: no more than an interval's are served.
    let mut line: Vec<_> = (0..10).map(|n| stand(&slots, n, &mut now)).collect();
    let (mut served, mut dropped) = (0, 0);
    for number in 0..200 {
        now += Duration::from_millis(5);
        drop(slot);
        slot = loop {
            match line.remove(0).poll(now) {
                Poll::Ready(Ok(next)) => break next,
                Poll::Ready(Err(rejection)) => {
                    assert_eq!(rejection.reason(), Reason::WaitedTooLong);
                    dropped += 1;
                }
                Poll::Pending => panic!("its turn has come"),
            }
            if line.is_empty() {
                let Admission::Admitted(next) = slots.admit(&(), &Now::at(now)) else {
                    panic!("it is free");
                };
                break next;
            }
        };
        served += 1;
        while line.len() < 10 {
            line.push(stand(&slots, number, &mut now));
        }
    }
    assert_eq!(served, 200);
    assert!(dropped > 100, "{dropped}");
    drop((line, slot));
    assert_eq!((slots.taken(), slots.waiting()), (0, 0));
}

#[test]
fn an_overload_is_no_reason_to_drop_a_burst_an_hour_later() {
    let mut now = start();
    let (slots, slot, line) = full(Discipline::codel(), 2, &mut now);
    let mut held = Some(slot);
    // The second waits for longer than an interval, and nobody is behind it.
    for (mut waiter, wait) in line.into_iter().zip([20, 150]) {
        now += Duration::from_millis(wait);
        drop(held.take());
        let Poll::Ready(Ok(slot)) = waiter.poll(now) else {
            panic!("there was no queue in the interval before");
        };
        held = Some(slot);
    }
    now += Duration::from_secs(3_600);
    let burst: Vec<_> = (0..3)
        .map(|number| stand(&slots, number, &mut now))
        .collect();
    now += Duration::from_millis(15);
    for mut waiter in burst {
        drop(held.take());
        let Poll::Ready(Ok(slot)) = waiter.poll(now) else {
            panic!("a burst may wait");
        };
        held = Some(slot);
    }
}

#[test]
fn a_changed_limit_counts_for_what_lies_at_hand_and_for_those_in_line() {
    let mut now = start();
    let (slots, slot, mut line) = full(Discipline::Fifo, 3, &mut now);
    slots.set_limit(3).unwrap();
    let woken: Vec<_> = line.iter().map(Waiter::was_woken).collect();
    assert_eq!(woken, [true, true, false]);
    let served: Vec<_> = line.iter_mut().map(|waiter| waiter.poll(now)).collect();
    assert_eq!((slots.taken(), slots.waiting()), (3, 1));
    drop((served, line, slot));
    // All three lie at hand now.
    slots.set_limit(1).unwrap();
    let held = slots.admit(&(), &Now::at(now));
    assert!(matches!(held, Admission::Admitted(_)));
    assert!(matches!(
        slots.admit(&(), &Now::at(now)),
        Admission::Wait(_)
    ));
}

#[test]
fn the_newest_is_first_once_a_queue_has_stood_and_the_oldest_again_when_it_is_gone() {
    let mut now = start();
    let (slots, slot, mut line) = full(Discipline::adaptive_lifo(), 3, &mut now);
    drop(slot);
    let Poll::Ready(Ok(slot)) = line.remove(0).poll(now) else {
        panic!("the queue is young");
    };
    now += Duration::from_millis(100);
    line.push(stand(&slots, 3, &mut now));
    drop(slot);
    let Poll::Ready(Ok(slot)) = line.remove(2).poll(now) else {
        panic!("the queue has stood for too long");
    };
    drop((slot, line));
    let (_, slot, mut line) = full(Discipline::adaptive_lifo(), 2, &mut now);
    drop(slot);
    assert!(matches!(line.remove(0).poll(now), Poll::Ready(Ok(_))));
}

#[test]
fn a_room_that_is_made_larger_keeps_its_discipline() {
    let slots = Slots::new(1)
        .and_then(|slots| slots.waiting_room(1, PATIENCE))
        .and_then(|slots| slots.discipline(Discipline::Priority))
        .and_then(|slots| slots.waiting_room(2, PATIENCE))
        .unwrap()
        .looking(Sees);
    let now = start();
    let enter = |criticality| slots.admit(&(criticality, None), &Now::at(now));
    let held = enter(Criticality::Critical);
    let (Admission::Wait(low), Admission::Wait(high)) = (
        enter(Criticality::Sheddable),
        enter(Criticality::CriticalPlus),
    ) else {
        panic!("there is room for two");
    };
    let (mut low, mut high) = (Waiter::new(low, 0), Waiter::new(high, 1));
    drop(held);
    assert!(low.poll(now).is_pending());
    assert!(matches!(high.poll(now), Poll::Ready(Ok(_))));
}

#[test]
fn a_call_whose_caller_is_gone_does_not_join() {
    let slots = Slots::new(1)
        .and_then(|slots| slots.waiting_room(1, PATIENCE))
        .unwrap()
        .looking(Sees);
    let now = start();
    let call = |deadline| (Criticality::Critical, deadline);
    let _held = slots.admit(&call(None), &Now::at(now));
    let Admission::Refused(rejection) = slots.admit(&call(Some(now)), &Now::at(now)) else {
        panic!("nobody waits for it");
    };
    assert_eq!(rejection.reason(), Reason::DeadlinePassed);
}

#[test]
fn threads_never_exceed_the_limit_and_lose_no_slot() {
    let slots = Slots::new(3).unwrap();
    let at_once = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..2_000 {
                    let now = Now::at(start());
                    if let Admission::Admitted(slot) = slots.admit(&(), &now) {
                        assert!(at_once.fetch_add(1, Ordering::SeqCst) < 3);
                        at_once.fetch_sub(1, Ordering::SeqCst);
                        drop(slot);
                    }
                }
            });
        }
    });
    assert_eq!(slots.taken(), 0);
    let now = Now::at(start());
    let held: Vec<_> = (0..4).map(|_| slots.admit(&(), &now)).collect();
    let admitted = held.iter().filter(|a| matches!(a, Admission::Admitted(_)));
    assert_eq!(admitted.count(), 3);
}

#[test]
fn nonsense_is_refused_by_name() {
    let field = |result: Result<Slots, SettingError>| result.unwrap_err().field();
    let slots = || Slots::new(1).unwrap();
    assert_eq!(field(Slots::new(0)), "limit");
    assert_eq!(slots().set_limit(0).unwrap_err().field(), "limit");
    let second = Duration::from_secs(1);
    assert_eq!(
        field(slots().waiting_room(0, second)),
        "waiting_room.places"
    );
    assert_eq!(
        field(slots().waiting_room(1_000_001, second)),
        "waiting_room.places"
    );
    assert_eq!(
        field(slots().waiting_room(1, Duration::ZERO)),
        "waiting_room.longest_wait"
    );
    assert_eq!(field(slots().named("two\nlines")), "named");
    let discipline = |discipline| {
        let slots = slots().waiting_room(1, second).unwrap();
        field(slots.discipline(discipline))
    };
    let after = Duration::ZERO;
    assert_eq!(
        discipline(Discipline::AdaptiveLifo { after }),
        "discipline.after"
    );
    let (target, interval) = (Duration::ZERO, second);
    assert_eq!(
        discipline(Discipline::CoDel { target, interval }),
        "discipline.target"
    );
    let (target, interval) = (second, Duration::ZERO);
    assert_eq!(
        discipline(Discipline::CoDel { target, interval }),
        "discipline.interval"
    );
    assert_eq!(
        field(slots().discipline(Discipline::Priority)),
        "discipline"
    );
}
