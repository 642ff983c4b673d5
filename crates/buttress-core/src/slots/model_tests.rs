//! Against a simple model: a number of slots, and a list.
#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use super::tests::{PATIENCE, Sees, Waiter, start};
use super::*;
use crate::criticality::Criticality;
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    /// Its criticality, when its caller goes away, and whether that is at the moment of its turn.
    Call(usize, Option<u64>, bool),
    End(prop::sample::Index),
    GiveUp(prop::sample::Index),
    SetLimit(u32),
    /// All settings anew: the limit, the places, and the discipline.
    Follow(u32, u32, Discipline),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let deadline = prop_oneof![3 => Just(None), 1 => (1_u64..90).prop_map(Some)];
    prop_oneof![
        5 => (0_usize..4, deadline, prop::bool::weighted(0.2))
            .prop_map(|(rank, deadline, leaves)| Step::Call(rank, deadline, leaves)),
        3 => any::<prop::sample::Index>().prop_map(Step::End),
        1 => any::<prop::sample::Index>().prop_map(Step::GiveUp),
        1 => (1_u32..6).prop_map(Step::SetLimit),
        2 => (1_u64..40).prop_map(Step::Pass),
    ]
}

const TURNS_ROUND: Duration = Duration::from_millis(50);

/// The model: a number of slots, and a list in the order in which they came. Calls are known by
/// their numbers.
struct Model {
    discipline: Discipline,
    limit: usize,
    places: usize,
    running: usize,
    line: Vec<Modelled>,
    busy_since: Option<Instant>,
    latest: Instant,
    delay: Delay,
}

/// The model of a controlled delay: the shortest wait of an interval, and whether that of the one
/// before was too long.
#[derive(Default)]
struct Delay {
    shortest: Option<Duration>,
    ends: Option<Instant>,
    overloaded: bool,
}

#[derive(Clone, Copy)]
struct Modelled {
    number: usize,
    rank: usize,
    since: Instant,
    until: Instant,
    deadline: Option<Instant>,
    leaves: bool,
    /// It came under a discipline that looks at how long it waits.
    judged: bool,
}

impl Model {
    fn newest_first(&self) -> bool {
        let adaptive = matches!(self.discipline, Discipline::AdaptiveLifo { .. });
        let since = self.busy_since;
        adaptive && since.is_some_and(|since| self.latest - since >= TURNS_ROUND)
    }

    /// Whose turn it is.
    fn next(&self) -> Option<usize> {
        let last = self.line.len().checked_sub(1)?;
        let highest = self.line.iter().map(|one| one.rank).max();
        match self.discipline {
            Discipline::Priority => self.line.iter().position(|one| Some(one.rank) == highest),
            _ if self.newest_first() => Some(last),
            _ => Some(0),
        }
    }

    /// Who gives way to a call of that rank.
    fn gives_way(&self, rank: usize) -> Option<usize> {
        let lowest = self.line.iter().map(|one| one.rank).min()?;
        match self.discipline {
            Discipline::Priority if lowest < rank => {
                self.line.iter().rposition(|one| one.rank == lowest)
            }
            _ if self.newest_first() => Some(0),
            _ => None,
        }
    }

    fn follow(&mut self, limit: u32, places: u32, discipline: Discipline) {
        (self.limit, self.places) = (limit as usize, places as usize);
        if discipline != self.discipline {
            self.delay = Delay::default();
            self.discipline = discipline;
        }
    }

    fn remove(&mut self, index: usize) -> Modelled {
        let removed = self.line.remove(index);
        if self.line.is_empty() {
            self.busy_since = None;
            self.delay.shortest = Some(Duration::ZERO);
        }
        removed
    }

    /// Whether it is too late for one whose turn has just come.
    fn is_too_late(&mut self, served: &Modelled, now: Instant) -> bool {
        let Discipline::CoDel { target, interval } = self.discipline else {
            return false;
        };
        if !served.judged {
            return false;
        }
        let wait = now - served.since;
        let delay = &mut self.delay;
        let ends = *delay.ends.get_or_insert(now + interval);
        if now >= ends {
            delay.overloaded = delay.shortest.is_some_and(|wait| wait > target);
            delay.shortest = None;
            delay.ends = Some(now + interval);
        }
        // With nobody behind it, there is no queue.
        let counts = if self.line.is_empty() {
            Duration::ZERO
        } else {
            wait
        };
        delay.shortest = Some(delay.shortest.map_or(counts, |known| known.min(counts)));
        delay.overloaded && wait > 2 * target
    }
}

