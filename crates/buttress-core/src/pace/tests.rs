#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say where"
)]

use super::*;
use proptest::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

struct Waiter {
    turn: PaceTurn,
    wakes: Arc<Wakes>,
    /// As its task would: it polls when it is woken or its time has come.
    seen: usize,
    number: usize,
}

impl Waiter {
    fn new(turn: PaceTurn, number: usize, now: Instant) -> Self {
        let mut waiter = Self {
            turn,
            wakes: Arc::default(),
            seen: 0,
            number,
        };
        assert!(waiter.poll(now).is_pending());
        waiter
    }

    fn poll(&mut self, now: Instant) -> Poll<Result<(), Rejection>> {
        self.seen = self.wakes.0.load(Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.wakes));
        self.turn.poll(now, &mut Context::from_waker(&waker))
    }

    fn was_woken(&self) -> bool {
        self.wakes.0.load(Ordering::SeqCst) > 0
    }

    fn wants_to_be_polled(&self, now: Instant) -> bool {
        let woken = self.wakes.0.load(Ordering::SeqCst) > self.seen;
        woken || self.turn.wake_at.is_some_and(|at| at <= now)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: the test moves it by hand"
)]
fn start() -> Instant {
    Instant::now()
}

const INTERVAL: Duration = Duration::from_millis(100);

fn ten_a_second(places: u32, longest_wait: Duration) -> Pacer {
    let pacer = Pacer::new(10, Duration::from_secs(1)).unwrap();
    pacer.waiting_room(places, longest_wait).unwrap()
}

fn wait(pacer: &Pacer, now: Instant) -> PaceTurn {
    match pacer.admit(&(), &Now::at(now)) {
        Admission::Wait(turn) => turn,
        other => panic!("{other:?}"),
    }
}

