//! What is remembered of jobs.

use super::answer::Kept;
use super::layer::Shared;
use crate::clock;
use buttress_core::Reason;
use parking_lot::Mutex;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub(super) struct Store {
    jobs: Mutex<Jobs>,
    /// Told when the last job is done.
    idle: Notify,
    /// How many calls may be read, wait or run.
    places: u64,
    keep: Duration,
    most_results: usize,
    /// Makes names that nobody can guess: a hash that is made for it, with keys from the system.
    names: SipHasher24,
}

#[derive(Default)]
struct Jobs {
    states: HashMap<u128, State>,
    /// When results are to be forgotten, in the order in which they came. Some were deleted since:
    /// it is at most twice as long as results may be kept.
    finished: VecDeque<(Instant, u128)>,
    results: usize,
    /// How many tasks have not ended, also if nobody wants their results any more.
    unfinished: usize,
    reserved: u64,
    numbered: u64,
    draining: bool,
}

enum State {
    Pending {
        runs: bool,
        task: Option<AbortHandle>,
    },
    Done(Arc<Kept>),
}

/// What is seen of a job.
pub(super) enum Seen {
    Queued,
    Running,
    Done(Arc<Kept>),
}

/// No job is accepted any more.
pub(super) struct Draining;

/// A place for a call that is being read, and for its job until that has ended.
pub(super) struct Reserved {
    shared: Arc<Shared>,
}

impl Reserved {
    pub(super) fn new(shared: &Arc<Shared>) -> Result<Self, Reason> {
        shared.store.reserve()?;
        let shared = Arc::clone(shared);
        Ok(Self { shared })
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.shared.store.jobs.lock().reserved -= 1;
    }
}

impl Store {
    pub(super) fn new(places: u64, keep: Duration, most_results: usize) -> Self {
        let system = RandomState::new();
        let keys = [0, 1].map(|half: u64| system.hash_one(half));
        Self {
            jobs: Mutex::default(),
            idle: Notify::new(),
            places,
            keep,
            most_results,
            names: SipHasher24::new_with_keys(keys[0], keys[1]),
        }
    }

    fn reserve(&self) -> Result<(), Reason> {
        let mut jobs = self.jobs.lock();
        if jobs.draining {
            return Err(Reason::Draining);
        }
        if jobs.reserved >= self.places {
            return Err(Reason::BulkheadFull);
        }
        jobs.reserved += 1;
        Ok(())
    }

    pub(super) fn unfinished(&self) -> usize {
        self.jobs.lock().unfinished
    }

    pub(super) fn results(&self) -> usize {
        let mut jobs = self.jobs.lock();
        let forgotten = jobs.forget(clock::now(), self.most_results);
        let results = jobs.results;
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
        jobs.unfinished += 1;
        let mut name = self.names;
        name.write_u64(jobs.numbered);
        let id = name.finish128().as_u128();
        let (runs, task) = (false, None);
        jobs.states.insert(id, State::Pending { runs, task });
        Ok(id)
    }

    /// What to abort if the job is cancelled.
    pub(super) fn started(&self, id: u128, handle: AbortHandle) {
        if let Some(State::Pending { task, .. }) = self.jobs.lock().states.get_mut(&id) {
            *task = Some(handle);
        }
    }

    pub(super) fn runs(&self, id: u128) {
        if let Some(State::Pending { runs, .. }) = self.jobs.lock().states.get_mut(&id) {
            *runs = true;
        }
    }

    /// The job's task has ended.
    pub(super) fn finish(&self, id: u128, kept: Kept) {
        let now = clock::now();
        let mut jobs = self.jobs.lock();
        jobs.unfinished -= 1;
        // One that was cancelled is not remembered.
        if let Some(state) = jobs.states.get_mut(&id) {
            *state = State::Done(Arc::new(kept));
            jobs.results += 1;
            // A year at most, so that this does not overflow any platform's clock.
            jobs.finished.push_back((now + self.keep, id));
        }
        let forgotten = jobs.forget(now, self.most_results);
        let idle = jobs.unfinished == 0;
        drop(jobs);
        // Outside the lock: there may be much to free.
        drop(forgotten);
        if idle {
            self.idle.notify_waiters();
        }
    }