/// Takes the waiter of that number.
fn take(waiters: &mut Vec<Waiter>, number: usize) -> Waiter {
    let index = waiters.iter().position(|waiter| waiter.number == number);
    waiters.remove(index.unwrap())
}

fn slots(limit: u32, places: u32, discipline: Discipline) -> Slots {
    let slots = Slots::new(limit).unwrap();
    match places {
        0 => slots,
        places => slots
            .waiting_room(places, PATIENCE)
            .and_then(|slots| slots.discipline(discipline))
            .unwrap(),
    }
}

#[expect(clippy::too_many_lines, reason = "each step is told in one place")]
fn agree_with_the_model(
    discipline: Discipline,
    limit: u32,
    places: u32,
    steps: Vec<Step>,
) -> Result<(), TestCaseError> {
    let slots = slots(limit, places, discipline).looking(Sees);
    let mut now = start();
    let mut model = Model {
        discipline,
        limit: limit as usize,
        places: places as usize,
        running: 0,
        line: Vec::new(),
        busy_since: None,
        latest: now,
        delay: Delay::default(),
    };
    let (mut running, mut waiters, mut calls) = (Vec::new(), Vec::<Waiter>::new(), 0);
    for step in steps {
        match step {
            Step::Call(rank, deadline, leaves) => {
                calls += 1;
                let deadline = deadline.map(|time| now + Duration::from_millis(time));
                let has_slot = model.line.is_empty() && model.running < model.limit;
                // Without a room nobody looks at the line.
                let has_room = model.places > 0;
                if !has_slot && has_room {
                    model.latest = now;
                }
                let has_place = model.line.len() < model.places;
                let displaced = if model.line.len() != model.places || !has_room {
                    None
                } else {
                    model.gives_way(rank)
                };
                match slots.admit(&(Criticality::ALL[rank], deadline), &Now::at(now)) {
                    Admission::Admitted(slot) => {
                        prop_assert!(has_slot);
                        model.running += 1;
                        running.push(slot);
                    }
                    Admission::Refused(rejection) => {
                        prop_assert_eq!(rejection.reason(), Reason::BulkheadFull);
                        prop_assert!(!has_slot && !has_place && displaced.is_none());
                    }
                    Admission::Wait(turn) => {
                        prop_assert!(!has_slot && (has_place || displaced.is_some()));
                        model.busy_since.get_or_insert(now);
                        let patience = now + PATIENCE;
                        model.line.push(Modelled {
                            number: calls,
                            rank,
                            since: now,
                            leaves,
                            until: deadline.map_or(patience, |at| at.min(patience)),
                            deadline,
                            judged: matches!(model.discipline, Discipline::CoDel { .. }),
                        });
                        let mut waiter = Waiter::new(turn, calls);
                        prop_assert!(waiter.poll(now).is_pending());
                        waiters.push(waiter);
                        if let Some(index) = displaced {
                            let mut gone = take(&mut waiters, model.remove(index).number);
                            prop_assert!(gone.was_woken());
                            prop_assert_eq!(gone.refused(now), Some(Reason::BulkheadFull));
                        }
                    }
                }
            }
            Step::End(index) if !running.is_empty() => {
                drop(running.remove(index.index(running.len())));
                model.running -= 1;
            }
            Step::GiveUp(index) if !waiters.is_empty() => {
                let gone = waiters.remove(index.index(waiters.len()));
                let index = model.line.iter().position(|one| one.number == gone.number);
                model.remove(index.unwrap());
                drop(gone);
            }
            Step::SetLimit(to) => {
                slots.set_limit(to).unwrap();
                model.limit = to as usize;
            }
            Step::Follow(limit, places, discipline) => {
                // Without a room there is no discipline.
                let discipline = match places {
                    0 => Discipline::Fifo,
                    _ => discipline,
                };
                slots.follow(&self::slots(limit, places, discipline));
                model.follow(limit, places, discipline);
            }
            Step::Pass(millis) => now += Duration::from_millis(millis),
            Step::End(_) | Step::GiveUp(_) => {}
        }
        // Whose turn it is gets what is free, has been woken for it, and leaves it to the next if
        // nobody needs the work any more.
        let mut due = VecDeque::new();
        loop {
            while model.running + due.len() < model.limit
                && let Some(index) = model.next()
            {
                due.push_back(model.remove(index));
            }
            let Some(next) = due.pop_front() else {
                break;
            };
            let mut waiter = take(&mut waiters, next.number);
            prop_assert!(waiter.was_woken());
            if next.leaves {
                drop(waiter);
                continue;
            }
            let too_late = model.is_too_late(&next, now);
            let gone = next.deadline.is_some_and(|at| at <= now);
            match waiter.poll(now) {
                Poll::Ready(Ok(slot)) => {
                    prop_assert!(!gone && !too_late);
                    model.running += 1;
                    running.push(slot);
                }
                Poll::Ready(Err(rejection)) => {
                    prop_assert!(gone || too_late);
                    let reason = if gone {
                        Reason::DeadlinePassed
                    } else {
                        Reason::WaitedTooLong
                    };
                    prop_assert_eq!(rejection.reason(), reason);
                }
                Poll::Pending => {
                    return Err(TestCaseError::fail(
                        "the one whose turn it is is not served",
                    ));
                }
            }
        }
        // Whoever has waited too long is refused.
        while let Some(index) = model.line.iter().position(|one| one.until <= now) {
            let late = model.remove(index);
            let reason = match late.deadline {
                Some(at) if at <= now => Reason::DeadlinePassed,
                _ => Reason::WaitedTooLong,
            };
            let mut waiter = take(&mut waiters, late.number);
            prop_assert_eq!(waiter.refused(now), Some(reason));
        }
        for waiter in &mut waiters {
            prop_assert!(!waiter.was_woken());
            prop_assert!(waiter.poll(now).is_pending());
        }
        prop_assert_eq!(slots.taken(), model.running);
        prop_assert_eq!(slots.waiting(), model.line.len());
    }
    drop((running, waiters));
    prop_assert_eq!((slots.taken(), slots.waiting()), (0, 0));
    Ok(())
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..150)
}

