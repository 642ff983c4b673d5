use super::Managed;
use buttress::Policy;
use http::Request;
use std::cell::Cell;
use std::fmt;

/// What a policy gives a call. It is the same whatever the request's body is.
pub(super) type AnyPermit = <Managed as Policy<Request<()>>>::Permit;

/// Permits that a call keeps.
///
/// They are the larger part of what a call carries, and a call is moved many times: into its future,
/// from one future to the next, with its response, with its body. So what is moved is a list, and
/// its memory is used again by a later call of the thread. Only while there are more calls at once
/// than ever before is something allocated.
#[derive(Default)]
pub(super) struct Kept {
    permits: Vec<AnyPermit>,
}

/// So many lists wait to be used again, on each thread: 1.5 MiB at most.
const MOST_LISTS: usize = 1_024;

/// A list that has become longer than this is not kept.
const LONGEST: usize = 32;

/// A list has room for so many permits from the beginning, and for as many more each time.
const MORE: usize = 8;

thread_local! {
    static LISTS: Cell<Vec<Vec<AnyPermit>>> = const { Cell::new(Vec::new()) };
}

impl Kept {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            permits: with_lists(Vec::pop).flatten().unwrap_or_default(),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.permits.len()
    }

    #[allow(
        clippy::inline_always,
        reason = "in its caller it writes the permit once, where it stays; a copy of that is slow"
    )]
    #[inline(always)]
    pub(super) fn push(&mut self, permit: AnyPermit) {
        if self.permits.len() == self.permits.capacity() {
            self.make_room();
        }
        self.permits.push(permit);
    }

    #[cold]
    fn make_room(&mut self) {
        self.permits.reserve_exact(MORE);
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Option<AnyPermit> {
        self.permits.pop()
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, AnyPermit> {
        self.permits.iter()
    }

    pub(super) fn iter_mut(&mut self) -> std::slice::IterMut<'_, AnyPermit> {
        self.permits.iter_mut()
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        let mut list = std::mem::take(&mut self.permits);
        // First the permits: giving them back is other people's code.
        list.clear();
        if (1..=LONGEST).contains(&list.capacity()) {
            with_lists(|lists| {
                if lists.len() < MOST_LISTS {
                    lists.push(list);
                }
            });
        }
    }
}

/// Nothing if the thread is about to end.
#[inline]
fn with_lists<T>(work: impl FnOnce(&mut Vec<Vec<AnyPermit>>) -> T) -> Option<T> {
    LISTS
        .try_with(|cell| {
            let mut lists = cell.take();
            let done = work(&mut lists);
            cell.set(lists);
            done
        })
        .ok()
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept")
            .field("permits", &self.permits.len())
            .finish()
    }
}
