use crate::ask::{Action, Answer};
use crate::digest::{Digest, Digester};
use crate::entry::{Entries, Entry};
use crate::link::{For, Subject, Unreachable};
use crate::permit::{FleetPermit, From, Taken};
use crate::rule::Rule;
use crate::share::{Mode, WhenUnreachable};
use crate::waiting::Waiting;
use buttress_core::{Admission, Now, Quota, Reason, Rejection};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// A limit of a fleet, apart from what calls look like: all that the background needs, too.
pub(crate) struct Shared {
    pub(crate) subject: Subject,
    pub(crate) mode: Mode,
    pub(crate) when_unreachable: WhenUnreachable,
    pub(crate) longest_wait: Duration,
    pub(crate) announced: bool,
    pub(crate) digester: Digester,
    pub(crate) entries: Entries,
    /// Where there are no keys: the one entry, which needs no search.
    pub(crate) only: Option<Arc<Entry>>,
    /// From where time is counted in what is decided locally.
    pub(crate) anchor: Instant,
    /// How many keys are being looked after, and how many may be.
    pub(crate) keepers: AtomicUsize,
    pub(crate) most_keepers: usize,
}

/// A decision.
pub(crate) type Decision = Admission<FleetPermit, Waiting>;

impl Shared {
    pub(crate) fn rule(&self) -> &Rule {
        &self.subject.rule
    }

    #[inline]
    pub(crate) fn entry(&self, digest: Digest, now: &Now) -> Option<Arc<Entry>> {
        match &self.only {
            Some(only) => Some(Arc::clone(only)),
            None => self.entries.get(digest, now),
        }
    }

    #[inline]
    pub(crate) fn admit(self: &Arc<Self>, digest: Digest, cost: NonZeroU32, now: &Now) -> Decision {
        let cost = cost.get();
        if cost > self.rule().limit() {
            // It would never pass, so there is no time after which to try again.
            return Admission::Refused(self.rejection(Reason::RateLimited));
        }
        if !self.subject.link.is_up(now) {
            return self.decide_alone(digest, cost, now);
        }
        match self.mode {
            Mode::Exact => self.ask(digest, cost, now),
            Mode::Leased { lead } => {
                let Some(entry) = self.entry(digest, now) else {
                    return self.no_room();
                };
                self.lease(&entry, cost, lead, now)
            }
            Mode::Synchronised { period } => {
                let Some(entry) = self.entry(digest, now) else {
                    return self.no_room();
                };
                self.from_view(&entry, cost, period, now)
            }
        }
    }

    fn ask(self: &Arc<Self>, digest: Digest, cost: u32, now: &Now) -> Decision {
        let action = Action::Take {
            least: cost,
            most: cost,
            patience: self.longest_wait,
        };
        let (link, ask) = (
            Arc::clone(&self.subject.link),
            self.subject.ask(digest, action),
        );
        let mut answer: crate::waiting::Asking =
            Box::pin(async move { link.ask(For::Call, ask).await });
        // An engine in the process answers at once. Any other is on its way from here: who waits
        // polls again, with a waker of its own.
        let _runtime = self.subject.link.enter();
        let mut context = Context::from_waker(Waker::noop());
        match answer.as_mut().poll(&mut context) {
            Poll::Ready(answer) => self.answered(digest, cost, answer, now),
            Poll::Pending => Admission::Wait(Waiting::Asking {
                answer,
                digest,
                cost,
            }),
        }
    }

    /// What the store's answer means for a call.
    pub(crate) fn answered(
        &self,
        digest: Digest,
        cost: u32,
        answer: Result<Answer, Unreachable>,
        now: &Now,
    ) -> Decision {
        match answer {
            Ok(answer) => self.decided(digest, cost, From::Store, &answer, now),
            Err(Unreachable) => self.decide_alone(digest, cost, now),
        }
    }

    /// The store is out of reach.
    #[cold]
    pub(crate) fn decide_alone(&self, digest: Digest, cost: u32, now: &Now) -> Decision {
        match self.when_unreachable {
            WhenUnreachable::Admit => Admission::Admitted(FleetPermit::free()),
            WhenUnreachable::Refuse => {
                let rejection = self.rejection(Reason::Overloaded);
                Admission::Refused(rejection.retry_after(UNTIL_THEN))
            }
            WhenUnreachable::LocalShare => {
                let Some(entry) = self.entry(digest, now) else {
                    return self.no_room();
                };
                let action = Action::Take {
                    least: cost,
                    most: cost,
                    patience: self.longest_wait,
                };
                let answer = self.count_alone(&entry, cost, action, now);
                self.decided(digest, cost, From::Alone, &answer, now)
            }
        }
    }