proptest! {
    #[test]
    fn first_come_first_served_agrees_with_the_model(limit in 1_u32..5, places in 0_u32..5, steps in steps()) {
        agree_with_the_model(Discipline::Fifo, limit, places, steps)?;
    }

    #[test]
    fn adaptive_lifo_agrees_with_the_model(limit in 1_u32..4, places in 0_u32..5, steps in steps()) {
        let discipline = Discipline::AdaptiveLifo { after: TURNS_ROUND };
        agree_with_the_model(discipline, limit, places, steps)?;
    }

    #[test]
    fn priority_agrees_with_the_model(limit in 1_u32..4, places in 0_u32..5, steps in steps()) {
        agree_with_the_model(Discipline::Priority, limit, places, steps)?;
    }

    /// With a target that no wait exceeds, a controlled delay is first come, first served.
    #[test]
    fn a_controlled_delay_that_is_short_agrees_with_the_model(limit in 1_u32..4, places in 0_u32..5, steps in steps()) {
        let discipline = Discipline::CoDel { target: PATIENCE, interval: TURNS_ROUND };
        agree_with_the_model(discipline, limit, places, steps)?;
    }

    #[test]
    fn a_controlled_delay_agrees_with_the_model(limit in 1_u32..4, places in 0_u32..9, steps in steps()) {
        let (target, interval) = (Duration::from_millis(5), Duration::from_millis(20));
        agree_with_the_model(Discipline::CoDel { target, interval }, limit, places, steps)?;
    }

    #[test]
    fn it_agrees_with_the_model_while_its_settings_change(
        limit in 1_u32..4,
        places in 1_u32..5,
        steps in prop::collection::vec(prop_oneof![8 => step(), 1 => follow()], 1..150),
    ) {
        agree_with_the_model(Discipline::Fifo, limit, places, steps)?;
    }
}

fn follow() -> impl Strategy<Value = Step> {
    let (target, interval) = (Duration::from_millis(5), Duration::from_millis(20));
    let discipline = prop::sample::select(vec![
        Discipline::Fifo,
        Discipline::AdaptiveLifo { after: TURNS_ROUND },
        Discipline::Priority,
        Discipline::CoDel { target, interval },
    ]);
    let settings = (1_u32..5, 0_u32..6, discipline);
    settings.prop_map(|(limit, places, discipline)| Step::Follow(limit, places, discipline))
}