fn refused<L: Look<()>>(pacer: &Pacer<L>, now: Instant) -> Rejection {
    match pacer.admit(&(), &Now::at(now)) {
        Admission::Refused(rejection) => rejection,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_saved_up_in_quiet_times() {
    let pacer = ten_a_second(5, 10 * INTERVAL);
    let now = start();
    assert!(matches!(
        pacer.admit(&(), &Now::at(now)),
        Admission::Admitted(())
    ));
    let later = now + 50 * INTERVAL;
    assert!(matches!(
        pacer.admit(&(), &Now::at(later)),
        Admission::Admitted(())
    ));
    let _second = wait(&pacer, later);
}

#[test]
fn who_would_wait_too_long_is_refused_at_once_and_told_when_to_come_back() {
    let pacer = ten_a_second(100, 3 * INTERVAL);
    let now = start();
    let _ = pacer.admit(&(), &Now::at(now));
    let _line: Vec<_> = (0..3).map(|_| wait(&pacer, now)).collect();
    let rejection = refused(&pacer, now);
    assert_eq!(rejection.reason(), Reason::Overloaded);
    assert_eq!(rejection.wait(), Some(INTERVAL));
    let room = ten_a_second(1, 100 * INTERVAL);
    let _ = room.admit(&(), &Now::at(now));
    let _waits = wait(&room, now);
    assert_eq!(refused(&room, now).wait(), Some(INTERVAL));
}

struct Until(Instant);

impl Look<()> for Until {
    fn deadline(&self, (): &()) -> Option<Instant> {
        Some(self.0)
    }
}

#[test]
fn who_would_wait_in_vain_is_refused_and_who_has_gone_is_not_run() {
    let now = start();
    let pacer = ten_a_second(5, 10 * INTERVAL).looking(Until(now + INTERVAL + INTERVAL / 2));
    let _ = pacer.admit(&(), &Now::at(now));
    let Admission::Wait(turn) = pacer.admit(&(), &Now::at(now)) else {
        panic!("its turn comes in time");
    };
    assert_eq!(refused(&pacer, now).reason(), Reason::DeadlinePassed);
    // Its timer rings much too late.
    let mut late = Waiter::new(turn, 0, now);
    let Poll::Ready(Err(rejection)) = late.poll(now + 2 * INTERVAL) else {
        panic!("nobody waits for it");
    };
    assert_eq!(rejection.reason(), Reason::DeadlinePassed);
    assert_eq!(pacer.waiting(), 0);
}

#[test]
fn who_would_be_served_at_its_very_deadline_is_refused_at_once() {
    let now = start();
    let pacer = ten_a_second(5, 10 * INTERVAL).looking(Until(now + INTERVAL));
    let _ = pacer.admit(&(), &Now::at(now));
    assert_eq!(refused(&pacer, now).reason(), Reason::DeadlinePassed);
}

/// As a future that somebody keeps and does not poll.
#[test]
fn who_does_not_come_for_its_turn_holds_nobody_up_for_longer_than_they_may_wait() {
    let pacer = ten_a_second(5, 4 * INTERVAL);
    let mut now = start();
    let _ = pacer.admit(&(), &Now::at(now));
    let mut forgotten = Waiter::new(wait(&pacer, now), 0, now);
    let mut behind: Vec<_> = (1..4)
        .map(|n| Waiter::new(wait(&pacer, now), n, now))
        .collect();
    let mut went = Vec::new();
    for _ in 0..1_000 {
        now += Duration::from_millis(1);
        for waiter in &mut behind {
            if waiter.wants_to_be_polled(now) {
                match waiter.poll(now) {
                    Poll::Ready(Ok(())) => went.push(waiter.number),
                    Poll::Ready(Err(rejection)) => {
                        assert_eq!(rejection.reason(), Reason::WaitedTooLong);
                    }
                    Poll::Pending => {}
                }
            }
        }
    }
    assert_eq!(went, [1], "the others' time is up together with its");
    assert_eq!(pacer.waiting(), 0);
    assert!(forgotten.was_woken());
    let Poll::Ready(Err(rejection)) = forgotten.poll(now) else {
        panic!("it has lost its turn");
    };
    assert_eq!(rejection.reason(), Reason::WaitedTooLong);
    // Those that come then go at the usual pace.
    assert!(matches!(
        pacer.admit(&(), &Now::at(now)),
        Admission::Admitted(())
    ));
}

#[test]
fn a_timer_that_rings_late_neither_slows_down_nor_makes_a_burst() {
    let pacer = ten_a_second(100, 100 * INTERVAL);
    let begin = start();
    let _ = pacer.admit(&(), &Now::at(begin));
    let late = Duration::from_millis(1);
    for number in 1..=10 {
        let before = begin + (number - 1) * INTERVAL + INTERVAL / 2;
        let due = begin + number * INTERVAL;
        let mut waiter = Waiter::new(wait(&pacer, before), 0, before);
        assert!(waiter.poll(due + late).is_ready(), "lateness adds up");
    }
    let (one, other) = (
        wait(&pacer, begin + 10 * INTERVAL),
        wait(&pacer, begin + 10 * INTERVAL),
    );
    let much_later = begin + 50 * INTERVAL;
    assert!(
        Waiter::new(one, 1, begin + 10 * INTERVAL)
            .poll(much_later)
            .is_ready()
    );
    let _ = Waiter::new(other, 2, much_later);
}

#[test]
fn nonsense_is_refused_by_name() {
    let second = Duration::from_secs(1);
    let field = |result: Result<Pacer, SettingError>| result.unwrap_err().field();
    assert_eq!(field(Pacer::new(0, second)), "calls");
    assert_eq!(field(Pacer::new(1, Duration::ZERO)), "period");
    assert_eq!(field(Pacer::new(2, Duration::from_nanos(1))), "calls");
    let pacer = || Pacer::new(1, second).unwrap();
    assert_eq!(
        field(pacer().waiting_room(0, second)),
        "waiting_room.places"
    );
    let endless = pacer().waiting_room(1, Duration::ZERO);
    assert_eq!(field(endless), "waiting_room.longest_wait");
    assert_eq!(field(pacer().named("")), "named");
}

#[derive(Clone, Debug)]
enum Step {
    Call,
    GiveUp(prop::sample::Index),
    Pass(u64),
}

proptest! {
    /// The model: calls go in the order in which they came, without those that left, each as soon as
    /// it is there and an interval has passed since the one before.
    #[test]
    fn calls_go_in_order_evenly_and_none_is_forgotten(steps in prop::collection::vec(prop_oneof![
        3 => Just(Step::Call),
        1 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        3 => (1_u64..150).prop_map(Step::Pass),
    ], 1..100)) {
        let pacer = ten_a_second(8, 20 * INTERVAL);
        let mut now = start();
        let (mut line, mut next, mut calls) = (Vec::<Waiter>::new(), now, 0);
        for step in steps {
            match step {
                Step::Call => {
                    calls += 1;
                    match pacer.admit(&(), &Now::at(now)) {
                        Admission::Admitted(()) => {
                            prop_assert!(line.is_empty() && next <= now);
                            next = now + INTERVAL;
                        }
                        Admission::Wait(turn) => {
                            prop_assert!(!line.is_empty() || next > now);
                            line.push(Waiter::new(turn, calls, now));
                        }
                        Admission::Refused(_) => prop_assert_eq!(line.len(), 8),
                    }
                }
                Step::GiveUp(index) if !line.is_empty() => {
                    drop(line.remove(index.index(line.len())));
                }
                Step::GiveUp(_) => {}
                Step::Pass(milliseconds) => {
                    // A millisecond at a time, as the timer does it.
                    for _ in 0..milliseconds {
                        now += Duration::from_millis(1);
                        while line.iter().any(|waiter| waiter.wants_to_be_polled(now)) {
                            let index = line.iter().position(|waiter| waiter.wants_to_be_polled(now));
                            let index = index.unwrap();
                            if line[index].poll(now).is_ready() {
                                prop_assert_eq!(index, 0, "{} is out of turn", line[index].number);
                                prop_assert_eq!(now, next);
                                next = now + INTERVAL;
                                drop(line.remove(0));
                            }
                        }
                        prop_assert!(line.is_empty() || next > now, "the first is forgotten");
                    }
                }
            }
            prop_assert_eq!(pacer.waiting(), line.len());
        }
    }
}

#[test]
fn those_that_wait_go_at_the_new_pace() {
    let second = Duration::from_secs(1);
    let minute = 60 * second;
    let pace = |calls| Pacer::new(calls, minute).and_then(|pace| pace.waiting_room(9, 3 * minute));
    let pacer = pace(1).unwrap();
    let mut now = start();
    let admit = |now| pacer.admit(&(), &Now::at(now));
    assert!(matches!(admit(now), Admission::Admitted(())));
    let mut waiters: Vec<_> = (0..2)
        .map(|number| match admit(now) {
            Admission::Wait(turn) => Waiter::new(turn, number, now),
            _ => panic!("it must wait"),
        })
        .collect();
    now += second;
    // Faster: the first one is told, and goes an interval from now.
    pacer.follow(&pace(60).unwrap(), &Now::at(now));
    assert!(waiters[0].was_woken());
    assert!(waiters[0].poll(now).is_pending());
    now += second;
    assert!(waiters[0].wants_to_be_polled(now));
    assert!(waiters[0].poll(now).is_ready());
    // Slower, and nobody else may wait.
    pacer.follow(&Pacer::new(6, minute).unwrap(), &Now::at(now));
    assert!(matches!(admit(now), Admission::Refused(_)));
    now += second;
    assert!(matches!(waiters[1].poll(now), Poll::Ready(Ok(()))));
    assert!(matches!(admit(now + 9 * second), Admission::Refused(_)));
    assert!(matches!(admit(now + 10 * second), Admission::Admitted(())));
}
