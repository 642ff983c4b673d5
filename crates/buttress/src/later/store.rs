//! What is remembered of jobs.

use super::answer::Kept;
use crate::clock;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

pub(super) struct Store {
    jobs: Mutex<Jobs>,
    /// Told when the last job is done.
    idle: Notify,
    keep: Duration,
    most_results: usize,
    /// The sources of names that nobody can guess.
    secrets: [RandomState; 2],
}

#[derive(Default)]
struct Jobs {
    states: HashMap<u128, State>,
    /// When results are to be forgotten, in the order in which they came.
    finished: VecDeque<(Instant, u128)>,
    numbered: u64,
    draining: bool,
}

#[derive(Clone)]
pub(super) enum State {
    Queued,
    Running,
    Done(Box<Kept>),
}

/// No job is accepted any more.
pub(super) struct Draining;

impl Store {
    pub(super) fn new(keep: Duration, most_results: usize) -> Self {
        Self {
            jobs: Mutex::default(),
            idle: Notify::new(),
            keep,
            most_results,
            secrets: [RandomState::new(), RandomState::new()],
        }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.jobs.lock().draining
    }

    pub(super) fn unfinished(&self) -> usize {
        self.jobs.lock().unfinished()
    }

    pub(super) fn results(&self) -> usize {
        let mut jobs = self.jobs.lock();
        let forgotten = jobs.forget(clock::now(), self.most_results);
        let results = jobs.finished.len();
        drop(jobs);
        drop(forgotten);
        results
    }

    /// A new job, by a name that only its caller knows.
    pub(super) fn add(&self) -> Result<u128, Draining> {
        let mut jobs = self.jobs.lock();
        if jobs.draining {
            return Err(Draining);
        }
        jobs.numbered += 1;
        let [high, low] = [0, 1].map(|half| self.secrets[half].hash_one(jobs.numbered));
        let id = u128::from(high) << 64 | u128::from(low);
        jobs.states.insert(id, State::Queued);
        Ok(id)
    }

    pub(super) fn runs(&self, id: u128) {
        if let Some(state) = self.jobs.lock().states.get_mut(&id) {
            *state = State::Running;
        }
    }

    pub(super) fn finish(&self, id: u128, kept: Kept) {
        let now = clock::now();
        let mut jobs = self.jobs.lock();
        jobs.states.insert(id, State::Done(Box::new(kept)));
        // A year at most, so that this does not overflow any platform's clock.
        jobs.finished.push_back((now + self.keep, id));
        let forgotten = jobs.forget(now, self.most_results);
        let idle = jobs.unfinished() == 0;
        drop(jobs);
        // Outside the lock: there may be much to free.
        drop(forgotten);
        if idle {
            self.idle.notify_waiters();
        }
    }

    pub(super) fn state(&self, id: u128) -> Option<State> {
        let mut jobs = self.jobs.lock();
        let forgotten = jobs.forget(clock::now(), self.most_results);
        let state = jobs.states.get(&id).cloned();
        drop(jobs);
        drop(forgotten);
        state
    }

    pub(super) async fn drain(&self) {
        let idle = self.idle.notified();
        tokio::pin!(idle);
        loop {
            // Before the look, so that what happens in between is not missed.
            idle.as_mut().enable();
            {
                let mut jobs = self.jobs.lock();
                jobs.draining = true;
                if jobs.unfinished() == 0 {
                    return;
                }
            }
            idle.as_mut().await;
            idle.set(self.idle.notified());
        }
    }
}

impl Jobs {
    fn unfinished(&self) -> usize {
        self.states.len() - self.finished.len()
    }

    /// Takes out what has been kept for long enough, and what is too much.
    #[must_use = "dropping it is work: leave the lock first"]
    fn forget(&mut self, now: Instant, most: usize) -> Vec<State> {
        let mut forgotten = Vec::new();
        while let Some((until, id)) = self.finished.front() {
            if *until > now && self.finished.len() <= most {
                break;
            }
            forgotten.extend(self.states.remove(id));
            self.finished.pop_front();
        }
        forgotten
    }
}
