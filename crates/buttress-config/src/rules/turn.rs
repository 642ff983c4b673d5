//! One reload at a time, and each of them as a whole.
//!
//! Putting rules into force changes policies that are in use, one after the other, and runs code that is
//! not ours: a breaker that takes another one's place tells the log. If that panics, and the reload ended
//! there, half of the new limits would be in force, and no later reload would know it.

use super::Rules;
use super::difference::shortened;
use crate::policy::Change;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// What a panic leaves behind.
type Panic = Box<dyn Any + Send>;

/// What one does who may put something into force: nobody else does at the same time.
pub(super) struct Turn<'a> {
    pub(super) rules: &'a Rules,
    /// The first one, which goes on when all is done.
    panic: Option<Panic>,
}

impl Rules {
    /// Waits for its turn, and does `work`, which reads, puts into force and tells of it: so nobody
    /// puts a newer text into force before an older one, and events come in the order of what they
    /// tell.
    pub(super) fn in_turn<T>(&self, work: impl FnOnce(&mut Turn<'_>) -> T) -> T {
        let _one_at_a_time = self.current.shared.reload.lock();
        let mut turn = Turn {
            rules: self,
            panic: None,
        };
        let done = work(&mut turn);
        if let Some(panic) = turn.panic {
            resume_unwind(panic);
        }
        done
    }
}

impl Turn<'_> {
    /// Changes policies that are in use: all of them, whatever panics.
    pub(super) fn make(&mut self, changes: Vec<Change>) {
        for change in changes {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(change)) {
                self.panic.get_or_insert(panic);
            }
        }
    }
}

/// What a panic said, as much of it as a log should have.
pub(crate) fn said(panic: &(dyn Any + Send)) -> String {
    let what = panic.downcast_ref::<&str>().copied();
    let what = what.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    shortened(what.unwrap_or("something unknown"), LONGEST_PANIC)
}

const LONGEST_PANIC: usize = 200;

#[cfg(feature = "admin")]
#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AnyOf;
    use crate::rules::Handle;
    use crate::{Document, Format, PolicyStatus, Reload};
    use parking_lot::Mutex;
    use std::sync::Arc;

    /// The first bulkhead's change comes before the breaker's, and the other one's after it.
    fn text(number: u32) -> String {
        format!(
            "[upstream.a]\nbulkhead = {number}\n\
             [upstream.b]\ncircuit_breaker = {{ consecutive_failures = {number} }}\n\
             [upstream.c]\nbulkhead = {number}"
        )
    }

    fn document(number: u32) -> Document {
        Document::parse("test", &text(number), Format::Toml).unwrap()
    }

    fn limits(rules: &Rules) -> Vec<Option<u64>> {
        let policies = rules.policies();
        let bulkheads = policies.iter().filter(|policy| policy.kind == "bulkhead");
        let limit = |policy: &PolicyStatus| policy.json()["limit"].as_u64();
        bulkheads.map(limit).collect()
    }

    /// An open breaker with other settings tells the log that it goes on from where it was.
    fn force_open(rules: &Rules) {
        rules.by_hand(|registry| {
            let Some(Handle::Policy(_, policy)) = registry.get("upstream.b/circuit_breaker") else {
                panic!("there is no breaker");
            };
            let AnyOf::Breaker(breaker) = policy.policy().policy() else {
                panic!("it is something else");
            };
            breaker.force_open();
        });
    }

    #[test]
    fn a_reload_in_which_something_panics_is_in_force_as_a_whole() {
        let rules = Rules::new(document(3)).unwrap();
        force_open(&rules);
        assert_eq!(limits(&rules), [Some(3), Some(3)]);

        let mut told = None;
        let mut put = || rules.in_turn(|turn| told = Some(turn.put_and_compare(document(9), true)));
        let fragile = Listener(|| panic!("the disk of the log is full"));
        let put = || tracing::subscriber::with_default(fragile, &mut put);
        let panic = catch_unwind(AssertUnwindSafe(put)).unwrap_err();
        assert_eq!(said(&*panic), "the disk of the log is full");
        let reloaded = told.unwrap().unwrap();
        assert_eq!((reloaded.before, reloaded.after), (1, 2));
        assert_eq!(limits(&rules), [Some(9), Some(9)]);

        // What is done is known, and so can be undone.
        assert_eq!(rules.replace(document(9)), Ok(Reload::Unchanged));
        assert_eq!(rules.replace(document(3)), Ok(Reload::Changed));
        assert_eq!(limits(&rules), [Some(3), Some(3)]);
    }

    #[test]
    fn who_hears_of_a_reload_hears_of_it_before_the_next_may_begin() {
        let rules = Rules::new(document(1)).unwrap();
        let may_begin = Arc::new(Mutex::new(Vec::new()));
        let (of, heard) = (rules.clone(), Arc::clone(&may_begin));
        let listener = Listener(move || {
            let reload = &of.current.shared.reload;
            heard.lock().push(reload.try_lock().is_some());
        });
        tracing::subscriber::with_default(listener, || rules.replace(document(2)).unwrap());
        let may_begin = may_begin.lock();
        assert!(!may_begin.is_empty());
        assert!(!may_begin.contains(&true));
    }

    /// Does something at every event.
    struct Listener<F>(F);

    impl<F: Fn() + Send + Sync + 'static> tracing::Subscriber for Listener<F> {
        fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }
        fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
        fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
        fn event(&self, _: &tracing::Event<'_>) {
            (self.0)();
        }
        fn enter(&self, _: &tracing::span::Id) {}
        fn exit(&self, _: &tracing::span::Id) {}
    }
}
