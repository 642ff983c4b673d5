use super::rules::Lifetime;
use buttress_core::digest::Digest;
use bytes::Bytes;
use http::{HeaderMap, Response, Version, header};
use parking_lot::Mutex;
use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Answers, by what they are for. It is bounded by bytes and by entries.
pub(super) struct Store {
    answers: Cache<Digest, Arc<Stored>, Weigh>,
    /// Held by those who put an answer in, while they look which one is the later.
    putting: [Mutex<()>; SHARDS as usize],
}

/// A whole answer.
pub(super) struct Stored {
    /// Of the request.
    pub(super) variant: Digest,
    /// When it was asked for.
    pub(super) asked: Instant,
    pub(super) lifetime: Lifetime,
    pub(super) version: Version,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl Stored {
    /// The age that it has at this instant: what it had when it came, and the time since it was
    /// asked for (RFC 9111, section 4.2.3).
    fn age(&self, now: Instant) -> Duration {
        self.lifetime.age + now.saturating_duration_since(self.asked)
    }

    /// The answer with its age, if it is not too old, and not too old for the request.
    pub(super) fn response(
        &self,
        now: Instant,
        oldest: Option<Duration>,
        stalest: Option<Duration>,
    ) -> Option<Response<Bytes>> {
        let (age, Lifetime { fresh, stale, .. }) = (self.age(now), self.lifetime);
        let usable = fresh + stalest.map_or(stale, |stalest| stalest.min(stale));
        if age > oldest.map_or(usable, |oldest| oldest.min(usable)) {
            return None;
        }
        let mut response = Response::new(self.body.clone());
        *response.version_mut() = self.version;
        *response.headers_mut() = self.headers.clone();
        response
            .headers_mut()
            .insert(header::AGE, age.as_secs().into());
        Some(response)
    }

    fn bytes(&self) -> u64 {
        let fields = self.headers.iter();
        let fields: usize = fields
            .map(|(name, value)| name.as_str().len() + value.len() + FIELD)
            .sum();
        (self.body.len() + fields + ENTRY) as u64
    }
}

/// One number for both bounds: an entry counts at least its part of all the bytes.
#[derive(Clone)]
struct Weigh {
    least: u64,
}

impl Weighter<Digest, Arc<Stored>> for Weigh {
    fn weight(&self, _: &Digest, stored: &Arc<Stored>) -> u64 {
        stored.bytes().max(self.least)
    }
}

impl Store {
    pub(super) fn new(max_bytes: u64, max_entries: u32, max_body: u64) -> Self {
        let least = max_bytes.div_ceil(max_entries.into());
        // As many shards as leave room in each for a few of the largest.
        let shards = (max_bytes / (4 * max_body).max(1)).clamp(1, SHARDS);
        let shards = 1 << shards.ilog2();
        // It also bounds what is remembered of those that had to go.
        let entries = (max_bytes / ENTRY as u64).clamp(1, max_entries.into()) as usize;
        let options = OptionsBuilder::new()
            .shards(shards)
            .estimated_items_capacity(entries)
            .weight_capacity(max_bytes)
            .build();
        let answers = match options {
            Ok(options) => Cache::with_options(
                options,
                Weigh { least },
                DefaultHashBuilder::default(),
                DefaultLifecycle::default(),
            ),
            // Both capacities are given, which is all that can be missing.
            Err(_) => Cache::with_weighter(entries, max_bytes, Weigh { least }),
        };
        let putting = std::array::from_fn(|_| Mutex::new(()));
        Self { answers, putting }
    }

    pub(super) fn get(&self, resource: Digest) -> Option<Arc<Stored>> {
        self.answers.get(&resource)
    }

    /// Keeps an answer, unless a later one is there already.
    pub(super) fn put(&self, resource: Digest, stored: Stored) {
        let mut hasher = DefaultHasher::new();
        resource.hash(&mut hasher);
        // The remainder is smaller than their number.
        let _putting = self.putting[(hasher.finish() % SHARDS) as usize].lock();
        let known = self.answers.peek(&resource);
        if known.is_none_or(|known| known.asked <= stored.asked) {
            self.answers.insert(resource, Arc::new(stored));
        }
    }

    pub(super) fn forget(&self, resource: Digest) {
        // Most are not there, and looking takes no exclusive lock.
        if self.answers.contains_key(&resource) {
            self.answers.remove(&resource);
        }
    }

    pub(super) fn clear(&self) {
        self.answers.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.answers.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }

    pub(super) fn bytes(&self) -> u64 {
        self.answers.weight()
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}

const SHARDS: u64 = 16;

/// What an entry and a header field take besides their bytes.
const ENTRY: usize = 512;
const FIELD: usize = 112;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use buttress_core::digest::Digester;
    use proptest::prelude::*;

    fn stored(asked: Instant, length: usize) -> Stored {
        Stored {
            variant: Digester::new().digest(&0),
            asked,
            lifetime: Lifetime {
                age: Duration::ZERO,
                fresh: Duration::ZERO,
                stale: Duration::from_secs(1),
            },
            version: Version::HTTP_11,
            headers: HeaderMap::new(),
            body: Bytes::from(vec![0; length]),
        }
    }

    proptest! {
        #[test]
        fn neither_bound_is_ever_passed(
            max_entries in 1_u32..20,
            entries in prop::collection::vec((0_u8..60, 0_usize..3_000), 0..200),
        ) {
            let (max_bytes, max_body) = (20_000, 2_000);
            let store = Store::new(max_bytes, max_entries, max_body);
            let digester = Digester::new();
            for (key, length) in entries {
                store.put(digester.digest(&key), stored(clock::now(), length));
                prop_assert!(store.bytes() <= max_bytes);
                prop_assert!(store.len() <= max_entries as usize);
            }
        }
    }

    #[test]
    fn nor_does_it_when_both_come_at_once() {
        let store = Store::new(100_000, 10, 10_000);
        let key = Digester::new().digest(&1);
        let now = clock::now();
        std::thread::scope(|scope| {
            for offset in 0..4 {
                let store = &store;
                scope.spawn(move || {
                    for step in 0..20_000 {
                        let asked = now + Duration::from_nanos(step * 4 + offset);
                        store.put(key, stored(asked, 1));
                        assert!(store.get(key).unwrap().asked >= asked);
                    }
                });
            }
        });
    }

    #[test]
    fn an_answer_to_an_earlier_request_does_not_replace_a_later_one() {
        let store = Store::new(100_000, 10, 10_000);
        let key = Digester::new().digest(&1);
        let now = clock::now();
        store.put(key, stored(now + Duration::from_secs(1), 1));
        store.put(key, stored(now, 2));
        assert_eq!(store.get(key).unwrap().body.len(), 1);
        store.forget(key);
        assert!(store.get(key).is_none());
    }
}
