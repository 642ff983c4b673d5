//! A breaker does what a slow and obvious one does.

use super::*;
use proptest::prelude::*;
use std::collections::{HashMap, VecDeque};

/// Written so that one sees that it is right. Times are in ms, with buckets of 100 in a window of
/// 1 000.
#[derive(Default)]
struct Model {
    /// Each counted call of the closed state: its time, whether it failed, whether it was slow.
    calls: Vec<(u64, bool, bool)>,
    in_a_row: u32,
    /// Open until then.
    open_until: Option<u64>,
    /// The results of the probes so far, while it is half-open.
    probes: Option<Vec<bool>>,
    /// Under way: the state that admitted it, when, and whether it is a probe.
    under_way: HashMap<usize, (u64, u64, bool)>,
    state: u64,
    failed_attempts: u32,
    last_open: (u64, u64),
}

impl Model {
    fn admit(&mut self, id: usize, now: u64) -> bool {
        if self.open_until.is_some_and(|until| until <= now) {
            (self.open_until, self.probes) = (None, Some(Vec::new()));
            self.state += 1;
        }
        let out = self
            .under_way
            .values()
            .filter(|call| call.2 && call.0 == self.state)
            .count();
        let full = |done: &Vec<bool>| done.len() + out >= PROBES;
        if self.open_until.is_some() || self.probes.as_ref().is_some_and(full) {
            return false;
        }
        self.under_way
            .insert(id, (self.state, now, self.probes.is_some()));
        true
    }

    fn complete(&mut self, id: usize, outcome: Outcome, now: u64) {
        let Some((state, start, _)) = self.under_way.remove(&id) else {
            return;
        };
        let slow = now - start >= SLOW;
        let failed = match outcome {
            Outcome::Success => false,
            Outcome::Cancelled if slow => true,
            Outcome::Cancelled => return,
            _ => true,
        };
        if state != self.state || self.open_until.is_some() {
            return;
        }
        if let Some(done) = &mut self.probes {
            done.push(!failed && !slow);
            let (good, bad) = (
                done.iter().filter(|ok| **ok).count(),
                done.iter().filter(|ok| !**ok).count(),
            );
            if good >= TO_CLOSE {
                *self = Self {
                    last_open: (self.last_open.0, now),
                    ..self.changed()
                };
            } else if bad > PROBES - TO_CLOSE {
                self.open(now, true);
            }
            return;
        }
        match outcome {
            Outcome::Overload => {}
            _ if failed => self.in_a_row += 1,
            _ => self.in_a_row = 0,
        }
        self.calls.push((now, failed, slow));
        let inside = |call: &&(u64, bool, bool)| call.0 / 100 + 10 > now / 100;
        let by_time: Vec<_> = self.calls.iter().filter(inside).collect();
        let last: Vec<_> = self.calls.iter().rev().take(LAST).collect();
        if self.in_a_row >= 5 || too_many(&by_time) || too_many(&last) {
            self.open(now, false);
        }
    }

    fn open(&mut self, now: u64, again: bool) {
        let again = again || now < self.last_open.1 + self.last_open.0;
        let failed_attempts = if again { self.failed_attempts + 1 } else { 0 };
        let time = (300 << failed_attempts.min(9)).min(2_000);
        let open_until = Some(now + time);
        *self = Self {
            open_until,
            failed_attempts,
            last_open: (time, u64::MAX / 2),
            ..self.changed()
        };
    }

    /// Another state, with nothing but its calls and its past.
    fn changed(&mut self) -> Self {
        Self {
            under_way: std::mem::take(&mut self.under_way),
            state: self.state + 1,
            failed_attempts: self.failed_attempts,
            ..Self::default()
        }
    }
}

fn too_many(calls: &[&(u64, bool, bool)]) -> bool {
    let part = |bad: fn(&(u64, bool, bool)) -> bool| {
        calls.iter().filter(|call| bad(call)).count() * 2 >= calls.len()
    };
    calls.len() >= MIN_CALLS && (part(|call| call.1) || part(|call| call.2))
}

const PROBES: usize = 3;
const TO_CLOSE: usize = 2;
const SLOW: u64 = 50;
const LAST: usize = 12;
const MIN_CALLS: usize = 8;

#[derive(Clone, Debug)]
enum Step {
    Begin,
    /// One of those under way.
    End(usize, Outcome),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        3 => Just(Outcome::Failure),
        1 => Just(Outcome::Overload),
        1 => Just(Outcome::Cancelled),
    ];
    prop_oneof![
        6 => Just(Step::Begin),
        5 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Step::End(which, outcome)),
        2 => (1_u64..60).prop_map(Step::Wait),
        1 => (100_u64..1_500).prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn it_does_what_the_model_does(steps in prop::collection::vec(step(), 1..250)) {
        let mut stage = Stage::set(|settings| {
            settings.time_window = Some(SECOND);
            settings.count_window = Some(LAST as u32);
            settings.min_calls = MIN_CALLS as u32;
            settings.slow_calls = Some(SlowCalls { duration: SLOW as u32 * MS, rate: 0.5 });
            settings.probes = PROBES as u32;
            settings.probes_to_close = Some(TO_CLOSE as u32);
            settings.probe_patience = 24 * 60 * 60 * SECOND;
            settings.open_time = 300 * MS;
            settings.longest_open_time = 2 * SECOND;
        });
        let (mut model, mut now, mut next) = (Model::default(), 0, 0);
        let mut permits = VecDeque::new();
        for step in steps {
            match step {
                Step::Begin => {
                    let (mine, its) = (stage.admit(), model.admit(next, now));
                    prop_assert_eq!(mine.is_ok(), its, "at {}", now);
                    permits.extend(mine.ok().map(|permit| (next, permit)));
                    next += 1;
                }
                Step::End(which, outcome) if !permits.is_empty() => {
                    let which = which % permits.len();
                    let (id, permit) = permits.swap_remove_back(which).unwrap();
                    permit.complete(outcome, &stage.now());
                    model.complete(id, outcome, now);
                }
                Step::End(..) => {}
                Step::Wait(time) => {
                    now += time;
                    stage.wait(time as u32 * MS);
                }
            }
            let open = model.open_until.is_some_and(|until| until > now);
            let state = match (open, &model.probes, model.open_until) {
                (true, ..) => CircuitState::Open,
                (false, None, None) => CircuitState::Closed,
                _ => CircuitState::HalfOpen,
            };
            prop_assert_eq!(stage.state(), state, "at {}", now);
            if state == CircuitState::Closed {
                prop_assert_eq!(stage.snapshot().consecutive_failures, model.in_a_row);
            }
        }
    }
}
