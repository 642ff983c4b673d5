//! A limit of which an instance takes a batch ahead.

use crate::ask::{Action, Answer};
use crate::entry::{Entry, State};
use crate::permit::{FleetPermit, From, Taken};
use crate::rule::Rule;
use crate::shared::{Decision, Keeper, Shared};
use crate::waiting::Waiting;
use buttress_core::{Admission, Now};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::timeout;

/// What an instance holds for one key.
#[derive(Debug, Default)]
pub(crate) struct Lease {
    /// Taken from the store, and not used yet.
    tokens: u32,
    /// What calls wanted since `measured`, and what they got.
    demand: u64,
    used: u64,
    measured: Option<Instant>,
    /// How much to hold.
    batch: u32,
    /// The least that helps a call that needs more than there is; 0 if none does.
    wanted: u32,
    /// Whether the store is being asked.
    asking: bool,
    dry: Option<Dry>,
    /// What the store had left, and when it would be whole.
    left: u32,
    whole: Duration,
}

/// The store had less than was wanted.
#[derive(Clone, Copy, Debug)]
struct Dry {
    /// Who needs this much is not helped by asking again before `until`.
    least: u32,
    until: Instant,
    /// When that much will be there, if nobody takes anything meanwhile.
    passes: Instant,
}

/// What becomes of a call.
enum Step {
    Taken { left: u32, whole: Duration },
    Refused { wait: Duration, left: u32 },
    Wait,
}

impl Lease {
    #[inline]
    fn take(&mut self, cost: u32, now: &Now) -> (Step, bool) {
        let mut call_keeper = false;
        if let Some(rest) = self.tokens.checked_sub(cost) {
            self.tokens = rest;
            self.used += u64::from(cost);
            if rest < self.batch / 2 && self.wanted == 0 && !self.asking && !self.is_dry(1, now) {
                self.wanted = 1;
                call_keeper = true;
            }
            let step = Step::Taken {
                left: self.left.saturating_add(rest),
                whole: self.whole,
            };
            return (step, call_keeper);
        }
        let need = cost - self.tokens;
        if self.is_dry(need, now)
            && let Some(dry) = self.dry
        {
            let wait = dry.passes.max(dry.until);
            let wait = wait.saturating_duration_since(now.instant());
            let left = self.tokens;
            return (Step::Refused { wait, left }, false);
        }
        self.wanted = self.wanted.max(need);
        (Step::Wait, true)
    }

    fn is_dry(&self, need: u32, now: &Now) -> bool {
        self.dry
            .is_some_and(|dry| need >= dry.least && now.instant() < dry.until)
    }

    pub(crate) fn give_back(&mut self, cost: u32) {
        self.tokens = self.tokens.saturating_add(cost);
    }

    /// The keeper is gone, and with it what it was doing.
    pub(crate) fn unkept(&mut self) {
        self.asking = false;
        self.wanted = 0;
    }

    /// What the keeper does next. `quiet` if no call needed it for a while.
    fn plan(&mut self, lead: Duration, most: u32, quiet: bool, now: Instant) -> Plan {
        let idle = quiet && self.demand == 0 && self.wanted == 0;
        self.measure(lead, most, now);
        if self.wanted > 0 {
            let least = std::mem::take(&mut self.wanted);
            let missing = self.batch.saturating_sub(self.tokens);
            self.asking = true;
            return Plan::Take {
                least,
                most: missing.max(least),
            };
        }
        let keep = if idle { 0 } else { self.batch };
        if quiet && self.tokens > keep {
            let spare = self.tokens - keep;
            self.tokens = keep;
            return Plan::GiveBack(spare);
        }
        if idle { Plan::End } else { Plan::Rest }
    }

    /// Sizes the batch by what calls wanted lately; or got, if the store has no more, so that all
    /// instances together hold no more than what comes free in `lead`.
    fn measure(&mut self, lead: Duration, most: u32, now: Instant) {
        let measured = *self.measured.get_or_insert(now);
        let elapsed = now.saturating_duration_since(measured);
        // At most a year of seconds, and as exact as a batch needs to be.
        let wanted = if elapsed >= lead / 4 {
            let lately = if self.dry.is_some() {
                self.used
            } else {
                self.demand
            };
            let rate = lately as f64 / elapsed.as_secs_f64();
            (self.demand, self.used) = (0, 0);
            self.measured = Some(now);
            rate * lead.as_secs_f64()
        } else {
            // Too short a time to tell a rate: it doubles as long as it is not enough.
            (u64::from(self.batch).max(self.demand) * 2) as f64
        };
        // The conversion saturates.
        self.batch = (wanted.ceil() as u32).clamp(1, most.max(1));
    }

    fn took(
        &mut self,
        asked: (u32, u32),
        answer: &Answer,
        rule: &Rule,
        lead: Duration,
        now: Instant,
    ) {
        let (least, most) = asked;
        self.asking = false;
        self.tokens = self.tokens.saturating_add(answer.taken);
        self.left = answer.left;
        self.whole = answer.whole;
        self.dry = (answer.taken < most).then(|| {
            // Not sooner than it can help, not so late that the store's burst runs over.
            let pause = answer.wait.max((lead / 2).min(rule.period() / 2));
            Dry {
                least: if answer.taken == 0 { least } else { 1 },
                until: now + pause.min(LONGEST_PAUSE),
                passes: now + answer.wait,
            }
        });
    }

