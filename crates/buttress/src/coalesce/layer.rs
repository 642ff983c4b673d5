use super::service::CoalesceService;
use crate::DefaultProtocol;
use buttress_core::SettingError;
use buttress_core::flights::Flights;
#[cfg(feature = "http")]
use buttress_core::setting::{check_duration, check_range};
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
#[cfg(feature = "http")]
use std::sync::Arc;
#[cfg(feature = "http")]
use std::time::Duration;
use tower_layer::Layer;

#[cfg(feature = "http")]
use super::key::SameRequest;
#[cfg(feature = "http")]
use crate::room::{MOST_BYTES, Room};

/// Lets identical calls that are under way share one; see [the module](super). It is a handle and a
/// layer: clones share what is under way.
#[derive(Clone)]
pub struct Coalesce<K> {
    pub(super) key: K,
    pub(super) flights: Flights<Anything, Settings>,
}

/// What there is to share: a response, or what one can be made of.
pub(super) type Anything = dyn Any + Send + Sync;

/// What is the same for all calls.
pub(super) struct Settings {
    /// Whether answers are shared only if they say that they may be.
    #[cfg(feature = "http")]
    pub(super) asks_the_answer: bool,
    /// For bodies that are read for several callers.
    #[cfg(feature = "http")]
    pub(super) room: Arc<Room>,
    #[cfg(feature = "http")]
    pub(super) body_wait: Duration,
}

#[cfg(feature = "http")]
impl Coalesce<SameRequest> {
    /// Coalesces identical HTTP requests that anybody may make. HTTP only.
    pub fn builder() -> CoalesceBuilder<SameRequest> {
        CoalesceBuilder {
            asks_the_answer: true,
            ..Self::by(SameRequest::new())
        }
    }
}

impl<K> Coalesce<K> {
    /// Coalesces calls with the same key, whatever they are and whatever comes back: see the
    /// [warning](super#how-it-fails-when-misused). A call without a key is made by itself.
    pub fn by(key: K) -> CoalesceBuilder<K> {
        CoalesceBuilder {
            key,
            max_keys: 10_000,
            #[cfg(feature = "http")]
            asks_the_answer: false,
            #[cfg(feature = "http")]
            max_body: 1024 * 1024,
            #[cfg(feature = "http")]
            max_memory: 64 * 1024 * 1024,
            #[cfg(feature = "http")]
            body_wait: Duration::from_secs(1),
        }
    }

    /// How many calls are under way that others can join or have joined. Slow: it visits each
    /// shard of the map.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// A layer that speaks another protocol: [`Plain`](crate::Plain) for services that are
    /// neither HTTP nor gRPC.
    pub fn protocol<Pr>(&self, protocol: Pr) -> CoalesceLayer<K, Pr>
    where
        K: Clone,
    {
        drop(protocol);
        CoalesceLayer {
            coalesce: self.clone(),
            protocol: PhantomData,
        }
    }
}

impl<K> fmt::Debug for Coalesce<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesce").finish_non_exhaustive()
    }
}

impl<S, K: Clone> Layer<S> for Coalesce<K> {
    type Service = CoalesceService<S, K>;

    fn layer(&self, inner: S) -> Self::Service {
        CoalesceService::new(inner, self.clone())
    }
}

/// The layer that [`Coalesce::protocol`] makes.
#[derive(Clone, Debug)]
pub struct CoalesceLayer<K, Pr = DefaultProtocol> {
    coalesce: Coalesce<K>,
    /// Its type says all.
    protocol: PhantomData<Pr>,
}

impl<S, K: Clone, Pr> Layer<S> for CoalesceLayer<K, Pr> {
    type Service = CoalesceService<S, K, Pr>;

    fn layer(&self, inner: S) -> Self::Service {
        CoalesceService::new(inner, self.coalesce.clone())
    }
}

/// The settings of a [`Coalesce`].
#[derive(Clone, Debug)]
#[must_use = "call `build`"]
pub struct CoalesceBuilder<K> {
    key: K,
    max_keys: u32,
    #[cfg(feature = "http")]
    asks_the_answer: bool,
    #[cfg(feature = "http")]
    max_body: u64,
    #[cfg(feature = "http")]
    max_memory: u64,
    #[cfg(feature = "http")]
    body_wait: Duration,
}

impl<K> CoalesceBuilder<K> {
    /// The most different calls under way at a time, from 1 to 2³¹ − 1; 10 000 by default. A call
    /// that finds no room is made by itself. Each takes about 130 bytes, which are used again by
    /// later calls.
    pub fn max_keys(self, max_keys: u32) -> Self {
        Self { max_keys, ..self }
    }

    /// Checks the settings.
    ///
    /// # Errors
    ///
    /// Names the first setting that makes no sense, its value and what is allowed.
    pub fn build(self) -> Result<Coalesce<K>, SettingError> {
        #[cfg(feature = "http")]
        let room = {
            let one = check_range("max_body", self.max_body, 1..=MOST_BYTES)?;
            let all = check_range("max_memory", self.max_memory, one..=MOST_BYTES)?;
            Arc::new(Room::new(all, one))
        };
        Ok(Coalesce {
            key: self.key,
            flights: Flights::with(
                self.max_keys,
                Settings {
                    #[cfg(feature = "http")]
                    asks_the_answer: self.asks_the_answer,
                    #[cfg(feature = "http")]
                    room,
                    #[cfg(feature = "http")]
                    body_wait: check_duration("body_wait", self.body_wait)?,
                },
            )?,
        })
    }
}

#[cfg(feature = "http")]
impl<K> CoalesceBuilder<K> {
    /// The longest body that is read for several callers, in bytes, from 1 to 2⁴⁰; 1 MiB by
    /// default. Each of its frames counts 64 bytes more. HTTP only.
    pub fn max_body(self, max_body: u64) -> Self {
        Self { max_body, ..self }
    }

    /// What all such bodies may take together, in bytes, from [`max_body`](Self::max_body) to 2⁴⁰;
    /// 64 MiB by default. Bodies that don't fit are not shared. HTTP only.
    pub fn max_memory(self, max_memory: u64) -> Self {
        Self { max_memory, ..self }
    }

    /// How long followers, and a leader that is followed, wait for the end of the body once it is
    /// found not to be there yet; more than 0 and at most a year, 1 s by default. It must be long
    /// enough for a body to be worth sharing, and is what an endless one costs its first callers.
    /// HTTP only.
    pub fn body_wait(self, body_wait: Duration) -> Self {
        Self { body_wait, ..self }
    }
}
