//! The contract that every layer keeps, as a harness for layers and policies of your own.
//!
//! A layer in a service's hot path meets everything: callers that leave in the middle, services
//! that panic, clones by the thousand, bodies that are dropped half-way. What it must not do then
//! is leak a slot, lose a wake-up, or call a service that is not ready. [`Contract`] does all of
//! that to a layer, on virtual time, and names the rule that the layer breaks.
//!
//! What it cannot know is what your policy is for: test that beside the policy.
//!
//! ```
//! use buttress::testing::{Contract, Fixture};
//! use buttress::{Bulkhead, Plain};
//!
//! // Each rule is tried on a fresh layer.
//! let contract = Contract::new(|| {
//!     let slots = Bulkhead::new(2).unwrap();
//!     let watched = slots.clone();
//!     Fixture::new(slots).in_use(move || watched.in_flight())
//! });
//!
//! // Two calls at once; the third is refused.
//! contract.limit(2).check_http()?;
//! # Ok::<(), buttress::testing::BrokenRule>(())
//! ```
//!
//! # The rules
//!
//! The numbers are those of `docs/contract.md`. The harness checks rules 1 to 10 and 15; it runs
//! on tokio's paused time, so a layer that reads another clock (rule 11) will seldom pass.

mod call;
mod mock;
mod rules;
mod stage;

pub use call::Answered;
pub use mock::{Body, HttpService, PlainService, ServiceError};

use call::Kind;
use mock::{HttpCalls, PlainCalls};
use std::fmt;
use tower_layer::Layer;
use tower_service::Service;

/// A layer to be checked, and a way to see what it holds.
pub struct Fixture<L> {
    pub(crate) layer: L,
    pub(crate) in_use: Option<Box<dyn Fn() -> usize>>,
}

impl<L> Fixture<L> {
    /// A layer.
    pub fn new(layer: L) -> Self {
        Self {
            layer,
            in_use: None,
        }
    }

    /// How to see how many calls hold something of the layer: slots, permits, probes. It must be 0
    /// when no call is under way.
    pub fn in_use(mut self, in_use: impl Fn() -> usize + 'static) -> Self {
        self.in_use = Some(Box::new(in_use));
        self
    }
}

impl<L> fmt::Debug for Fixture<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture").finish_non_exhaustive()
    }
}

/// A rule that a layer breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokenRule {
    /// The number of the rule, as in `docs/contract.md`.
    pub rule: u8,
    /// What was seen.
    pub what: String,
}

impl BrokenRule {
    pub(crate) fn new(rule: u8, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { rule, what }
    }
}

impl fmt::Display for BrokenRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the layer breaks rule {}: {}", self.rule, self.what)
    }
}

impl std::error::Error for BrokenRule {}

/// What is expected of a layer.
pub struct Contract<F> {
    pub(crate) fresh: F,
    pub(crate) limit: Option<usize>,
    pub(crate) waiting: bool,
    pub(crate) refuses: bool,
}

impl<F> Contract<F> {
    /// `fresh` makes a layer with nothing under way, which admits at least one call.
    pub fn new<L>(fresh: F) -> Self
    where
        F: Fn() -> Fixture<L>,
    {
        Self {
            fresh,
            limit: None,
            waiting: false,
            refuses: false,
        }
    }

    /// The layer admits so many calls at once, over all its clones, and refuses the next one, or
    /// lets it [wait](Self::waiting).
    pub fn limit(mut self, calls: usize) -> Self {
        self.limit = Some(calls);
        self
    }

    /// Calls above the limit wait, at least three of them, and are served in the order in which
    /// they came.
    pub fn waiting(mut self) -> Self {
        self.waiting = true;
        self
    }

    /// The layer refuses every call.
    pub fn refusing(mut self) -> Self {
        self.refuses = true;
        self
    }

    /// Checks the layer around a service that is neither HTTP nor gRPC.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check_plain<L, S>(&self) -> Result<(), BrokenRule>
    where
        F: Fn() -> Fixture<L>,
        L: Layer<PlainService, Service = S>,
        S: Service<u32, Response = u32, Error = ServiceError> + Clone + Send + Sync + 'static,
        S::Future: Send,
    {
        self.check::<PlainCalls, L, S>()
    }

    /// Checks the layer around an HTTP service that cannot fail.
    ///
    /// # Errors
    ///
    /// The first rule that it breaks.
    pub fn check_http<L, S, B>(&self) -> Result<(), BrokenRule>
    where
        F: Fn() -> Fixture<L>,
        L: Layer<HttpService, Service = S>,
        S: Service<
                http::Request<Body>,
                Response = http::Response<B>,
                Error = std::convert::Infallible,
            > + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    {
        self.check::<HttpCalls, L, S>()
    }

    fn check<K, L, S>(&self) -> Result<(), BrokenRule>
    where
        K: Kind,
        F: Fn() -> Fixture<L>,
        L: Layer<K::Service, Service = S>,
        S: Service<K::Request> + Clone,
        Result<S::Response, S::Error>: Answered,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .map_err(|error| BrokenRule::new(11, format!("there is no runtime: {error}")))?;
        let _inside = runtime.enter();
        rules::check::<K, F, L, S>(self)
    }
}

impl<F> fmt::Debug for Contract<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Contract")
            .field("limit", &self.limit)
            .field("waiting", &self.waiting)
            .field("refuses", &self.refuses)
            .finish_non_exhaustive()
    }
}
