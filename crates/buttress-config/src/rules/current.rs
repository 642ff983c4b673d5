use super::Compiled;
use super::state::{InForce, State};
use super::watch::Watcher;
use crate::policy::{Policies, decides_by_its_policies};
use crate::server::Route;
use arc_swap::{ArcSwap, Guard};
use http::Request;
use parking_lot::Mutex;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

/// The rules in force: what services hold, and what a reload exchanges.
///
/// With it they hold all that a reload needs, so that a file is watched for as long as somebody goes
/// by it.
#[derive(Clone)]
pub(crate) struct Current {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    rules: ArcSwap<Compiled>,
    /// The number of the rules, for those who only ask whether there are others. It is written after
    /// they are.
    generation: AtomicU64,
    /// What the rules were made of. Apart from them, since calls that wait hold those: whichever ends
    /// last drops them, and should have little to do.
    in_force: ArcSwap<InForce>,
    pub(super) path: Option<PathBuf>,
    /// Held by whoever puts something into force, from the reading of the file on. It is taken before
    /// the state.
    pub(super) reload: Mutex<()>,
    pub(super) state: Mutex<State>,
    /// What tells of changes of the file, if somebody asked for that.
    pub(super) watcher: OnceLock<Watcher>,
}

impl Current {
    pub(super) fn new(
        rules: Compiled,
        in_force: InForce,
        path: Option<PathBuf>,
        state: State,
    ) -> Self {
        let shared = Shared {
            generation: AtomicU64::new(rules.generation),
            rules: ArcSwap::from_pointee(rules),
            in_force: ArcSwap::from_pointee(in_force),
            path,
            reload: Mutex::new(()),
            state: Mutex::new(state),
            watcher: OnceLock::new(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    pub(super) fn replace(&self, rules: Compiled) {
        let generation = rules.generation;
        let before = self.shared.rules.swap(Arc::new(rules));
        self.shared.generation.store(generation, Ordering::Release);
        // Calls that are just beginning look at those of before. Whoever is the last to let go of them
        // drops every route, which takes milliseconds: that must not be a call.
        for _ in 0..LOOKS_TO_WAIT_FOR {
            if Arc::strong_count(&before) == 1 {
                break;
            }
            std::thread::yield_now();
        }
    }

    pub(super) fn keep(&self, in_force: InForce) {
        self.shared.in_force.store(Arc::new(in_force));
    }

    /// What the rules were made of.
    pub(super) fn in_force(&self) -> Arc<InForce> {
        self.shared.in_force.load_full()
    }

    /// Which rules they are: each reload's number is new.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.shared.generation.load(Ordering::Acquire)
    }

    /// The rules, for as long as a look at them lasts. Unless a thread has many looks at once, no count
    /// is changed that other threads change too: that would cost a call more than finding its route.
    #[inline]
    pub(crate) fn look(&self) -> Guard<Arc<Compiled>> {
        self.shared.rules.load()
    }

    /// The route of a request.
    #[inline]
    pub(crate) fn of<B>(&self, request: &Request<B>) -> OfRoute {
        let rules = self.look();
        let place = rules.routes.find(request).map_or(0, |number| number + 1);
        OfRoute { rules, place }
    }
}

/// How often a reload lets others run before it lets go of the old rules in any case: a look is short,
/// but a call that waits in a line holds them for as long as that takes.
const LOOKS_TO_WAIT_FOR: usize = 1_000;

impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

/// The policies of one route, while a call begins.
#[derive(Debug)]
pub struct OfRoute {
    rules: Guard<Arc<Compiled>>,
    place: usize,
}

/// For a call that waits. A look is only for a short while, so this one counts.
impl Clone for OfRoute {
    fn clone(&self) -> Self {
        let rules = Guard::from_inner(Arc::clone(&self.rules));
        let place = self.place;
        Self { rules, place }
    }
}

impl OfRoute {
    #[inline]
    pub(crate) fn route(&self) -> &Route {
        // Routes and stacks are made together.
        &self.rules.stacks[self.place]
    }

    #[inline]
    fn policies(&self) -> &Policies {
        &self.route().policies
    }
}

decides_by_its_policies!(OfRoute);

#[cfg(test)]
mod tests {
    use crate::Rules;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// What a reload has to have before it carries anything over.
    #[cfg(feature = "admin")]
    #[test]
    fn nothing_is_put_into_force_during_a_change_by_hand() {
        let rules = Rules::from_toml("").unwrap();
        let reload = &rules.current.shared.reload;
        assert!(rules.by_hand(|_| reload.try_lock().is_none()));
        assert!(reload.try_lock().is_some());
    }

    #[test]
    fn who_only_looks_waits_for_no_reload() {
        let rules = Rules::from_toml("[upstream.one]\n[server.defaults]\nbulkhead = 1").unwrap();
        let _under_way = rules.current.shared.reload.lock();
        let (sender, looked) = channel();
        let looking = rules.clone();
        std::thread::spawn(move || {
            let _ = (looking.settings(), looking.warnings(), looking.path());
            let _ = (
                looking.generation(),
                looking.upstream("one"),
                looking.server(),
            );
            let _ = sender.send(looking.policies().len());
        });
        // Who waits for the lock waits for ever.
        let policies = looked.recv_timeout(Duration::from_secs(60)).unwrap();
        assert!(policies > 1, "{policies}");
    }
}
