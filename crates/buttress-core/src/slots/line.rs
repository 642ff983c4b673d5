//! Who waits, in which order.

use super::discipline::{Discipline, Order};
use std::task::Waker;
use std::time::Instant;

/// Queues from whose middle one can leave in constant time: linked lists in a slab, so that standing
/// in line allocates only while the line is longer than ever before.
#[derive(Debug)]
pub(super) struct Line {
    nodes: Vec<Node>,
    /// One for each criticality, the least first, if the discipline looks at it; else only the
    /// first.
    queues: [Queue; 4],
    /// The first of the nodes that are not in use; they are linked by `next`.
    free: Option<u32>,
    len: usize,
    /// How many have ever come.
    arrivals: u64,
    order: Order,
}

/// A node that belongs to one waiter until it is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u32);

/// What has become of a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is still in line.
    Waits,
    /// Served.
    Served,
    /// Served, after so long that it is not to use the slot.
    ServedTooLate,
    /// Given to somebody else.
    Displaced,
}

#[derive(Clone, Copy, Debug, Default)]
struct Queue {
    first: Option<u32>,
    last: Option<u32>,
}

#[derive(Debug)]
struct Node {
    previous: Option<u32>,
    next: Option<u32>,
    queue: u8,
    rank: u8,
    /// In each queue they grow towards the end.
    arrival: u64,
    since: Option<Instant>,
    state: State,
}

#[derive(Debug)]
enum State {
    Free,
    Waiting(Option<Waker>),
    /// Out of the line, with a slot that its owner has yet to fetch.
    Granted,
    /// Out of the line, without one.
    Displaced,
}

impl Line {
    pub(super) fn new(discipline: Discipline) -> Self {
        Self {
            nodes: Vec::new(),
            queues: [Queue::default(); 4],
            free: None,
            len: 0,
            arrivals: 0,
            order: Order::new(discipline),
        }
    }

    /// How many stand in line.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Somebody comes, whether it stays or not.
    pub(super) fn saw(&mut self, now: Instant) {
        self.order.saw(now);
    }

