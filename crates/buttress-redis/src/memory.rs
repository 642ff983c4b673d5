use crate::ask::{Answer, Ask};
use crate::count::Count;
use crate::store::{Answering, Store};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::future::ready;
use tokio::time::Instant;

/// The engine within the process: nothing to install, and nothing to lose.
///
/// It is what a [`Fleet::in_memory`](crate::Fleet::in_memory) counts on, for tests, examples and
/// services of one instance. Its clock is tokio's, so tests can pause it.
///
/// It forgets what is over. If more keys than [`MAX_KEYS`](Self::MAX_KEYS) are in use at a time,
/// it forgets some of those as well, so that clients who make up keys cannot exhaust the memory.
pub struct Memory {
    counts: Mutex<HashMap<String, Row>>,
    start: Instant,
}

struct Row {
    count: Count,
    over_at: u64,
}

impl Memory {
    /// The most keys that it remembers.
    pub const MAX_KEYS: usize = 100_000;

    /// An empty one.
    pub fn new() -> Self {
        Self {
            counts: Mutex::default(),
            start: Instant::now(),
        }
    }

    fn step(&self, ask: Ask) -> Answer {
        let now = self.start.elapsed().as_micros() as u64;
        let mut counts = self.counts.lock();
        if counts.len() >= Self::MAX_KEYS && !counts.contains_key(&ask.key) {
            make_room(&mut counts, now);
        }
        let row = match counts.entry(ask.key) {
            Entry::Occupied(row) => row.into_mut(),
            Entry::Vacant(place) => place.insert(Row {
                count: Count::default(),
                over_at: 0,
            }),
        };
        let answer = row.count.apply(&ask.rule, ask.action, now);
        row.over_at = row.count.forget_at(&ask.rule);
        answer
    }
}

/// Looks at all of them, and leaves half of them at most: so it happens once in so many new keys.
fn make_room(counts: &mut HashMap<String, Row>, now: u64) {
    counts.retain(|_, row| row.over_at > now);
    let mut spare = counts.len().saturating_sub(Memory::MAX_KEYS / 2);
    counts.retain(|_, _| {
        let stays = spare == 0;
        spare = spare.saturating_sub(1);
        stays
    });
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Memory {
    fn ask(&self, ask: Ask) -> Answering<'_, Answer> {
        Box::pin(ready(Ok(self.step(ask))))
    }

    fn present<'a>(&'a self, _: &'a str, _: u64) -> Answering<'a, u32> {
        Box::pin(ready(Ok(1)))
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory")
            .field("keys", &self.counts.lock().len())
            .finish_non_exhaustive()
    }
}
