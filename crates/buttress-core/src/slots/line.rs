//! Who waits, in which order.

use std::task::Waker;

/// A queue from whose middle one can leave in constant time: a linked list in a slab, so that
/// standing in line allocates only while the line is longer than ever before.
#[derive(Debug, Default)]
pub(super) struct Line {
    nodes: Vec<Node>,
    first: Option<u32>,
    last: Option<u32>,
    /// The first of the nodes that are not in use; they are linked by `next`.
    free: Option<u32>,
    len: usize,
}

/// A node that belongs to one waiter until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

#[derive(Debug)]
struct Node {
    previous: Option<u32>,
    next: Option<u32>,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    /// Out of the line, with a slot that its owner has yet to fetch.
    Granted,
}

impl Line {
    /// How many stand in line.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Stands at the end.
    pub(super) fn push(&mut self) -> Place {
        let node = Node {
            previous: self.last,
            next: None,
            state: State::Waiting(None),
        };
        let index = if let Some(index) = self.free {
            self.free = self.nodes[index as usize].next;
            self.nodes[index as usize] = node;
            index
        } else {
            self.nodes.push(node);
            // At most a million waiters and 2³² − 1 slots; memory ends before indices do.
            (self.nodes.len() - 1) as u32
        };
        match self.last {
            Some(last) => self.nodes[last as usize].next = Some(index),
            None => self.first = Some(index),
        }
        self.last = Some(index);
        self.len += 1;
        Place(index)
    }

    /// Marks the first in line as served, and returns who to wake.
    pub(super) fn grant_first(&mut self) -> Option<Waker> {
        let index = self.first?;
        self.unlink(index);
        let state = &mut self.nodes[index as usize].state;
        match std::mem::replace(state, State::Granted) {
            State::Waiting(waker) => waker,
            State::Free | State::Granted => None,
        }
    }

    /// If the place was served, leaves with the slot.
    pub(super) fn take_grant(&mut self, place: Place) -> bool {
        let granted = matches!(self.nodes[place.0 as usize].state, State::Granted);
        if granted {
            self.put_back(place.0);
        }
        granted
    }

    /// Whom to wake when the place is served. Returns the waker that this one replaces.
    pub(super) fn wake_me(&mut self, place: Place, waker: &Waker) -> Option<Waker> {
        match &mut self.nodes[place.0 as usize].state {
            State::Waiting(Some(known)) if known.will_wake(waker) => None,
            State::Waiting(known) => known.replace(waker.clone()),
            State::Free | State::Granted => None,
        }
    }

    /// Leaves the line: whether the place had been served, and the waker to drop.
    pub(super) fn remove(&mut self, place: Place) -> (bool, Option<Waker>) {
        let state = &mut self.nodes[place.0 as usize].state;
        match std::mem::replace(state, State::Free) {
            State::Waiting(waker) => {
                self.unlink(place.0);
                self.put_back(place.0);
                (false, waker)
            }
            State::Granted => {
                self.put_back(place.0);
                (true, None)
            }
            State::Free => (false, None),
        }
    }

    fn unlink(&mut self, index: u32) {
        let Node { previous, next, .. } = self.nodes[index as usize];
        match previous {
            Some(previous) => self.nodes[previous as usize].next = next,
            None => self.first = next,
        }
        match next {
            Some(next) => self.nodes[next as usize].previous = previous,
            None => self.last = previous,
        }
        self.len -= 1;
    }

    fn put_back(&mut self, index: u32) {
        self.nodes[index as usize] = Node {
            previous: None,
            next: self.free,
            state: State::Free,
        };
        self.free = Some(index);
    }
}