    /// The store was lost: what was taken of it may be counted there or not.
    fn lost(&mut self) {
        self.asking = false;
        self.tokens = 0;
        self.dry = None;
    }
}

enum Plan {
    Take { least: u32, most: u32 },
    GiveBack(u32),
    Rest,
    End,
}

impl Shared {
    #[inline]
    pub(crate) fn lease(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        cost: u32,
        lead: Duration,
        now: &Now,
    ) -> Decision {
        let mut state = entry.state.lock();
        state.lease.demand += u64::from(cost);
        let (step, call_keeper) = state.lease.take(cost, now);
        if let (Step::Taken { left, whole }, false) = (&step, call_keeper) {
            drop(state);
            return Admission::Admitted(self.leased(entry, cost, *left, *whole));
        }
        self.lease_slowly(entry, state, &step, call_keeper, (cost, lead, None), now)
    }

    /// A call that waited looks again.
    pub(crate) fn lease_again(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        cost: u32,
        lead: Duration,
        deadline: Instant,
        now: &Now,
    ) -> Decision {
        if !self.subject.link.is_up() || now.instant() >= deadline {
            return self.decide_alone(entry.digest, cost, now);
        }
        let mut state = entry.state.lock();
        let (step, call_keeper) = state.lease.take(cost, now);
        let call = (cost, lead, Some(deadline));
        self.lease_slowly(entry, state, &step, call_keeper, call, now)
    }

    #[cold]
    fn lease_slowly(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        mut state: parking_lot::MutexGuard<'_, State>,
        step: &Step,
        call_keeper: bool,
        (cost, lead, deadline): (u32, Duration, Option<Instant>),
        now: &Now,
    ) -> Decision {
        // Before the keeper can have done anything, so that no word of it is missed.
        let mut done = Box::pin(Arc::clone(&entry.done).notified_owned());
        done.as_mut().enable();
        let mut kept = state.kept;
        let mut new = None;
        if call_keeper && !kept {
            new = self.hire(entry);
            kept = new.is_some();
            state.kept = kept;
        }
        drop(state);
        if let Some(keeper) = new {
            self.subject.link.spawn(keeper.keep_lease(lead));
        }
        if call_keeper {
            entry.wake.notify_one();
        }
        match *step {
            Step::Taken { left, whole } => {
                Admission::Admitted(self.leased(entry, cost, left, whole))
            }
            Step::Refused { wait, left } => self.refused(wait, left),
            // More keys are looked after than may be, so this one is not.
            Step::Wait if !kept => self.no_room(),
            Step::Wait => Admission::Wait(Waiting::Lease {
                entry: Arc::clone(entry),
                done,
                cost,
                lead,
                deadline: deadline.unwrap_or_else(|| now.instant() + self.subject.link.deadline()),
            }),
        }
    }

    #[inline]
    fn leased(&self, entry: &Entry, cost: u32, left: u32, whole: Duration) -> FleetPermit {
        FleetPermit {
            quota: self.quota(left, whole),
            taken: Some(Taken {
                digest: entry.digest,
                cost,
                from: From::Lease,
            }),
        }
    }

    /// What comes free in `lead`; and so that all together hold half of the burst at most.
    fn largest_batch(&self, lead: Duration) -> u32 {
        let (rule, instances) = (self.rule(), self.subject.link.instances().max(1));
        let free = f64::from(rule.limit()) * lead.as_secs_f64() / rule.period().as_secs_f64();
        // The conversion saturates.
        (free.ceil() as u32).min(rule.limit() / instances / 2)
    }
}

impl Keeper {
    async fn keep_lease(self, lead: Duration) {
        let (shared, entry) = (&self.shared, &self.entry);
        let subject = &shared.subject;
        loop {
            let quiet = timeout(lead * QUIET, entry.wake.notified()).await.is_err();
            let now = tokio::time::Instant::now().into_std();
            let most = shared.largest_batch(lead);
            let plan = entry.state.lock().lease.plan(lead, most, quiet, now);
            match plan {
                Plan::Take { least, most } => {
                    let action = Action::Take {
                        least,
                        most,
                        patience: Duration::ZERO,
                    };
                    let answer = subject.link.ask(subject.ask(entry.digest, action)).await;
                    let now = tokio::time::Instant::now().into_std();
                    let lease = &mut entry.state.lock().lease;
                    match answer {
                        Ok(answer) => {
                            lease.took((least, most), &answer, shared.rule(), lead, now);
                        }
                        Err(_) => lease.lost(),
                    }
                    entry.done.notify_waiters();
                }
                Plan::GiveBack(spare) => {
                    let back = Action::GiveBack(spare);
                    // If it is lost, less is admitted than could have been: the safe side.
                    let _ = subject.link.ask(subject.ask(entry.digest, back)).await;
                }
                Plan::Rest => {}
                Plan::End => return,
            }
        }
    }
}

/// A lease that no call has needed for so many leads is given back.
const QUIET: u32 = 5;

/// However long the store says it takes: others may give something back earlier.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