    /// Stands at the end.
    pub(super) fn push(&mut self, rank: usize, now: Instant) -> Place {
        self.order.joined(now);
        self.arrivals += 1;
        let node = Node {
            previous: None,
            next: None,
            queue: 0,
            // Below 4.
            rank: rank as u8,
            arrival: self.arrivals,
            since: self.order.judges_waits().then_some(now),
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
        self.link(index);
        self.len += 1;
        Place(index)
    }

    /// Puts a node at the end of the queue of its rank.
    fn link(&mut self, index: u32) {
        let queue = self
            .order
            .queue(usize::from(self.nodes[index as usize].rank));
        let last = self.queues[queue].last.replace(index);
        match last {
            Some(last) => self.nodes[last as usize].next = Some(index),
            None => self.queues[queue].first = Some(index),
        }
        let node = &mut self.nodes[index as usize];
        // Below 4, like the rank.
        (node.previous, node.next, node.queue) = (last, None, queue as u8);
    }

    /// Goes by another discipline. Who waits already is served by it, too, except that it looks at
    /// the waits only of those who come from now on.
    pub(super) fn follow(&mut self, discipline: Discipline) {
        if self.order.discipline() == discipline {
            return;
        }
        self.order.follow(discipline);
        // From one queue for each criticality to one for all or back. In each of them they stand as
        // they came, whatever it was before: it says who came first, and who was there for longest.
        let mut queues = std::mem::take(&mut self.queues);
        while let Some(index) = self.take_earliest(&mut queues) {
            self.link(index);
        }
    }

    fn take_earliest(&self, queues: &mut [Queue]) -> Option<u32> {
        let came = |first: Option<u32>| first.map(|index| self.nodes[index as usize].arrival);
        let waiting = queues.iter_mut().filter(|queue| queue.first.is_some());
        let queue = waiting.min_by_key(|queue| came(queue.first))?;
        let first = queue.first?;
        queue.first = self.nodes[first as usize].next;
        Some(first)
    }

    /// Whether somebody would give way to a newcomer of that rank.
    pub(super) fn has_one_to_displace(&self, rank: usize) -> bool {
        self.displaceable(rank).is_some()
    }

    /// Makes room for a newcomer of that rank, and returns who to wake.
    pub(super) fn displace(&mut self, rank: usize) -> Option<Waker> {
        let index = self.displaceable(rank)?;
        self.take_out(index, State::Displaced)
    }

    /// Marks the one whose turn it is as served, and returns who to wake.
    pub(super) fn grant_next(&mut self) -> Option<Waker> {
        let newest_first = self.order.newest_first();
        let ends = self.queues.iter().rev();
        let index = ends
            .map(|queue| {
                if newest_first {
                    queue.last
                } else {
                    queue.first
                }
            })
            .find_map(|index| index)?;
        self.take_out(index, State::Granted)
    }

    /// What has become of a place. Unless it is still in line, its owner leaves with the answer.
    pub(super) fn fetch(&mut self, place: Place, now: impl FnOnce() -> Instant) -> Standing {
        let node = &self.nodes[place.0 as usize];
        match node.state {
            State::Waiting(_) | State::Free => Standing::Waits,
            State::Displaced => {
                self.put_back(place.0);
                Standing::Displaced
            }
            State::Granted => {
                let since = node.since;
                self.put_back(place.0);
                let Some(since) = since else {
                    return Standing::Served;
                };
                let now = now();
                let wait = now.saturating_duration_since(since);
                if self.order.waited_too_long(wait, self.len == 0, now) {
                    Standing::ServedTooLate
                } else {
                    Standing::Served
                }
            }
        }
    }

    /// Whom to wake when the place is served. Returns the waker that this one replaces.
    pub(super) fn wake_me(&mut self, place: Place, waker: &Waker) -> Option<Waker> {
        match &mut self.nodes[place.0 as usize].state {
            State::Waiting(Some(known)) if known.will_wake(waker) => None,
            State::Waiting(known) => known.replace(waker.clone()),
            State::Free | State::Granted | State::Displaced => None,
        }
    }

    /// Leaves the line: whether the place had been served, and the waker to drop.
    pub(super) fn remove(&mut self, place: Place) -> (bool, Option<Waker>) {
        match self.nodes[place.0 as usize].state {
            State::Waiting(_) => {
                let waker = self.take_out(place.0, State::Free);
                self.put_back(place.0);
                (false, waker)
            }
            State::Granted => {
                self.put_back(place.0);
                (true, None)
            }
            State::Displaced => {
                self.put_back(place.0);
                (false, None)
            }
            State::Free => (false, None),
        }
    }

    fn displaceable(&self, rank: usize) -> Option<u32> {
        if self.order.newest_first() {
            return self.queues[0].first;
        }
        if !self.order.gives_way_by_rank() {
            return None;
        }
        let lower = self.queues.iter().take(rank);
        lower.map(|queue| queue.last).find_map(|index| index)
    }

    /// Takes somebody who waits out of the line.
    fn take_out(&mut self, index: u32, state: State) -> Option<Waker> {
        let node = &mut self.nodes[index as usize];
        let state = std::mem::replace(&mut node.state, state);
        let (previous, next, queue) = (node.previous, node.next, usize::from(node.queue));
        match previous {
            Some(previous) => self.nodes[previous as usize].next = next,
            None => self.queues[queue].first = next,
        }
        match next {
            Some(next) => self.nodes[next as usize].previous = previous,
            None => self.queues[queue].last = previous,
        }
        self.len -= 1;
        if self.len == 0 {
            self.order.emptied();
        }
        match state {
            State::Waiting(waker) => waker,
            State::Free | State::Granted | State::Displaced => None,
        }
    }

    fn put_back(&mut self, index: u32) {
        self.nodes[index as usize] = Node {
            previous: None,
            next: self.free,
            queue: 0,
            rank: 0,
            arrival: 0,
            since: None,
            state: State::Free,
        };
        self.free = Some(index);
    }
}
