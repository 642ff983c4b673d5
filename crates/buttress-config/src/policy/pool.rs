use super::one_of::Keep;
use super::{AnyPolicy, Managed};
use buttress::Policy;
use http::Request;
use std::cell::RefCell;
use std::fmt;
use std::mem;

/// What a policy gives a call. It is the same whatever the request's body is. Nothing, if it gave none
/// and is not obeyed.
pub(super) type AnyPermit = <Managed as Policy<Request<()>>>::Permit;

/// The same of a policy that is obeyed.
type Given = <AnyPolicy as Policy<Request<()>>>::Permit;

/// Permits that a call keeps.
///
/// They are the larger part of what a call carries, and a call is moved many times: into its future,
/// from one future to the next, with its response, with its body. So what is moved is one pointer to
/// a list, and its memory is used again by a later call of the thread. What is dropped by another
/// thread, or is one too many, costs an allocation.
#[derive(Default)]
pub(super) struct Kept {
    list: Option<Box<List>>,
}

#[derive(Default)]
struct List {
    /// `None` from the last one on.
    first: [AnyPermit; AT_HAND],
    /// How many there are in all.
    len: usize,
    /// Those for which there is no room at hand.
    more: Vec<AnyPermit>,
}

/// More policies than most stacks have.
const AT_HAND: usize = 8;

/// So many lists wait to be used again, on each thread: less than half a MiB, and 1.5 MiB more at most
/// where stacks have more policies than are at hand.
const MOST_LISTS: usize = 1_024;

/// A list that has become longer than what is at hand and this is not kept.
const LONGEST: usize = 32;

thread_local! {
    #[allow(
        clippy::vec_box,
        reason = "calls hold the boxes: a list is never moved out of its own"
    )]
    static LISTS: RefCell<Vec<Box<List>>> = const { RefCell::new(Vec::new()) };
}

impl Kept {
    #[inline]
    pub(super) fn new() -> Self {
        let used = LISTS.try_with(|lists| lists.try_borrow_mut().ok()?.pop());
        let list = used.ok().flatten().unwrap_or_default();
        Self { list: Some(list) }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.list.as_ref().map_or(0, |list| list.len)
    }

    /// The permit is made where it stays. One that was made before, in parts, and then copied as a whole
    /// would keep the processor waiting for the parts, for longer than most policies take.
    #[allow(
        clippy::inline_always,
        reason = "what makes the permit is inlined here, and this where the permit's kind is known"
    )]
    #[inline(always)]
    pub(super) fn push(&mut self, permit: impl FnOnce() -> AnyPermit) {
        let list = self.list.get_or_insert_default();
        match list.first.get_mut(list.len) {
            // Nothing is there, and to look for what must be dropped would cost a call more.
            Some(place) => {
                debug_assert!(place.is_none(), "a permit would be forgotten");
                mem::forget(mem::replace(place, permit()));
            }
            None => list.more.push(permit()),
        }
        list.len += 1;
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<AnyPermit> {
        let list = self.list.as_mut()?;
        list.len = list.len.checked_sub(1)?;
        match list.first.get_mut(list.len) {
            Some(place) => Some(place.take()),
            None => list.more.pop(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &AnyPermit> {
        self.list
            .iter()
            .flat_map(|list| list.first[..list.len.min(AT_HAND)].iter().chain(&list.more))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut AnyPermit> {
        self.list.iter_mut().flat_map(|list| {
            list.first[..list.len.min(AT_HAND)]
                .iter_mut()
                .chain(&mut list.more)
        })
    }
}

impl Keep<Given> for Kept {
    /// One function for each kind, so that each writes no more than that kind has.
    #[inline(never)]
    fn keep<K>(&mut self, permit: K, of_its_kind: impl FnOnce(K) -> Given) {
        self.push(|| Some(of_its_kind(permit)));
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        // First the permits, the last one first, as when they are completed: giving them back is other
        // people's code.
        while self.pop().is_some() {}
        let Some(list) = self.list.take() else { return };
        if list.more.capacity() > LONGEST {
            return;
        }
        // Nothing if the thread is about to end.
        let _ = LISTS.try_with(|lists| {
            if let Ok(mut lists) = lists.try_borrow_mut()
                && lists.len() < MOST_LISTS
            {
                lists.push(list);
            }
        });
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("permits", &self.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::AnyOf;
    use buttress::{Admission, Bulkhead, Carried, Now};
    use proptest::prelude::*;

    const GIVEN: AnyPermit = Some(Given::Pressure(()));

    /// What was put in, as far as the two kinds can be told apart.
    fn all(kept: &Kept) -> Vec<bool> {
        kept.iter().map(Option::is_some).collect()
    }

    #[test]
    fn a_call_carries_a_pointer() {
        assert_eq!(size_of::<Kept>(), size_of::<usize>());
    }

    proptest! {
        /// Also beyond what is at hand, and in a list that was used before.
        #[test]
        fn permits_come_back_last_first(steps in prop::collection::vec(prop::option::of(any::<bool>()), 0..100)) {
            let mut kept = Kept::new();
            prop_assert!(all(&kept).is_empty(), "what the last one left");
            let mut model = Vec::new();
            for step in steps {
                if let Some(given) = step {
                    kept.push(|| if given { GIVEN } else { None });
                    model.push(given);
                } else {
                    prop_assert_eq!(kept.pop().map(|permit| permit.is_some()), model.pop());
                }
                prop_assert_eq!(kept.len(), model.len());
                prop_assert_eq!(&all(&kept), &model);
                let changed: Vec<_> = kept.iter_mut().map(|permit| permit.is_some()).collect();
                prop_assert_eq!(&changed, &model);
            }
        }
    }

    proptest! {
        /// Also of more policies than are at hand, and in a list that was used before.
        #[test]
        fn whatever_becomes_of_a_list_its_slots_come_free(steps in prop::collection::vec(0..10_u8, 0..200)) {
            let slots = Bulkhead::builder(1_000).looking(Carried).build().unwrap();
            let policy: AnyPolicy = AnyOf::Bulkhead(slots.clone());
            let now = Now::lazy(|| tokio::time::Instant::now().into_std());
            let mut kept = Kept::new();
            let mut held = 0;
            for step in steps {
                match step {
                    0..=5 => {
                        let answer = policy.admit_to(&Request::new(()), &now, &mut kept);
                        prop_assert!(matches!(answer, Admission::Admitted(())));
                        held += 1;
                    }
                    6..=8 => held -= usize::from(kept.pop().is_some()),
                    _ => {
                        kept = Kept::new();
                        held = 0;
                    }
                }
                prop_assert_eq!((slots.in_flight(), kept.len()), (held, held));
            }
            drop(kept);
            prop_assert_eq!(slots.in_flight(), 0);
        }
    }

    #[test]
    fn a_list_is_used_again_unless_it_has_become_long() {
        let waiting = || LISTS.with_borrow(Vec::len);
        LISTS.with_borrow_mut(Vec::clear);
        let mut kept = Kept::new();
        kept.push(|| GIVEN);
        drop(kept);
        assert_eq!(waiting(), 1);
        let mut kept = Kept::new();
        assert_eq!((waiting(), kept.len()), (0, 0));
        for _ in 0..=AT_HAND + LONGEST {
            kept.push(|| GIVEN);
        }
        drop(kept);
        assert_eq!(waiting(), 0);
    }
}
