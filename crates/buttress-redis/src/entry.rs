use crate::count::Count;
use crate::digest::Digest;
use crate::leased::Lease;
use crate::synchronised::View;
use buttress_core::combine::Keyed;
use buttress_core::{
    Admission, Key, MissingKey, Never, Now, Outcome, PerKey, Permit, Policy, Rejection, Retention,
    SettingError,
};
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// What this instance remembers of one key.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) digest: Digest,
    pub(crate) state: Mutex<State>,
    /// Tells the keeper that a call needs it.
    pub(crate) wake: Notify,
    /// Tells waiting calls that the keeper has done something.
    pub(crate) done: Arc<Notify>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    /// What was decided here while the store was out of reach.
    pub(crate) local: Count,
    pub(crate) lease: Lease,
    pub(crate) view: View,
    /// Whether a task in the background looks after this key.
    pub(crate) kept: bool,
    /// Until when something is remembered that a call could make use of if it were forgotten.
    in_use_until: Option<Instant>,
}

impl State {
    /// What is remembered now must not be forgotten before `whole` has passed.
    pub(crate) fn remember(&mut self, now: Instant, whole: Duration) {
        self.in_use_until = self.in_use_until.max(now.checked_add(whole));
    }
}

impl Entry {
    pub(crate) fn new(digest: Digest) -> Arc<Self> {
        Arc::new(Self {
            digest,
            state: Mutex::default(),
            wake: Notify::new(),
            done: Arc::new(Notify::new()),
        })
    }
}

/// The keys that this instance remembers, with a bound: the map of `buttress-core`, whose policies
/// here do no more than show what is remembered.
pub(crate) struct Entries(Keyed<ByDigest, Place>);

impl Entries {
    pub(crate) fn new(max_keys: u32) -> Result<Self, SettingError> {
        let keyed = Keyed::new(ByDigest, Place::default).max_keys(max_keys)?;
        Ok(Self(keyed))
    }

    /// `None` if there is no room, which needs more keys in use than there are places.
    #[inline]
    pub(crate) fn get(&self, digest: Digest, now: &Now) -> Option<Arc<Entry>> {
        match self.0.admit(&digest, now) {
            Admission::Admitted(found) => found.map(|Found(entry)| entry),
            Admission::Refused(_) | Admission::Wait(_) => None,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

struct ByDigest;

impl Key<Digest> for ByDigest {
    type Key<'a> = u128;

    #[inline]
    fn key(&self, digest: &Digest) -> Result<u128, MissingKey> {
        Ok(digest.0)
    }
}

#[derive(Default)]
struct Place(OnceLock<Arc<Entry>>);

struct Found(Arc<Entry>);

impl Permit for Found {
    const WANTS_OUTCOME: bool = false;

    fn complete(self, _: Outcome, _: &Now) {}
}

impl Policy<Digest> for Place {
    type Permit = Found;
    type Waiting = Never;

    #[inline]
    fn admit(&self, digest: &Digest, _: &Now) -> Admission<Found, Never> {
        let entry = self.0.get_or_init(|| Entry::new(*digest));
        Admission::Admitted(Found(Arc::clone(entry)))
    }

    fn poll_admit(
        &self,
        waiting: &mut Never,
        _: &Digest,
        _: &Now,
        _: &mut Context<'_>,
    ) -> Poll<Result<Found, Rejection>> {
        match *waiting {}
    }
}

impl PerKey<Digest> for Place {
    const TAKES_BACK: bool = false;

    fn retention(&self, now: &Now) -> Retention {
        // What a keeper looks after is in use. It has its own hold on the entry, so that nothing
        // is lost if the map forgets it all the same. And what was used up here must not be made
        // whole by a flood of other keys.
        let Some(entry) = self.0.get() else {
            return Retention::Idle;
        };
        let state = entry.state.lock();
        if state.kept
            || state
                .in_use_until
                .is_some_and(|until| until > now.instant())
        {
            Retention::Active
        } else {
            Retention::Idle
        }
    }
}
