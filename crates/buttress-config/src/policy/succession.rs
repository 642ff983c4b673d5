//! From a policy that a reload replaced to the one in its place.
//!
//! Calls go by the rules that were in force when they came. One that waits in a line, or between two
//! attempts, may come to a policy only after that has been replaced. If the old one decided, two
//! would count at one place: a limit would let in what both allow, and an open breaker would know
//! nothing of the calls that still reach the callee. So it sends the call on to the newest.

use parking_lot::Mutex;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

/// Who stands at the place of a policy now; `H` is a handle of one.
pub(super) struct Succession<H> {
    /// All that calls of the rules in force look at.
    is_replaced: AtomicBool,
    newest: Cell<H>,
    /// Those of all that stood here before and that calls still hold. Each is told of the newest, so
    /// that nobody holds those in between.
    earlier: Mutex<Vec<WeakCell<H>>>,
}

type Cell<H> = Arc<Mutex<Option<H>>>;
type WeakCell<H> = Weak<Mutex<Option<H>>>;

impl<H> Default for Succession<H> {
    fn default() -> Self {
        Self {
            is_replaced: AtomicBool::new(false),
            newest: Arc::default(),
            earlier: Mutex::default(),
        }
    }
}

impl<H: Clone> Succession<H> {
    /// The newest, if it is another one.
    #[inline]
    pub(super) fn newest(&self) -> Option<H> {
        if self.is_replaced.load(Ordering::Acquire) {
            self.look_up()
        } else {
            None
        }
    }

    #[cold]
    fn look_up(&self) -> Option<H> {
        self.newest.lock().clone()
    }

    /// Sends calls on to another one from now on, and those of all before, too. Reloads call it, one
    /// after the other.
    pub(super) fn pass_to(&self, next: &H, succession_of_next: &Self) {
        let mut earlier = std::mem::take(&mut *self.earlier.lock());
        earlier.push(Arc::downgrade(&self.newest));
        earlier.retain(|cell| {
            let Some(cell) = cell.upgrade() else {
                return false;
            };
            let before = cell.lock().replace(next.clone());
            // Its destructor is not run under the lock.
            drop(before);
            true
        });
        *succession_of_next.earlier.lock() = earlier;
        self.is_replaced.store(true, Ordering::Release);
    }
}

impl<H> fmt::Debug for Succession<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Succession")
            .field("is_replaced", &self.is_replaced)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A handle, as policies are.
    #[derive(Clone, Default)]
    struct One(Arc<Succession<One>>);

    impl One {
        fn pass_to(&self, next: &Self) {
            self.0.pass_to(next, &next.0);
        }

        fn newest(&self) -> Option<Arc<Succession<Self>>> {
            self.0.newest().map(|one| one.0)
        }
    }

    #[test]
    fn whoever_holds_an_old_one_finds_the_newest_and_holds_none_in_between() {
        let first = One::default();
        assert!(first.newest().is_none());
        let mut last = One::default();
        first.pass_to(&last);
        for _ in 0..100 {
            let next = One::default();
            last.pass_to(&next);
            let between = Arc::downgrade(&last.0);
            last = next;
            assert!(Arc::ptr_eq(&first.newest().unwrap(), &last.0));
            assert!(between.upgrade().is_none());
            assert_eq!(
                last.0.earlier.lock().len(),
                2,
                "those between are forgotten"
            );
        }
        let gone = Arc::downgrade(&last.0);
        drop((first, last));
        assert!(gone.upgrade().is_none(), "nobody holds itself");
    }
}
