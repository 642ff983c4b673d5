use crate::slots::{enough_for_this_machine, of_this_thread};
use std::ops::Deref;
use std::sync::Arc;

/// A shared value to which many calls on several threads refer, each for a short while.
///
/// An `Arc` has one count of its references. When two threads clone and drop it for each call, they
/// pass the cache line with the count around, which costs more than the rest of a layer. Here each
/// thread (or the few that share one) has a count of its own.
///
/// ```
/// use buttress_core::Spread;
///
/// let settings = Spread::new("shared");
/// let for_a_call = settings.here();
/// assert_eq!(*for_a_call, "shared");
/// ```
#[derive(Debug)]
pub struct Spread<T> {
    counts: Arc<[Arc<Count<T>>]>,
}

impl<T> Spread<T> {
    /// Shares a value.
    pub fn new(value: T) -> Self {
        let value = Arc::new(value);
        let counts = (0..enough_for_this_machine()).map(|_| {
            let value = Arc::clone(&value);
            Arc::new(Count { value })
        });
        Self {
            counts: counts.collect(),
        }
    }

    /// A reference for one call.
    #[inline]
    pub fn here(&self) -> Here<T> {
        // The remainder is smaller than their number, which is not 0.
        Here(Arc::clone(
            &self.counts[of_this_thread() % self.counts.len()],
        ))
    }
}

impl<T> Clone for Spread<T> {
    fn clone(&self) -> Self {
        let counts = Arc::clone(&self.counts);
        Self { counts }
    }
}

impl<T> Deref for Spread<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // There is one at least.
        &self.counts[0].value
    }
}

/// A reference that [`Spread::here`] makes.
#[derive(Debug)]
pub struct Here<T>(Arc<Count<T>>);

/// Another reference for the same call.
impl<T> Clone for Here<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Here<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.0.value
    }
}

/// As far apart from others as two cache lines.
#[derive(Debug)]
#[repr(align(128))]
struct Count<T> {
    value: Arc<T>,
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn all_references_are_to_the_same_value_and_the_last_one_drops_it() {
        let value = Arc::new(());
        let spread = Spread::new(Arc::clone(&value));
        let (clone, here) = (spread.clone(), spread.here());
        let there = std::thread::spawn(move || clone.here()).join().unwrap();
        assert!(Arc::ptr_eq(&here, &there) && Arc::ptr_eq(&here, &spread));
        drop(spread);
        assert_eq!(Arc::strong_count(&value), 2);
        drop((here, there));
        assert_eq!(Arc::strong_count(&value), 1);
    }
}
