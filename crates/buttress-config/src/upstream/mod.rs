//! The rules as layers for clients.

mod alternatives;
mod once;
mod outermost;
mod patterns;
mod repeated;
mod service;
mod stack;
mod told;

pub(crate) use patterns::{AnyRepeats, Outgoing, Repeat, Upstream};
pub use service::UpstreamService;

use crate::rules::Current;
use std::sync::Arc;
use tower_layer::Layer;

/// Puts the calls to one upstream through its patterns. [`Rules::upstream`](crate::Rules::upstream)
/// makes it.
///
/// From outside in: [coalescing](buttress::Coalesce), [stale answers](buttress::StaleIfError) if
/// the call fails, a [timeout](buttress::Timeout) of the whole call, [retries](buttress::Retry) or
/// [hedges](buttress::Hedge), and then for each attempt the breaker, the throttle, the limits, a
/// [timeout](buttress::Timeout::per_attempt) of its own, and the headers that tell the callee its
/// deadline and how critical the call is.
///
/// The client inside takes requests whose body is a [`ReplayBody`](buttress::repeat::ReplayBody),
/// which is the request's own body unless retries keep a part of it. Its error must be able to hold
/// a [`Rejection`](buttress::Rejection), as `BoxError` does.
///
/// It is a handle: clones share everything, and a service that was made before a reload goes by the
/// new rules from its next readiness on. If a new file no longer has the upstream, its last rules
/// stay in force for those who have the layer, for the services that it makes from then on as well.
#[derive(Clone, Debug)]
pub struct UpstreamLayer {
    current: Current,
    name: Arc<str>,
}

impl UpstreamLayer {
    /// `name` is the one that all layers of the upstream share.
    pub(crate) fn new(current: Current, name: Arc<str>) -> Self {
        Self { current, name }
    }

    /// The upstream's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl<S> Layer<S> for UpstreamLayer {
    type Service = UpstreamService<S>;

    fn layer(&self, inner: S) -> UpstreamService<S> {
        UpstreamService::new(inner, self.current.clone(), Arc::clone(&self.name))
    }
}
