//! A callee with some slots and a queue without end, and callers that come at a rate, on virtual
//! time.

use crate::limit::slots::AdaptiveSlot;
use crate::limit::{AdaptiveSlots, Limit};
use crate::{Admission, Now, Outcome, Permit, Policy, Random};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

pub(super) struct Simulation<L: Limit> {
    pub(super) policy: AdaptiveSlots<L>,
    /// How many calls the callee works on at once, and how long each takes.
    pub(super) slots: usize,
    pub(super) work: Duration,
    pub(super) varies: Varies,
    /// It stands still so often, and for so long.
    pub(super) pauses: Option<(Duration, Duration)>,
    /// Calls in a second.
    pub(super) rate: f64,
    random: Random,
    begin: Instant,
    now: Duration,
    next_call: Duration,
    queue: VecDeque<AdaptiveSlot<L>>,
    running: BinaryHeap<Reverse<(Duration, usize)>>,
    permits: Vec<Option<AdaptiveSlot<L>>>,
}

/// How the work of one call differs from another's. The mean is the same.
#[derive(Clone, Copy, Debug)]
pub(super) enum Varies {
    Never,
    Exponentially,
    /// Nine in ten take half as long, and the others eleven times as long as those.
    InTwo,
}

/// What happened during a run.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) answered: u32,
    pub(super) refused: u32,
    pub(super) lowest: u32,
    /// The limit, on average over the time.
    pub(super) average: f64,
}

impl<L: Limit + Clone> Simulation<L> {
    pub(super) fn new(algorithm: L, rate: f64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let begin = Instant::now();
        Self {
            policy: AdaptiveSlots::new(algorithm).unwrap(),
            slots: 20,
            work: Duration::from_millis(10),
            varies: Varies::Never,
            pauses: None,
            rate,
            random: Random::seeded(7),
            begin,
            now: Duration::ZERO,
            next_call: Duration::ZERO,
            queue: VecDeque::new(),
            running: BinaryHeap::new(),
            permits: Vec::new(),
        }
    }

    pub(super) fn limit(&self) -> u32 {
        self.policy.limit()
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) -> Seen {
        let until = self.now + time;
        let mut seen = Seen {
            lowest: u32::MAX,
            ..Seen::default()
        };
        let mut area = 0.0;
        loop {
            let before = self.now;
            let ends = self.running.peek().map(|Reverse((at, _))| *at);
            match ends {
                Some(at) if at <= self.next_call.min(until) => {
                    self.now = at;
                    self.end_one();
                    seen.answered += 1;
                }
                _ if self.next_call <= until => {
                    self.now = self.next_call;
                    seen.refused += u32::from(!self.call());
                    // Callers come by chance.
                    let gap = -(1.0 - self.random.unit()).ln() / self.rate;
                    self.next_call += Duration::from_secs_f64(gap);
                }
                _ => break,
            }
            seen.lowest = seen.lowest.min(self.limit());
            area += f64::from(self.limit()) * self.now.saturating_sub(before).as_secs_f64();
        }
        area += f64::from(self.limit()) * until.saturating_sub(self.now).as_secs_f64();
        seen.average = area / time.as_secs_f64();
        self.now = until;
        seen
    }

    fn now(&self) -> Now {
        Now::at(self.begin + self.now)
    }

    fn call(&mut self) -> bool {
        match self.policy.admit(&(), &self.now()) {
            Admission::Admitted(permit) => {
                self.queue.push_back(permit);
                self.start();
                true
            }
            Admission::Refused(_) | Admission::Wait(_) => false,
        }
    }

    fn start(&mut self) {
        while self.running.len() < self.slots
            && let Some(permit) = self.queue.pop_front()
        {
            let factor = match self.varies {
                Varies::Never => 1.0,
                Varies::Exponentially => -(1.0 - self.random.unit()).ln(),
                Varies::InTwo if self.random.unit() < 0.9 => 0.5,
                Varies::InTwo => 5.5,
            };
            let ends = self.after_pauses(self.work.mul_f64(factor));
            let free = self.permits.iter().position(Option::is_none);
            let index = free.unwrap_or_else(|| {
                self.permits.push(None);
                self.permits.len() - 1
            });
            self.permits[index] = Some(permit);
            self.running.push(Reverse((ends, index)));
        }
    }

    /// When work of so long is done that begins now.
    fn after_pauses(&self, work: Duration) -> Duration {
        let Some((every, length)) = self.pauses else {
            return self.now + work;
        };
        let into = Duration::from_nanos((self.now.as_nanos() % every.as_nanos()) as u64);
        // A pause is at the beginning of each turn.
        let begins = self.now + length.saturating_sub(into);
        let next = self.now.saturating_sub(into) + every;
        if begins + work > next {
            begins + work + length
        } else {
            begins + work
        }
    }

    fn end_one(&mut self) {
        let Some(Reverse((_, index))) = self.running.pop() else {
            return;
        };
        let permit = self.permits[index].take();
        self.start();
        if let Some(permit) = permit {
            permit.complete(Outcome::Success, &self.now());
        }
    }
}