    /// Ends a job and forgets it: whether there was one.
    pub(super) fn cancel(&self, id: u128) -> bool {
        let mut jobs = self.jobs.lock();
        let forgotten = jobs.forget(clock::now(), self.most_results);
        let state = jobs.states.remove(&id);
        if let Some(State::Done(_)) = state {
            jobs.results -= 1;
        }
        drop(jobs);
        drop(forgotten);
        if let Some(State::Pending {
            task: Some(task), ..
        }) = &state
        {
            task.abort();
        }
        state.is_some()
    }

    pub(super) fn state(&self, id: u128) -> Option<Seen> {
        let mut jobs = self.jobs.lock();
        let forgotten = jobs.forget(clock::now(), self.most_results);
        let seen = jobs.states.get(&id).map(|state| match state {
            State::Pending { runs: false, .. } => Seen::Queued,
            State::Pending { runs: true, .. } => Seen::Running,
            State::Done(kept) => Seen::Done(Arc::clone(kept)),
        });
        drop(jobs);
        drop(forgotten);
        seen
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
                if jobs.unfinished == 0 {
                    return;
                }
            }
            idle.as_mut().await;
            idle.set(self.idle.notified());
        }
    }
}

impl Jobs {
    /// Takes out what has been kept for long enough, and what is too much.
    #[must_use = "dropping it is work: leave the lock first"]
    fn forget(&mut self, now: Instant, most: usize) -> Vec<State> {
        let mut forgotten = Vec::new();
        while let Some((until, id)) = self.finished.front() {
            // Those that were deleted count for nothing.
            if *until > now && self.results <= most {
                break;
            }
            if let Some(state) = self.states.remove(id) {
                self.results -= 1;
                forgotten.push(state);
            }
            self.finished.pop_front();
        }
        // At least half of them were deleted, so each result pays for a constant part of this.
        if self.finished.len() > 2 * most {
            let states = &self.states;
            self.finished.retain(|(_, id)| states.contains_key(id));
        }
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::super::answer::BROKEN;
    use super::*;
    use proptest::prelude::*;

    const KEEP: Duration = Duration::from_secs(10);

    fn done(store: &Store) -> u128 {
        let id = store.add().ok().unwrap();
        store.finish(id, Kept::failed(&BROKEN));
        id
    }

    async fn agrees_with_a_list(most: usize, steps: Vec<(u8, usize)>) {
        let store = Store::new(1, KEEP, most);
        // The names of the results that are there, the oldest first, and until when.
        let mut model: Vec<(u128, Instant)> = Vec::new();
        let mut all = Vec::new();
        for (step, number) in steps {
            match step {
                0..=3 => {
                    let id = done(&store);
                    all.push(id);
                    model.push((id, clock::now() + KEEP));
                }
                4..=6 if !all.is_empty() => {
                    let id = all[number % all.len()];
                    let there = model.iter().any(|(other, _)| *other == id);
                    assert_eq!(store.cancel(id), there);
                    model.retain(|(other, _)| *other != id);
                }
                7 => {
                    let id = store.add().ok().unwrap();
                    assert!(store.cancel(id));
                    store.finish(id, Kept::failed(&BROKEN));
                    all.push(id);
                }
                _ => tokio::time::advance(Duration::from_secs(number as u64 % 4)).await,
            }
            model.retain(|(_, until)| *until > clock::now());
            let too_many = model.len().saturating_sub(most);
            model.drain(..too_many);
            assert_eq!(store.results(), model.len());
            for id in &all {
                let there = model.iter().any(|(other, _)| other == id);
                assert_eq!(store.state(*id).is_some(), there);
            }
            let jobs = store.jobs.lock();
            assert_eq!(jobs.states.len(), model.len());
            assert!(jobs.finished.len() <= 2 * most);
        }
    }

    proptest! {
        #[test]
        fn the_newest_results_that_nobody_deleted_are_kept_for_their_time(
            most in 1_usize..6,
            steps in prop::collection::vec((0_u8..9, any::<usize>()), 0..80),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .unwrap();
            runtime.block_on(agrees_with_a_list(most, steps));
        }
    }

    /// One result stands at the front all the time, so that nothing behind it expires.
    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_of_deleted_results_is_bounded() {
        let store = Store::new(1, KEEP, 8);
        let first = done(&store);
        for _ in 0..1_000 {
            let id = done(&store);
            assert!(store.cancel(id));
            assert!(store.jobs.lock().finished.len() <= 16);
        }
        assert!(store.state(first).is_some());
    }
}
