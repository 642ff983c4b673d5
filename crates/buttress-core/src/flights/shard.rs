use crate::digest::Digest;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

/// A slab of flights, which are used again and again, and a table of those that can be joined.
pub(super) struct Shard<V: ?Sized> {
    joinable: HashTable<u32>,
    flights: Vec<Flight<V>>,
    free: Vec<u32>,
    capacity: usize,
}

struct Flight<V: ?Sized> {
    digest: Digest,
    /// Changes when the flight is over, so that a ticket for it is not taken for the next one's.
    generation: u64,
    joinable: bool,
    /// How often a leader has failed.
    failures: u32,
    /// Followers get numbers in the order in which they come, and the line is sorted by them.
    next_number: u64,
    line: VecDeque<Waiting>,
    /// The follower that is to lead, and has not taken it up yet.
    heir: Option<u64>,
    landed: Option<Landing<V>>,
}

/// What a leader brought.
struct Landing<V: ?Sized> {
    answer: Arc<V>,
    /// The first follower that it is for. Those before it were told to do their own work, even if
    /// they have not asked since.
    first: u64,
    /// How many have yet to fetch it.
    to_fetch: usize,
}

struct Waiting {
    number: u64,
    waker: Option<Waker>,
}

/// Names a flight.
#[derive(Clone, Copy)]
pub(super) struct Ticket {
    index: u32,
    generation: u64,
}

pub(super) enum Opened {
    Lead(Ticket),
    Follow(Ticket, u64),
    Full,
}

pub(super) enum Answer<V: ?Sized> {
    Wait,
    Landed(Arc<V>),
    Lead,
    Alone,
}

/// What a follower leaves behind, to be woken and dropped when the lock is free.
pub(super) struct Left<V: ?Sized> {
    pub(super) heir: Option<Waker>,
    pub(super) waker: Option<Waker>,
    pub(super) answer: Option<Arc<V>>,
}