    pub(crate) fn count_alone(
        &self,
        entry: &Entry,
        cost: u32,
        action: Action,
        now: &Now,
    ) -> Answer {
        let share = self.rule().share(self.subject.link.instances(), cost);
        let at = now.instant().saturating_duration_since(self.anchor);
        let mut state = entry.state.lock();
        let answer = state.local.apply(&share, action, at.as_micros() as u64);
        state.remember(now.instant(), answer.whole);
        answer
    }

    fn decided(
        &self,
        digest: Digest,
        cost: u32,
        from: From,
        answer: &Answer,
        now: &Now,
    ) -> Decision {
        // A store that says to wait for longer is broken, and is not believed.
        if answer.taken < cost || answer.wait > self.longest_wait {
            return self.refused(answer.wait, answer.left);
        }
        let permit = FleetPermit {
            quota: self.quota(answer.left, answer.whole),
            taken: Some(Taken { digest, cost, from }),
        };
        if answer.wait.is_zero() {
            return Admission::Admitted(permit);
        }
        // No later than the longest wait, which is a year at most.
        let until = now.instant() + answer.wait;
        Admission::Wait(Waiting::Turn { until, permit })
    }

    #[cold]
    pub(crate) fn refused(&self, wait: Duration, left: u32) -> Decision {
        let mut rejection = self.rejection(Reason::RateLimited).retry_after(wait);
        if self.announced {
            rejection = rejection.quota(self.quota_of(left, wait));
        }
        Admission::Refused(rejection)
    }

    #[cold]
    pub(crate) fn no_room(&self) -> Decision {
        Admission::Refused(self.rejection(Reason::Overloaded))
    }

    pub(crate) fn rejection(&self, reason: Reason) -> Rejection {
        Rejection::new(reason, self.subject.name)
    }

    #[inline]
    pub(crate) fn quota(&self, left: u32, reset: Duration) -> Option<Box<Quota>> {
        self.announced.then(|| Box::new(self.quota_of(left, reset)))
    }

    fn quota_of(&self, left: u32, reset: Duration) -> Quota {
        let rule = self.rule();
        Quota::new(
            self.subject.name,
            rule.limit(),
            rule.period(),
            left.min(rule.limit()),
            reset,
        )
    }

    /// A call that was admitted will not be made.
    pub(crate) fn give_back(self: &Arc<Self>, taken: Taken, now: &Now) {
        let Taken { digest, cost, from } = taken;
        let back = Action::GiveBack(cost);
        if matches!(from, From::Store) {
            self.subject.link.tell(self.subject.ask(digest, back));
            return;
        }
        let Some(entry) = self.entry(digest, now) else {
            return;
        };
        match from {
            From::Store => {}
            From::Alone => {
                self.count_alone(&entry, cost, back, now);
            }
            From::Lease => entry.state.lock().lease.give_back(cost),
            From::View => entry.state.lock().view.give_back(self.rule(), cost),
        }
    }

    /// Has `task` look after a key in the background, unless too many are looked after already.
    /// It must be marked as kept.
    pub(crate) fn hire(self: &Arc<Self>, entry: &Arc<Entry>) -> Option<Keeper> {
        let more = |keepers: usize| (keepers < self.most_keepers).then(|| keepers + 1);
        self.keepers
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .ok()?;
        Some(Keeper {
            shared: Arc::clone(self),
            entry: Arc::clone(entry),
        })
    }
}

/// A task that looks after a key. However it ends, the key is then free for another, and nobody
/// waits for it.
pub(crate) struct Keeper {
    pub(crate) shared: Arc<Shared>,
    pub(crate) entry: Arc<Entry>,
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.keepers.fetch_sub(1, Ordering::Relaxed);
        let mut state = self.entry.state.lock();
        state.kept = false;
        state.lease.unkept();
        drop(state);
        self.entry.done.notify_waiters();
    }
}

/// How long a call is told to stay away that is refused because the store is out of reach.
const UNTIL_THEN: Duration = Duration::from_secs(1);
