use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waiting call as its task sees it.
struct Waiter {
    turn: Turn,
    wakes: Arc<Wakes>,
    number: usize,
}

impl Waiter {
    fn poll(&mut self, now: Instant) -> Poll<Result<Slot, Rejection>> {
        let waker = Waker::from(Arc::clone(&self.wakes));
        let mut context = Context::from_waker(&waker);
        self.turn.poll(&Now::at(now), &mut context)
    }

    fn was_woken(&self) -> bool {
        self.wakes.0.load(Ordering::SeqCst) > 0
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "any instant will do: the test moves it by hand"
)]
fn start() -> Instant {
    Instant::now()
}

#[derive(Clone, Debug)]
enum Step {
    Call,
    End(prop::sample::Index),
    GiveUp(prop::sample::Index),
    SetLimit(u32),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Call),
        3 => any::<prop::sample::Index>().prop_map(Step::End),
        1 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        1 => (1_u32..6).prop_map(Step::SetLimit),
        1 => (1_u64..60).prop_map(Step::Pass),
    ]
}

proptest! {
    /// The model: a number of slots and a queue. Its calls are numbered in the order in which
    /// they came.
    #[test]
    fn slots_agree_with_a_number_and_a_queue(
        limit in 1_u32..5,
        places in 0_u32..4,
        steps in prop::collection::vec(step(), 1..120),
    ) {
        const PATIENCE: Duration = Duration::from_millis(100);
        let slots = Slots::new(limit).unwrap();
        let slots = match places {
            0 => slots,
            places => slots.waiting_room(places, PATIENCE).unwrap(),
        };
        let mut now = start();
        let mut limit = limit as usize;
        let (mut running, mut waiters) = (Vec::new(), VecDeque::<Waiter>::new());
        let (mut model_running, mut model_line) = (0, VecDeque::<(usize, Instant)>::new());
        let mut calls = 0;
        for step in steps {
            match step {
                Step::Call => {
                    calls += 1;
                    match slots.admit(&(), &Now::at(now)) {
                        Admission::Admitted(slot) => {
                            prop_assert!(model_line.is_empty() && model_running < limit);
                            model_running += 1;
                            running.push(slot);
                        }
                        Admission::Refused(rejection) => {
                            prop_assert_eq!(rejection.reason(), Reason::BulkheadFull);
                            prop_assert!(model_running >= limit);
                            prop_assert_eq!(model_line.len(), places as usize);
                        }
                        Admission::Wait(turn) => {
                            prop_assert!(!model_line.is_empty() || model_running >= limit);
                            prop_assert!(model_line.len() < places as usize);
                            model_line.push_back((calls, now + PATIENCE));
                            let wakes = Arc::default();
                            let mut waiter = Waiter { turn, wakes, number: calls };
                            prop_assert!(waiter.poll(now).is_pending());
                            waiters.push_back(waiter);
                        }
                    }
                }
                Step::End(index) if !running.is_empty() => {
                    drop(running.remove(index.index(running.len())));
                    model_running -= 1;
                }
                Step::GiveUp(index) if !waiters.is_empty() => {
                    let gone = waiters.remove(index.index(waiters.len())).unwrap();
                    model_line.retain(|(number, _)| *number != gone.number);
                    drop(gone);
                }
                Step::SetLimit(to) => {
                    slots.set_limit(to).unwrap();
                    limit = to as usize;
                }
                Step::Pass(millis) => {
                    now += Duration::from_millis(millis);
                }
                Step::End(_) | Step::GiveUp(_) => {}
            }
            // Whoever is first gets what is free, and has been woken for it.
            while model_running < limit && let Some((number, _)) = model_line.pop_front() {
                model_running += 1;
                let mut first = waiters.pop_front().unwrap();
                prop_assert_eq!(first.number, number);
                prop_assert!(first.was_woken());
                let Poll::Ready(Ok(slot)) = first.poll(now) else {
                    return Err(TestCaseError::fail("the first in line is not served"));
                };
                running.push(slot);
            }
            // Whoever has waited too long is refused.
            while model_line.front().is_some_and(|(_, until)| *until <= now) {
                model_line.pop_front();
                let mut late = waiters.pop_front().unwrap();
                let Poll::Ready(Err(rejection)) = late.poll(now) else {
                    return Err(TestCaseError::fail("nobody waits for ever"));
                };
                prop_assert_eq!(rejection.reason(), Reason::WaitedTooLong);
            }
            for waiter in &mut waiters {
                prop_assert!(!waiter.was_woken());
                prop_assert!(waiter.poll(now).is_pending());
            }
            prop_assert_eq!(slots.taken(), model_running);
            prop_assert_eq!(slots.waiting(), model_line.len());
        }
        drop((running, waiters));
        prop_assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    }
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
}