impl<V: ?Sized> Shard<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            joinable: HashTable::new(),
            flights: Vec::new(),
            free: Vec::new(),
            capacity,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    #[inline]
    pub(super) fn open_or_join(&mut self, digest: Digest) -> Opened {
        let flights = &self.flights;
        let same = |&index: &u32| flights[index as usize].digest == digest;
        let hash = |&index: &u32| flights[index as usize].digest.high;
        let vacant = match self.joinable.entry(digest.high, same, hash) {
            Entry::Vacant(vacant) => vacant,
            Entry::Occupied(known) => {
                let index = *known.get();
                let flight = &mut self.flights[index as usize];
                let number = flight.next_number;
                flight.next_number += 1;
                let waker = None;
                flight.line.push_back(Waiting { number, waker });
                let generation = flight.generation;
                return Opened::Follow(Ticket { index, generation }, number);
            }
        };
        let index = match self.free.pop() {
            Some(index) => index,
            None if self.flights.len() == self.capacity => return Opened::Full,
            None => {
                self.flights.push(Flight::new(digest));
                (self.flights.len() - 1) as u32
            }
        };
        let flight = &mut self.flights[index as usize];
        flight.digest = digest;
        flight.joinable = true;
        vacant.insert(index);
        let generation = flight.generation;
        Opened::Lead(Ticket { index, generation })
    }

    fn flight(&mut self, ticket: Ticket) -> Option<&mut Flight<V>> {
        let flight = self.flights.get_mut(ticket.index as usize)?;
        (flight.generation == ticket.generation).then_some(flight)
    }

    /// The leader lets nobody join any more. Says whether anybody follows.
    #[inline]
    pub(super) fn close(&mut self, ticket: Ticket) -> bool {
        let Some(flight) = self.flight(ticket) else {
            return false;
        };
        let followed = !flight.line.is_empty();
        if followed {
            self.forget_key(ticket);
        } else {
            self.end(ticket);
        }
        followed
    }

    pub(super) fn land(&mut self, ticket: Ticket, answer: Arc<V>) -> Vec<Waker> {
        self.forget_key(ticket);
        let Some(flight) = self.flight(ticket) else {
            return Vec::new();
        };
        let line = std::mem::take(&mut flight.line);
        let Some(first) = line.front() else {
            self.end(ticket);
            return Vec::new();
        };
        flight.landed = Some(Landing {
            answer,
            first: first.number,
            to_fetch: line.len(),
        });
        wakers(line)
    }

    pub(super) fn release(&mut self, ticket: Ticket) -> Vec<Waker> {
        let Some(flight) = self.flight(ticket) else {
            return Vec::new();
        };
        let line = std::mem::take(&mut flight.line);
        self.end(ticket);
        wakers(line)
    }

    /// After the first failure one follower leads; after the second, two of them work, one of them
    /// for the rest; after the third, four.
    pub(super) fn fail(&mut self, ticket: Ticket) -> Vec<Waker> {
        let Some(flight) = self.flight(ticket) else {
            return Vec::new();
        };
        flight.failures = flight.failures.saturating_add(1);
        let round = (flight.failures - 1).min(31);
        let alone = ((1_usize << round) - 1).min(flight.line.len());
        let mut waiting = wakers(flight.line.drain(..alone));
        waiting.extend(self.hand_over(ticket));
        waiting
    }

    /// The leader is gone.
    #[inline]
    pub(super) fn hand_over(&mut self, ticket: Ticket) -> Option<Waker> {
        let flight = self.flight(ticket)?;
        let Some(next) = flight.line.pop_front() else {
            self.end(ticket);
            return None;
        };
        flight.heir = Some(next.number);
        next.waker
    }

    /// A follower asks how things stand. Also returns the waker that its present one replaces.
    pub(super) fn ask(
        &mut self,
        ticket: Ticket,
        number: u64,
        waker: &Waker,
    ) -> (Answer<V>, Option<Waker>) {
        let Some(flight) = self.flight(ticket) else {
            return (Answer::Alone, None);
        };
        if let Some(landing) = &flight.landed {
            if number < landing.first {
                return (Answer::Alone, None);
            }
            let answer = Arc::clone(&landing.answer);
            self.fetched(ticket);
            return (Answer::Landed(answer), None);
        }
        if flight.heir == Some(number) {
            flight.heir = None;
            return (Answer::Lead, None);
        }
        let Some(waiting) = flight.waiting(number) else {
            return (Answer::Alone, None);
        };
        let waiting = &mut flight.line[waiting].waker;
        let replaced = match waiting {
            Some(known) if known.will_wake(waker) => None,
            _ => waiting.replace(waker.clone()),
        };
        (Answer::Wait, replaced)
    }

    /// A follower goes away before it has an answer.
    pub(super) fn leave(&mut self, ticket: Ticket, number: u64) -> Left<V> {
        let mut left = Left {
            heir: None,
            waker: None,
            answer: None,
        };
        let Some(flight) = self.flight(ticket) else {
            return left;
        };
        if let Some(landing) = &flight.landed {
            if number >= landing.first {
                left.answer = self.fetched(ticket);
            }
        } else if flight.heir == Some(number) {
            flight.heir = None;
            left.heir = self.hand_over(ticket);
        } else if let Some(place) = flight.waiting(number) {
            let gone = flight.line.remove(place);
            left.waker = gone.and_then(|gone| gone.waker);
        }
        left
    }

    /// One less has yet to fetch the answer. Returns the answer if that was the last.
    fn fetched(&mut self, ticket: Ticket) -> Option<Arc<V>> {
        let flight = self.flight(ticket)?;
        let landing = flight.landed.as_mut()?;
        landing.to_fetch -= 1;
        if landing.to_fetch > 0 {
            return None;
        }
        let landing = flight.landed.take()?;
        self.end(ticket);
        Some(landing.answer)
    }

    fn forget_key(&mut self, ticket: Ticket) {
        let Some(flight) = self.flight(ticket) else {
            return;
        };
        if std::mem::take(&mut flight.joinable) {
            let high = flight.digest.high;
            let same = |&index: &u32| index == ticket.index;
            if let Ok(entry) = self.joinable.find_entry(high, same) {
                entry.remove();
            }
        }
    }

    /// The flight is over, and its place in the slab is free.
    fn end(&mut self, ticket: Ticket) {
        self.forget_key(ticket);
        let Some(flight) = self.flight(ticket) else {
            return;
        };
        flight.generation += 1;
        flight.failures = 0;
        flight.heir = None;
        self.free.push(ticket.index);
    }
}

impl<V: ?Sized> Flight<V> {
    const fn new(digest: Digest) -> Self {
        Self {
            digest,
            generation: 0,
            joinable: false,
            failures: 0,
            next_number: 0,
            line: VecDeque::new(),
            heir: None,
            landed: None,
        }
    }

    fn waiting(&self, number: u64) -> Option<usize> {
        self.line
            .binary_search_by_key(&number, |waiting| waiting.number)
            .ok()
    }
}

fn wakers(line: impl IntoIterator<Item = Waiting>) -> Vec<Waker> {
    line.into_iter()
        .filter_map(|waiting| waiting.waker)
        .collect()
}

#[cfg(all(test, not(loom)))]
impl<V: ?Sized> Shard<V> {
    /// Whether nothing is left of the flights that were.
    pub(super) fn is_swept(&self) -> bool {
        let clean = |flight: &Flight<V>| {
            flight.line.is_empty() && flight.heir.is_none() && flight.landed.is_none()
        };
        self.joinable.is_empty() && self.flights.iter().all(clean)
    }
}
