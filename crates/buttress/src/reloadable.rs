use crate::guard::policy_layer;
use buttress_core::combine;
use std::sync::Arc;

/// A policy that can be replaced while the service runs. It is a handle: what is replaced through
/// one clone is replaced for all.
///
/// Calls that are under way or wait belong to the policy that they met; the next call meets the
/// new one. [`update`](Self::update) sees the old policy, so that what has not changed can be
/// carried over with its state.
///
/// ```
/// use buttress::{Bulkhead, RateLimit, Reloadable};
///
/// let policy = Reloadable::new((RateLimit::per_second(100).build()?, Bulkhead::new(64)?));
///
/// // A new rate limit, and the same bulkhead, with the calls that it has.
/// let slower = RateLimit::per_second(50).build()?;
/// policy.update(|(_, slots)| (slower.clone(), slots.clone()));
/// # Ok::<(), buttress::SettingError>(())
/// ```
#[derive(Debug)]
pub struct Reloadable<P> {
    policy: Arc<combine::Reloadable<P>>,
}

impl<P> Reloadable<P> {
    /// Starts with `policy`.
    pub fn new(policy: P) -> Self {
        Self {
            policy: Arc::new(combine::Reloadable::new(policy)),
        }
    }

    /// Replaces the policy.
    pub fn replace(&self, policy: P) {
        self.policy.replace(policy);
    }

    /// Replaces the policy by one made from it. `next` may run more than once, if two updates
    /// meet.
    pub fn update(&self, next: impl FnMut(&P) -> P) {
        self.policy.update(next);
    }

    /// The policy that the next call meets.
    pub fn current(&self) -> Arc<P> {
        self.policy.current()
    }
}

impl<P> Clone for Reloadable<P> {
    fn clone(&self) -> Self {
        Self {
            policy: Arc::clone(&self.policy),
        }
    }
}

policy_layer!([P] Reloadable<P>, policy: Arc<combine::Reloadable<P>>);
