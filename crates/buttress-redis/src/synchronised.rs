//! A limit that each instance counts for itself, and of which they exchange sums.

use crate::ask::{Action, Answer};
use crate::entry::Entry;
use crate::link::For;
use crate::permit::{FleetPermit, From, Taken};
use crate::rule::Rule;
use crate::shared::{Decision, Keeper, Shared};
use buttress_core::{Admission, Now};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// What an instance believes of one key.
#[derive(Debug, Default)]
pub(crate) struct View {
    /// What was used here and is not told yet.
    pending: u32,
    /// Whether calls came since the last exchange.
    used: bool,
    /// What is known of all; nothing at first.
    known: Option<Known>,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    /// Nanoseconds until everything is free, for an even rule.
    debt: u128,
    /// How much may be used before the next exchange, for a window.
    left: u32,
    /// As of when.
    at: Instant,
    /// How long from then until one more fits, and until everything does.
    wait: Duration,
    whole: Duration,
}

impl View {
    fn take(&mut self, rule: &Rule, cost: u32, period: Duration, now: Instant) -> Answer {
        self.used = true;
        let known = self.known.get_or_insert_with(|| Known::nothing(rule, now));
        let answer = match *rule {
            Rule::Even { interval, burst } => {
                known.age(now);
                let (interval, capacity) =
                    (interval.as_nanos(), interval.as_nanos() * u128::from(burst));
                let price = interval * u128::from(cost);
                let too_much = (known.debt + price).saturating_sub(capacity);
                if too_much == 0 {
                    known.debt += price;
                }
                Answer {
                    taken: if too_much == 0 { cost } else { 0 },
                    wait: nanoseconds(too_much),
                    left: (capacity.saturating_sub(known.debt) / interval.max(1)) as u32,
                    whole: nanoseconds(known.debt),
                }
            }
            Rule::Window { .. } => {
                let since = now.saturating_duration_since(known.at);
                if let Some(rest) = known.left.checked_sub(cost) {
                    known.left = rest;
                    known.taken(cost, since)
                } else {
                    Answer {
                        taken: 0,
                        wait: known.wait.saturating_sub(since).max(period),
                        left: known.left,
                        whole: known.whole.saturating_sub(since),
                    }
                }
            }
        };
        self.pending = self.pending.saturating_add(answer.taken);
        answer
    }

    /// Calls come again after a while without exchanges.
    fn wake(&mut self, now: Instant) {
        // What a window holds is not known to age, but to be whole in the end.
        if self.whole(now).is_zero() {
            self.known = None;
        }
    }

    /// How long until all that is known to be used has come free.
    fn whole(&self, now: Instant) -> Duration {
        self.known.as_ref().map_or(Duration::ZERO, |known| {
            let since = now.saturating_duration_since(known.at);
            known
                .whole
                .max(nanoseconds(known.debt))
                .saturating_sub(since)
        })
    }

    pub(crate) fn give_back(&mut self, rule: &Rule, cost: u32) {
        // What was told already stays counted: a little less is admitted.
        let back = cost.min(self.pending);
        self.pending -= back;
        if let Some(known) = &mut self.known {
            known.left = known.left.saturating_add(back).min(rule.limit());
            if let Rule::Even { interval, .. } = *rule {
                let price = interval.as_nanos() * u128::from(back);
                known.debt = known.debt.saturating_sub(price);
            }
        }
    }

    /// What the store says, and what was used here while it said so.
    fn learn(&mut self, rule: &Rule, answer: &Answer, now: Instant) {
        let mut known = Known {
            debt: answer.whole.as_nanos(),
            left: answer.left.saturating_sub(self.pending),
            at: now,
            wait: answer.wait,
            whole: answer.whole,
        };
        if let Rule::Even { interval, .. } = *rule {
            known.debt += interval.as_nanos() * u128::from(self.pending);
        }
        self.known = Some(known);
    }
}

impl Known {
    fn nothing(rule: &Rule, now: Instant) -> Self {
        Self {
            debt: 0,
            left: rule.limit(),
            at: now,
            wait: Duration::ZERO,
            whole: Duration::ZERO,
        }
    }

    fn age(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at);
        self.debt = self.debt.saturating_sub(elapsed.as_nanos());
        self.at = self.at.max(now);
    }

    fn taken(&self, cost: u32, since: Duration) -> Answer {
        Answer {
            taken: cost,
            wait: Duration::ZERO,
            left: self.left,
            whole: self.whole.saturating_sub(since),
        }
    }
}

impl Shared {
    #[inline]
    pub(crate) fn from_view(
        self: &Arc<Self>,
        entry: &Arc<Entry>,
        cost: u32,
        period: Duration,
        now: &Now,
    ) -> Decision {
        let mut state = entry.state.lock();
        let mut new = None;
        if !state.kept {
            new = self.hire(entry);
            if new.is_none() {
                drop(state);
                // More keys are looked after than may be, so this one is not.
                return self.no_room();
            }
            state.kept = true;
            state.view.wake(now.instant());
        }
        let answer = state.view.take(self.rule(), cost, period, now.instant());
        drop(state);
        if let Some(keeper) = new {
            // Without the lock: a runtime that is going down drops the keeper, which takes it.
            self.subject.link.spawn(keeper.keep_view(period));
        }
        if answer.taken < cost {
            return self.refused(answer.wait, answer.left);
        }
        Admission::Admitted(FleetPermit {
            quota: self.quota(answer.left, answer.whole),
            taken: Some(Taken {
                digest: entry.digest,
                cost,
                from: From::View,
            }),
        })
    }
}

impl Keeper {
    /// Exchanges sums until no call has come for a while.
    async fn keep_view(self, period: Duration) {
        let (subject, entry) = (&self.shared.subject, &self.entry);
        let mut quiet = 0;
        loop {
            sleep(period).await;
            let pending = {
                let view = &mut entry.state.lock().view;
                quiet = if std::mem::take(&mut view.used) {
                    0
                } else {
                    quiet + 1
                };
                std::mem::take(&mut view.pending)
            };
            let charge = subject.ask(entry.digest, Action::Charge(pending));
            let answer = subject.link.ask(For::Keeper, charge).await;
            let mut state = entry.state.lock();
            match answer {
                Ok(answer) => {
                    let now = tokio::time::Instant::now().into_std();
                    state.view.learn(&subject.rule, &answer, now);
                }
                // It may have been counted or not: twice is the safe side.
                Err(_) => state.view.pending = state.view.pending.saturating_add(pending),
            }
            if quiet >= QUIET && state.view.pending == 0 {
                // What is known stays, or whoever rests for a while would find the limit whole.
                let now = tokio::time::Instant::now().into_std();
                let whole = state.view.whole(now);
                state.remember(now, whole);
                return;
            }
        }
    }
}

fn nanoseconds(nanoseconds: u128) -> Duration {
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// After so many exchanges without a call, there are no more until the next one.
const QUIET: u32 = 10;
